//! A thread that hashes new events, so that a checkpoint has nothing left to hash.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use annals::{Backend, Event, ReadError};

use super::proofs::Proofs;
use super::state::hash_next;

/// The largest number of events that a thread hashes at once. A checkpoint that is asked for meanwhile does not wait:
/// it hashes them too.
const STEP: u64 = 512;

/// How long the thread sleeps once it has hashed all events. Events gather meanwhile, and no append has to wake it. At
/// more than a million events a second, a checkpoint has about a thousand left to hash then, which takes 0.5 ms.
const PAUSE: Duration = Duration::from_millis(1);

/// A thread that hashes events as they are appended. Dropping it ends the thread.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_proof::{ProofFollower, Proofs};
/// use std::sync::Arc;
///
/// let store = EventStore::<RawEvent>::in_memory();
/// let proofs = Arc::new(Proofs::in_memory(&store, "example.com/alice")?);
/// let follower = ProofFollower::start(&proofs)?;
/// store.append(RawEvent::builder("seat-sold").build()?)?;
/// drop(follower);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ProofFollower {
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl ProofFollower {
    /// Starts the thread. It ends when this value is dropped, when the log is closed, when the log contradicts what it
    /// signed, because nothing is signed then, or when the log cannot be read, which it logs. Checkpoints work on
    /// without it.
    ///
    /// # Errors
    /// An error of the system if it has no thread.
    pub fn start<E: Event, B: Backend<E> + 'static>(
        proofs: &Arc<Proofs<E, B>>,
    ) -> std::io::Result<Self> {
        let (stopped, proofs) = (Arc::new(AtomicBool::new(false)), Arc::clone(proofs));
        let until = Arc::clone(&stopped);
        let thread = thread::Builder::new()
            .name("annals-proofs".into())
            .spawn(move || run(&proofs, &until))?;
        Ok(Self { stopped, thread: Some(thread) })
    }
}

impl Drop for ProofFollower {
    fn drop(&mut self) {
        // Release: pairs with the load in `run`. Nothing but the flag itself is passed on.
        self.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

fn run<E: Event, B: Backend<E>>(proofs: &Proofs<E, B>, stopped: &AtomicBool) {
    let head = proofs.store.backend().head().clone();
    let mut waiter = head.waiter();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let step = STEP * proofs.threads() as u64;
    // Acquire: pairs with the store in `drop`.
    while !stopped.load(Ordering::Acquire) {
        let Some(hashed) = proofs.hashed_without_contradiction() else { return };
        let end = head.get().min(hashed + step);
        if end > hashed {
            match proofs.hash_behind(hashed, end) {
                Ok(size) if size == head.get() => thread::park_timeout(PAUSE),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "the following thread stops: it cannot hash new events");
                    return;
                }
            }
            continue;
        }
        match waiter.poll_beyond(hashed, &waker) {
            Poll::Pending => thread::park(),
            Poll::Ready(head) if head <= hashed => return,
            Poll::Ready(_) => {}
        }
    }
}

impl<E: Event, B: Backend<E>> Proofs<E, B> {
    /// Returns the number of events that are hashed. Returns `None` if the log contradicts what it signed. It never
    /// forgets that, so it signs nothing from then on.
    fn hashed_without_contradiction(&self) -> Option<u64> {
        let state = self.lock();
        state.contradiction.is_none().then(|| state.size())
    }

    /// Hashes some of the events from `start`, up to which all are hashed, to `end`. Returns the number of events that
    /// are hashed then. Does not hold the lock while it reads and hashes, so that a checkpoint or a proof does not wait.
    fn hash_behind(&self, start: u64, end: u64) -> Result<u64, ReadError> {
        let hashed = hash_next(&self.store, start, end, self.threads())?;
        let mut state = self.lock();
        // A checkpoint may have hashed these events in the meantime.
        if state.size() == start {
            state.add(hashed);
        }
        // The files are on the disk of the log, whose syncs would wait for each write to them.
        if state.nodes.are_many_unwritten() {
            state.store_nodes();
        }
        Ok(state.size())
    }
}
