//! A projection that keeps itself up to date: one thread folds, any number read without waiting.
//!
//! ```text
//!   log ──head moves──▶ thread: folds what is new ──▶ cell ◀── readers: one atomic load, never a lock
//! ```
//! The thread folds all that is there and then shows a clone of the state, so a burst of events costs one clone. It
//! sleeps on the head like a cursor does; nobody polls.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::{Condvar, Mutex};

use super::Projection;
use super::reconstructor::Reconstructor;
use crate::backend::backend::Backend;
use crate::backend::head::wakers::thread_waker;
use crate::backend::process::Opener;
use crate::error::ReadError;

/// A projection whose state is always that of a moment ago: [`Reconstructor::live`].
///
/// Reading it never waits, whatever is appended or folded meanwhile. It holds the log open, and ends with itself.
///
/// ```
/// # use annals::{EventStore, Projection, Query, RawEvent, Recorded};
/// # use std::time::Duration;
/// # struct Count;
/// # impl Projection for Count {
/// #     type Event = RawEvent;
/// #     type State = u64;
/// #     fn initial(&self) -> u64 { 0 }
/// #     fn query(&self) -> Query { Query::all() }
/// #     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1; }
/// # }
/// let store = EventStore::in_memory();
/// let count = store.reconstruct(Count).live()?;
/// let offset = store.append(RawEvent::builder("counted").build()?)?;
/// assert!(count.wait_for(offset, Duration::from_secs(60))?); // to read one's own write
/// assert_eq!(**count.load(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LiveProjection<S> {
    shared: Arc<Shared<S>>,
    thread: Option<JoinHandle<()>>,
    opener: Opener,
}

#[derive(Debug)]
struct Shared<S> {
    cell: Arc<ArcSwap<LiveState<S>>>,
    /// Everything below it is in the state.
    head: AtomicU64,
    failure: ArcSwapOption<LiveError>,
    stop: AtomicBool,
    /// Nothing is folded any more.
    ended: AtomicBool,
    /// Whoever waits for the head to move, for a failure, or for the end.
    waiting: Mutex<()>,
    moved: Condvar,
}

/// A state, and the head at which it was shown. Use it as a `&S`.
#[derive(Debug)]
pub struct LiveState<S> {
    state: S,
    head: u64,
}

impl<S> LiveState<S> {
    /// The log's head when the state was shown: everything below it is in the state.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head
    }
}

impl<S> Deref for LiveState<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.state
    }
}

/// A state that is looked at: it stays as it is for as long as this is held, and nobody waits for that.
#[derive(Debug)]
pub struct LiveGuard<S>(arc_swap::Guard<Arc<LiveState<S>>>);

impl<S> Deref for LiveGuard<S> {
    type Target = LiveState<S>;

    fn deref(&self) -> &LiveState<S> {
        &self.0
    }
}

/// The fastest way for one thread to read a live projection again and again: it keeps the state it saw last, and
/// that costs one comparison while there is no newer.
#[derive(Debug)]
pub struct LiveReader<S>(arc_swap::Cache<Arc<ArcSwap<LiveState<S>>>, Arc<LiveState<S>>>);

impl<S> LiveReader<S> {
    /// The state as it is now.
    pub fn load(&mut self) -> &LiveState<S> {
        self.0.load()
    }
}

/// Why a live projection does not go on.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// An event cannot be read. The projection stands still in front of the event, and tries again whenever the log
    /// grows; the program's log has the error once.
    #[error("the projection stands still: {0}")]
    Read(#[source] ReadError),
    /// The projection panicked; its state stays what it was.
    #[error("the projection panicked, and has ended")]
    Panicked,
    /// There is no thread for it.
    #[error("there is no thread for the projection: {0}")]
    Thread(#[source] Arc<std::io::Error>),
}

impl<P, B> Reconstructor<P, B>
where
    P: Projection<State: Send + Sync> + Send + 'static,
    B: Backend<P::Event> + 'static,
{
    /// Folds all that is there, and from now on what comes, in a thread of its own.
    ///
    /// # Errors
    /// [`LiveError`] when an event cannot be read, or there is no thread to be had.
    pub fn live(mut self) -> Result<LiveProjection<P::State>, LiveError> {
        let state = self.now().map_err(LiveError::Read)?.clone();
        let head = self.head();
        let shared = Arc::new(Shared {
            cell: Arc::new(ArcSwap::from_pointee(LiveState { state, head })),
            head: AtomicU64::new(head),
            failure: ArcSwapOption::empty(),
            stop: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            waiting: Mutex::new(()),
            moved: Condvar::new(),
        });
        let follower = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("annals-live".into())
            .spawn(move || {
                follower.run(&mut self);
                follower.end();
            })
            .map_err(|error| LiveError::Thread(Arc::new(error)))?;
        Ok(LiveProjection { shared, thread: Some(thread), opener: Opener::this_process() })
    }
}

impl<S> LiveProjection<S> {
    /// The state as it is now, without waiting.
    #[must_use]
    pub fn load(&self) -> LiveGuard<S> {
        LiveGuard(self.shared.cell.load())
    }

    /// A reader of its own for a thread that reads often.
    #[must_use]
    pub fn reader(&self) -> LiveReader<S> {
        LiveReader(arc_swap::Cache::new(Arc::clone(&self.shared.cell)))
    }

    /// Everything below this offset is in the state.
    #[must_use]
    pub fn head(&self) -> u64 {
        // Acquire: pairs with the store in `show`; who sees the head finds the state in the cell.
        self.shared.head.load(Ordering::Acquire)
    }

    /// Waits until the event at `offset` is in the state, at most so long; whether it is. Once the log is closed, what
    /// is not in it will not come, and nobody waits for it.
    ///
    /// # Errors
    /// [`LiveError`] when the projection stands still before it.
    pub fn wait_for(&self, offset: u64, timeout: Duration) -> Result<bool, LiveError> {
        let deadline = Instant::now().checked_add(timeout);
        let mut waiting = self.shared.waiting.lock();
        loop {
            if self.head() > offset {
                return Ok(true);
            }
            if let Some(failure) = self.failure() {
                return Err(failure);
            }
            // Relaxed: it is set under the lock that is held here, after the last head.
            if self.shared.ended.load(Ordering::Relaxed) {
                return Ok(false);
            }
            match deadline {
                Some(deadline)
                    if self.shared.moved.wait_until(&mut waiting, deadline).timed_out() =>
                {
                    return Ok(self.head() > offset);
                }
                Some(_) => {}
                None => self.shared.moved.wait(&mut waiting),
            }
        }
    }

    /// Why the projection stands still, if it does.
    #[must_use]
    pub fn failure(&self) -> Option<LiveError> {
        self.shared.failure.load_full().map(Arc::unwrap_or_clone)
    }
}

impl<S> Drop for LiveProjection<S> {
    fn drop(&mut self) {
        // Relaxed: the flag carries nothing else, and unparking wakes whoever sleeps before he looks.
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // Its panics are caught; a thread that drops its own projection cannot wait for itself, and a forked
            // process has no such thread.
            if thread.thread().id() != thread::current().id() && self.opener.is_here() {
                let _ = thread.join();
            }
        }
    }
}

impl<S> Shared<S> {
    /// Folds whenever the log has grown, until it is closed or nobody wants the state any more.
    fn run<P, B>(&self, source: &mut Reconstructor<P, B>)
    where
        P: Projection<State = S>,
        B: Backend<P::Event>,
        S: Clone,
    {
        let store = source.store().clone();
        let (waker, mut waiter) = (thread_waker(), store.backend().head().waiter());
        let mut seen = source.head();
        let mut shown = source.last();
        // Relaxed: see `drop`.
        while !self.stop.load(Ordering::Relaxed) {
            match waiter.poll_beyond(seen, &waker) {
                Poll::Pending => thread::park(),
                Poll::Ready(head) if head <= seen => return,
                Poll::Ready(head) => {
                    seen = head;
                    match catch_unwind(AssertUnwindSafe(|| self.advance(source, &mut shown))) {
                        Ok(Ok(())) => self.failure.store(None),
                        Ok(Err(error)) => self.fail(LiveError::Read(error)),
                        Err(_) => return self.fail(LiveError::Panicked),
                    }
                }
            }
        }
    }

    /// Folds what is new, and shows the state if an event came that is not in the one shown, which ends at `shown`.
    /// With an error it shows what comes before the event that cannot be read.
    fn advance<P, B>(
        &self,
        source: &mut Reconstructor<P, B>,
        shown: &mut Option<u64>,
    ) -> Result<(), ReadError>
    where
        P: Projection<State = S>,
        B: Backend<P::Event>,
        S: Clone,
    {
        let folded = source.now().map(|_| ());
        let head = source.head();
        if source.last() != *shown
            && let Some(state) = source.state().cloned()
        {
            self.cell.store(Arc::new(LiveState { state, head }));
            *shown = source.last();
        }
        // Under the lock, so that whoever is about to wait sees it or is told.
        let _waiting = self.waiting.lock();
        // Release: pairs with the load in `head`, after the state is in the cell.
        self.head.store(head, Ordering::Release);
        self.moved.notify_all();
        folded
    }

    /// Tells whoever waits that nothing more comes.
    fn end(&self) {
        let _waiting = self.waiting.lock();
        // Relaxed: see `wait_for`.
        self.ended.store(true, Ordering::Relaxed);
        self.moved.notify_all();
    }

    fn fail(&self, failure: LiveError) {
        // The same event may be tried again with every append: the log of the program tells of it once.
        let message = failure.to_string();
        if self.failure.load().as_ref().is_none_or(|known| known.to_string() != message) {
            tracing::error!(error = message, "a live projection stands still");
        }
        let _waiting = self.waiting.lock();
        self.failure.store(Some(Arc::new(failure)));
        self.moved.notify_all();
    }
}
