//! Helpers of the checks.

use std::future::Future;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Scope, ScopedJoinHandle, Thread};
use std::time::{Duration, Instant};

use annals::{EventStore, Recorded};
use parking_lot::Mutex;

use crate::check::CheckError;
use crate::{Fixture, Sample, Subject};

pub(super) type Store<S> = EventStore<Sample, <S as Subject>::Backend>;
pub(super) type FixtureOf<S> = Arc<dyn Fixture<<S as Subject>::Backend>>;

/// Opens the log of a fixture, which must succeed.
pub(super) fn open<S: Subject + ?Sized>(fixture: &FixtureOf<S>) -> Result<Store<S>, CheckError> {
    fixture.open().map(EventStore::on).map_err(CheckError::when("the log does not open"))
}

/// A new log with its fixture, which may own the log's directory, for example.
pub(super) struct Fresh<S: Subject + ?Sized> {
    // Before the fixture, so that the log is closed first.
    store: Store<S>,
    _fixture: FixtureOf<S>,
}

impl<S: Subject + ?Sized> Deref for Fresh<S> {
    type Target = Store<S>;

    fn deref(&self) -> &Store<S> {
        &self.store
    }
}

/// Opens a new log.
pub(super) fn fresh<S: Subject + ?Sized>(subject: &S) -> Result<Fresh<S>, CheckError> {
    let fixture = subject.fixture();
    Ok(Fresh { store: open::<S>(&fixture)?, _fixture: fixture })
}

/// Returns the `n`th of many different events.
pub(super) fn nth(n: u64) -> Sample {
    Sample::new(format!("type-{}", n % 3))
        .tag(format!("digit:{}", n % 10))
        .tag(format!("number:{n}"))
        .data(format!("payload of number {n}"))
}

pub(super) fn nths(range: std::ops::Range<u64>) -> Vec<Sample> {
    range.map(nth).collect()
}

/// Returns all events of a log, read from the start.
pub(super) fn all<S: Subject + ?Sized>(
    store: &Store<S>,
) -> Result<Vec<Recorded<Sample>>, CheckError> {
    let mut events = Vec::new();
    for event in store.read(..) {
        events.push(event?.into_owned());
    }
    Ok(events)
}

pub(super) fn offsets<S: Subject + ?Sized>(store: &Store<S>) -> Result<Vec<u64>, CheckError> {
    Ok(all::<S>(store)?.into_iter().map(|event| event.offset).collect())
}

/// The events that a callback saw.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Vec<Recorded<Sample>>>>);

impl Seen {
    pub(super) fn subscribed<S: Subject + ?Sized>(store: &Store<S>) -> Self {
        let seen = Self::default();
        let list = Arc::clone(&seen.0);
        store.subscribe(move |event| list.lock().push(event.clone()));
        seen
    }

    pub(super) fn take(&self) -> Vec<Recorded<Sample>> {
        std::mem::take(&mut *self.0.lock())
    }

    pub(super) fn offsets(&self) -> Vec<u64> {
        self.0.lock().iter().map(|event| event.offset).collect()
    }
}

/// The longest time that a check waits for its preconditions, on any machine.
pub(super) const EVER: Duration = Duration::from_secs(300);

/// Work on another thread that should end.
pub(super) struct Task<'s, T> {
    what: &'static str,
    patience: Duration,
    done: Receiver<()>,
    thread: ScopedJoinHandle<'s, T>,
}

/// Runs `work` on another thread. `what` names it in error messages.
pub(super) fn spawn<'s, T: Send + 's>(
    scope: &'s Scope<'s, '_>,
    what: &'static str,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 's,
) -> Task<'s, T> {
    let (sender, done): (Sender<()>, _) = channel();
    let thread = scope.spawn(move || {
        // Dropped, which reports the end, also when the work panics.
        let _sender = sender;
        work()
    });
    Task { what, patience, done, thread }
}

impl<T> Task<'_, T> {
    /// Checks that the work ends in time. (Anything that stops it must be released before the scope of the thread
    /// ends.)
    pub(super) fn in_time(&self) -> Result<(), CheckError> {
        match self.done.recv_timeout(self.patience) {
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                Err(CheckError::new(format!("{} waits, and should not", self.what)))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the work has ended.
    pub(super) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    pub(super) fn join(self) -> T {
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Waits for a future for at most `patience`.
pub(super) fn wait_for<F: Future>(future: F, patience: Duration) -> Result<F::Output, CheckError> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(AssertUnwindSafe(future));
    let deadline = Instant::now() + patience;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(CheckError::new("a future is not done in time"));
        }
        thread::park_timeout(left);
    }
}
