//! What the checks share.

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

use crate::check::Broken;
use crate::{Fixture, Sample, Subject};

pub(super) type Store<S> = EventStore<Sample, <S as Subject>::Backend>;
pub(super) type FixtureOf<S> = Arc<dyn Fixture<<S as Subject>::Backend>>;

/// Opens a backend that must open.
pub(super) fn open<S: Subject + ?Sized>(fixture: &FixtureOf<S>) -> Result<Store<S>, Broken> {
    fixture.open().map(EventStore::on).map_err(Broken::when("it does not open"))
}

/// A new log, with its backend: what the backend has, a directory for example, stays for as long as the log is open.
pub(super) struct Fresh<S: Subject + ?Sized> {
    // Before the backend, so that it is closed first.
    store: Store<S>,
    _fixture: FixtureOf<S>,
}

impl<S: Subject + ?Sized> Deref for Fresh<S> {
    type Target = Store<S>;

    fn deref(&self) -> &Store<S> {
        &self.store
    }
}

/// Makes a new log.
pub(super) fn fresh<S: Subject + ?Sized>(subject: &S) -> Result<Fresh<S>, Broken> {
    let fixture = subject.fixture();
    Ok(Fresh { store: open::<S>(&fixture)?, _fixture: fixture })
}

/// The `n`th of many events that are all different.
pub(super) fn nth(n: u64) -> Sample {
    Sample::new(format!("type-{}", n % 3))
        .tag(format!("digit:{}", n % 10))
        .tag(format!("number:{n}"))
        .data(format!("payload of number {n}"))
}

pub(super) fn nths(range: std::ops::Range<u64>) -> Vec<Sample> {
    range.map(nth).collect()
}

/// All that is in a log, read from the start.
pub(super) fn all<S: Subject + ?Sized>(store: &Store<S>) -> Result<Vec<Recorded<Sample>>, Broken> {
    let mut events = Vec::new();
    for event in store.read(..) {
        events.push(event?.into_owned());
    }
    Ok(events)
}

pub(super) fn offsets<S: Subject + ?Sized>(store: &Store<S>) -> Result<Vec<u64>, Broken> {
    Ok(all::<S>(store)?.into_iter().map(|event| event.offset).collect())
}

/// What a callback saw.
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

/// How long a check waits for what it needs before it can look at anything, on any machine.
pub(super) const EVER: Duration = Duration::from_secs(300);

/// Something that another thread does, and that should come to an end.
pub(super) struct Doing<'s, T> {
    what: &'static str,
    patience: Duration,
    done: Receiver<()>,
    thread: ScopedJoinHandle<'s, T>,
}

/// Has another thread do something.
pub(super) fn spawn<'s, T: Send + 's>(
    scope: &'s Scope<'s, '_>,
    what: &'static str,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 's,
) -> Doing<'s, T> {
    let (sender, done): (Sender<()>, _) = channel();
    let thread = scope.spawn(move || {
        // Dropped, and so told, also when the work panics.
        let _sender = sender;
        work()
    });
    Doing { what, patience, done, thread }
}

impl<T> Doing<'_, T> {
    /// That it comes to an end by itself. (What holds it up must be let go before the thread's scope ends.)
    pub(super) fn in_time(&self) -> Result<(), Broken> {
        match self.done.recv_timeout(self.patience) {
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                Err(Broken::new(format!("{} waits, and should not", self.what)))
            }
            _ => Ok(()),
        }
    }

    /// Whether it came to an end.
    pub(super) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    pub(super) fn join(self) -> T {
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Waits for a future, but not for ever.
pub(super) fn wait_for<F: Future>(future: F, patience: Duration) -> Result<F::Output, Broken> {
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
            return Err(Broken::new("a future is not done in time"));
        }
        thread::park_timeout(left);
    }
}
