//! The live projection: one thread keeps the state up to date, and any number of threads read it without waiting.
//!
//! ```text
//!   log ──head moves──▶ thread: folds the new events ──▶ cell ◀── readers: one atomic load, never a lock
//! ```
//! The thread folds all new events and then shows a clone of the state, so a burst of events costs one clone. It sleeps
//! until the head moves; it does not poll.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use annals_base::{Condvar, Mutex};
use annals_base::{Sleeper, Watched};
use arc_swap::{ArcSwap, ArcSwapOption};

use super::Projection;
use super::reconstructor::Reconstructor;
use crate::backend::backend::Backend;
use crate::backend::head::wakers::{thread_waker, wake};
use crate::backend::process::Opener;
use crate::error::ReadError;

/// A projection whose state a thread keeps up to date. [`Reconstructor::live`] returns it.
///
/// Reading the state never waits, whatever is appended or folded meanwhile. The live projection keeps the log open.
/// Dropping it ends its thread.
///
/// ```
/// use annals::{EventStore, LiveError, LiveReader, LiveState, Projection, Query, RawEvent, Recorded};
/// use std::time::Duration;
///
/// struct Count;
///
/// impl Projection for Count {
///     type Event = RawEvent;
///     type State = u64;
///     fn initial(&self) -> u64 { 0 }
///     fn query(&self) -> Query { Query::all() }
///     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
/// }
///
/// let store = EventStore::in_memory();
/// let count = store.reconstruct(Count).live()?;
/// let offset = store.append(RawEvent::builder("counted").build()?)?;
///
/// // The state may lag behind the log for a moment. Wait for an event to read one's own write.
/// assert!(count.wait_for(offset, Duration::from_secs(60))?);
/// assert_eq!((**count.load(), count.head()), (1, 1));
///
/// // A thread that reads often takes a reader of its own.
/// let mut reader: LiveReader<u64> = count.reader();
/// let state: &LiveState<u64> = reader.load();
/// assert_eq!((**state, state.head()), (1, 1));
///
/// let failure: Option<LiveError> = count.failure();
/// assert!(failure.is_none());
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
    /// Every event below it is in the state.
    head: AtomicU64,
    failure: ArcSwapOption<LiveError>,
    stop: AtomicBool,
    /// Whether the thread has ended.
    ended: AtomicBool,
    /// The lock under which callers wait for the head to move, for a failure, or for the end of the thread.
    waiting: Mutex<()>,
    moved: Condvar,
    /// The head, and the tasks that wait for it to move, for a failure, or for the end of the thread.
    folded: Arc<Watched>,
}

/// A state, and the head at which it was shown. It dereferences to the state. [`LiveProjection`] has an example.
#[derive(Debug)]
pub struct LiveState<S> {
    state: S,
    head: u64,
}

impl<S> LiveState<S> {
    /// Returns the log's head when the state was shown. Every event below it is in the state. Events that the query does
    /// not match do not change this head: [`LiveProjection::head`] counts them too.
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

/// A guard for reading a state. The state does not change while the guard is held, and no thread waits for the guard to
/// be dropped. [`LiveProjection::load`] returns it.
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
/// #     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
/// # }
/// use annals::LiveGuard;
///
/// # let store = EventStore::in_memory();
/// let count = store.reconstruct(Count).live()?;
/// let before: LiveGuard<u64> = count.load();
/// let offset = store.append(RawEvent::builder("counted").build()?)?;
/// assert!(count.wait_for(offset, Duration::from_secs(60))?);
/// assert_eq!((**before, **count.load()), (0, 1)); // a guard keeps the state that it was loaded with
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LiveGuard<S>(arc_swap::Guard<Arc<LiveState<S>>>);

impl<S> Deref for LiveGuard<S> {
    type Target = LiveState<S>;

    fn deref(&self) -> &LiveState<S> {
        &self.0
    }
}

/// The fastest way for one thread to read a live projection often. It caches the last state, so a read costs one
/// comparison while the state stays the same. [`LiveProjection::reader`] returns it, and [`LiveProjection`] has an
/// example.
#[derive(Debug)]
pub struct LiveReader<S>(arc_swap::Cache<Arc<ArcSwap<LiveState<S>>>, Arc<LiveState<S>>>);

impl<S> LiveReader<S> {
    /// Returns the current state, without waiting.
    pub fn load(&mut self) -> &LiveState<S> {
        self.0.load()
    }
}

/// Why a live projection does not follow the log. [`LiveProjection`] has an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LiveError {
    /// An event cannot be read. The projection is stalled before the event, and tries again each time the log grows.
    /// The error is logged once.
    Read(ReadError),
    /// The projection panicked. Its state does not change any more.
    Panicked,
    /// The log is closed and does not have the event that the caller waits for. Only
    /// [`wait_for`](LiveProjection::wait_for) and [`wait_for_async`](LiveProjection::wait_for_async) return it: the
    /// projection itself is complete.
    Closed,
    /// The thread could not be started.
    Thread(Arc<std::io::Error>),
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "the projection is stalled: {error}"),
            Self::Panicked => f.write_str("the projection panicked and has ended"),
            Self::Closed => f.write_str("the log is closed and does not have the event"),
            Self::Thread(error) => write!(f, "cannot start a thread for the projection: {error}"),
        }
    }
}

impl Error for LiveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Thread(error) => Some(&**error),
            _ => None,
        }
    }
}

impl<P, B> Reconstructor<P, B>
where
    P: Projection<State: Send + Sync> + Send + 'static,
    B: Backend<P::Event> + 'static,
{
    /// Folds the log, and starts a thread that folds every new event from now on. [`LiveProjection`] has an example.
    ///
    /// # Errors
    /// [`LiveError::Read`] when an event cannot be read, and [`LiveError::Thread`] when the thread cannot be started.
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
            folded: Arc::new(Watched::new(head)),
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
    /// Returns the current state, without waiting.
    #[must_use]
    pub fn load(&self) -> LiveGuard<S> {
        LiveGuard(self.shared.cell.load())
    }

    /// Returns a reader for a thread that reads often.
    #[must_use]
    pub fn reader(&self) -> LiveReader<S> {
        LiveReader(arc_swap::Cache::new(Arc::clone(&self.shared.cell)))
    }

    /// Returns the offset up to which the log is folded: every event below it is in the state.
    #[must_use]
    pub fn head(&self) -> u64 {
        // Acquire: pairs with the store in `advance`. A thread that sees the head also sees the state in the cell.
        self.shared.head.load(Ordering::Acquire)
    }

    /// Waits until the event at `offset` is in the state, up to `timeout`. Returns false if it did not come in time.
    ///
    /// # Errors
    /// [`LiveError::Read`] when the projection is stalled before the event, [`LiveError::Panicked`], and
    /// [`LiveError::Closed`] when the log is closed and does not have the event.
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
            // Relaxed: pairs with the store in `end`, which is made under the lock that is held here, after the last
            // head.
            if self.shared.ended.load(Ordering::Relaxed) {
                return Err(LiveError::Closed);
            }
            match deadline {
                Some(deadline) => {
                    let timed_out;
                    (waiting, timed_out) = self.shared.moved.wait_until(waiting, deadline);
                    if timed_out {
                        return Ok(self.head() > offset);
                    }
                }
                None => waiting = self.shared.moved.wait(waiting),
            }
        }
    }

    /// Waits until the event at `offset` is in the state, as [`wait_for`](Self::wait_for) does, without blocking the
    /// thread. To limit the wait, drop the future, for example with the timeout of your runtime.
    ///
    /// ```
    /// # use annals::{EventStore, Projection, Query, RawEvent, Recorded};
    /// # struct Count;
    /// # impl Projection for Count {
    /// #     type Event = RawEvent;
    /// #     type State = u64;
    /// #     fn initial(&self) -> u64 { 0 }
    /// #     fn query(&self) -> Query { Query::all() }
    /// #     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
    /// # }
    /// # let store = EventStore::in_memory();
    /// let count = store.reconstruct(Count).live()?;
    /// futures_executor::block_on(async {
    ///     let offset = store.append_async(RawEvent::builder("counted").build()?).await?;
    ///     count.wait_for_async(offset).await?; // now the state has one's own write
    ///     assert_eq!(**count.load(), 1);
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`wait_for`](Self::wait_for).
    pub async fn wait_for_async(&self, offset: u64) -> Result<(), LiveError> {
        let mut sleeper = Sleeper::new(Arc::clone(&self.shared.folded));
        poll_fn(|context| {
            // The waker is registered before the failure is looked at. So a failure that comes later wakes this task.
            let folded = sleeper.poll_beyond(offset, context.waker());
            if self.head() > offset {
                return Poll::Ready(Ok(()));
            }
            match self.failure() {
                Some(failure) => Poll::Ready(Err(failure)),
                // The thread has ended: the log is closed and does not have the event.
                None => folded.map(|_| Err(LiveError::Closed)),
            }
        })
        .await
    }

    /// Returns why the projection is stalled or has ended; `None` if it follows the log.
    #[must_use]
    pub fn failure(&self) -> Option<LiveError> {
        self.shared.failure.load_full().map(Arc::unwrap_or_clone)
    }
}

impl<S> Drop for LiveProjection<S> {
    fn drop(&mut self) {
        // Relaxed: pairs with the load in `run`. The flag publishes no other data, and the thread loads it again after
        // it is unparked.
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread's panics are caught. A thread that drops its own projection cannot wait for itself, and a
            // forked process does not have the thread.
            if thread.thread().id() != thread::current().id() && self.opener.is_here() {
                let _ = thread.join();
            }
        }
    }
}

impl<S> Shared<S> {
    /// Folds each time the log has grown, until the log is closed or the live projection is dropped.
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
        // Relaxed: pairs with the store in `drop`.
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

    /// Folds the new events. Shows the state if it has an event that is not in the shown one, which ends at `shown`. On
    /// an error, shows the state before the event that cannot be read.
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
        // Under the lock, so that a caller that is about to wait either sees the new head or is notified.
        let _waiting = self.waiting.lock();
        // Release: pairs with the load in `LiveProjection::head`, after the state is in the cell.
        self.head.store(head, Ordering::Release);
        self.folded.advance(head);
        self.wake();
        folded
    }

    /// Notifies waiting callers that the thread has ended.
    fn end(&self) {
        let _waiting = self.waiting.lock();
        // Relaxed: pairs with the load in `wait_for`, under the same lock.
        self.ended.store(true, Ordering::Relaxed);
        self.folded.end();
        self.wake();
    }

    /// Wakes the threads and tasks that wait.
    fn wake(&self) {
        self.moved.notify_all();
        self.folded.take_sleepers().into_iter().for_each(wake);
    }

    fn fail(&self, failure: LiveError) {
        // Each append may try the same event again. It is logged once.
        let message = failure.to_string();
        if self.failure.load().as_ref().is_none_or(|known| known.to_string() != message) {
            tracing::error!(error = message, "a live projection is stalled");
        }
        let _waiting = self.waiting.lock();
        self.failure.store(Some(Arc::new(failure)));
        self.wake();
    }
}
