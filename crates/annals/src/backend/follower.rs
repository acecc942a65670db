//! The thread of a store that is open read-only: it takes what the writing process has appended, round by round.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::process::Opener;
use crate::error::{Corruption, FollowError, OpenError};

/// How long the thread sleeps after a round with new events. Each round without doubles the sleep, up to
/// [`LONGEST_SLEEP`].
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// The steps with which a backend follows a log that another process writes.
///
/// ```
/// use annals::backend::{FollowStep, FollowStop, Follower, HeadPublisher, Published};
/// use annals::{RawEvent, Recorded};
/// use std::sync::{Arc, Mutex};
///
/// /// The events of a log, which another thread adds here. In a real backend, another process writes them to files.
/// type Written = Arc<Mutex<Vec<RawEvent>>>;
///
/// struct Rows {
///     written: Written,
///     head: HeadPublisher<RawEvent>,
/// }
///
/// impl FollowStep for Rows {
///     fn step(&mut self) -> Result<bool, FollowStop> {
///         let from = self.head.get();
///         let new: Vec<_> = self.written.lock().unwrap().iter().skip(from as usize).cloned().collect();
///         let recorded = (from..).zip(new).map(|(offset, event)| Recorded { offset, time_ms: 0, event });
///         let recorded: Vec<_> = recorded.collect();
///         let head = from + recorded.len() as u64;
///         if head > from {
///             self.head.publish(head, Published::events(recorded));
///         }
///         Ok(head > from)
///     }
///     fn close_head(&self) {
///         self.head.close();
///     }
/// }
///
/// let (written, head) = (Written::default(), HeadPublisher::new(0));
/// let follower = Follower::start(Rows { written: Arc::clone(&written), head: head.clone() })?;
/// written.lock().unwrap().push(RawEvent::builder("noted").build()?);
/// assert_eq!(head.wait_beyond(0, None), 1);
/// assert!(follower.error().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait FollowStep: Send + 'static {
    /// Takes new events and moves the head. Returns whether there were any.
    ///
    /// # Errors
    /// [`FollowStop`], which says whether the next step may succeed.
    fn step(&mut self) -> Result<bool, FollowStop>;

    /// Closes the head, so that cursors end. Called once, when a step has ended the following.
    fn close_head(&self);
}

/// The reason why a step was not completed. [`FollowStep`] has an example.
#[derive(Debug)]
#[non_exhaustive]
pub enum FollowStop {
    /// The log is not followed any more.
    Ended(FollowError),
    /// The system failed. The step is tried again.
    Failed(io::Error),
}

impl From<io::Error> for FollowStop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Corruption> for FollowStop {
    fn from(damage: Corruption) -> Self {
        Self::Ended(damage.into())
    }
}

impl From<OpenError> for FollowStop {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Corrupt(damage) => damage.into(),
            OpenError::Io { source, .. } => Self::Failed(source),
            other => Self::Failed(io::Error::other(other)),
        }
    }
}

/// A handle of the following thread. Dropping it ends the thread. [`FollowStep`] has an example.
#[derive(Debug)]
pub struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    error: Arc<OnceLock<FollowError>>,
    opener: Opener,
}

impl Follower {
    /// Starts a thread that takes these steps.
    ///
    /// # Errors
    /// The system's, if no thread can be started.
    pub fn start(steps: impl FollowStep) -> io::Result<Self> {
        let (stop, error) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()));
        let (stopped, ended) = (Arc::clone(&stop), Arc::clone(&error));
        let thread = thread::Builder::new().name("annals-follow".into());
        let thread = Some(thread.spawn(move || run(steps, &stopped, &ended))?);
        Ok(Self { stop, thread, error, opener: Opener::this_process() })
    }

    /// Returns a handle without a thread, for a log that cannot be followed for this reason.
    #[must_use]
    pub fn ended(error: FollowError) -> Self {
        let (stop, error) = (Arc::new(AtomicBool::new(true)), Arc::new(OnceLock::from(error)));
        Self { stop, thread: None, error, opener: Opener::this_process() }
    }

    /// Returns why the log is not followed any more; `None` while it is followed.
    #[must_use]
    pub fn error(&self) -> Option<&FollowError> {
        self.error.get()
    }

    /// Returns the place in which the thread stores why the log is not followed any more.
    pub(crate) fn shared_error(&self) -> Arc<OnceLock<FollowError>> {
        Arc::clone(&self.error)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if !self.opener.is_here() {
            // The thread does not exist in a forked process, and joining it would wait forever.
            std::mem::forget(self.thread.take());
            return;
        }
        // Relaxed, with the load in `run`: the flag guards no other data, and unparking wakes the thread before it
        // loads the flag.
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A callback may drop the last handle on the thread itself.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!("the thread that follows the log panicked");
            }
        }
    }
}

/// Takes steps until `stop` is set or a step ends the following.
fn run(mut steps: impl FollowStep, stop: &AtomicBool, ended: &OnceLock<FollowError>) {
    let mut sleep = SHORTEST_SLEEP;
    let mut logged = false;
    // Relaxed, with the store in `Follower::drop`: see there.
    while !stop.load(Ordering::Relaxed) {
        let stepped = catch_unwind(AssertUnwindSafe(|| steps.step()));
        match stepped.unwrap_or(Err(FollowStop::Ended(FollowError::Panicked))) {
            Ok(true) => (sleep, logged) = (SHORTEST_SLEEP, false),
            Ok(false) => {
                thread::park_timeout(sleep);
                sleep = (sleep * 2).min(LONGEST_SLEEP);
            }
            Err(FollowStop::Failed(error)) => {
                if !std::mem::replace(&mut logged, true) {
                    tracing::error!(%error, "cannot follow the log; trying again");
                }
                thread::park_timeout(LONGEST_SLEEP);
            }
            Err(FollowStop::Ended(error)) => {
                tracing::error!(%error, "the log is not followed any more");
                // Before the head is closed: the owner of a cursor that ends may ask for the error at once.
                ended.get_or_init(|| error);
                steps.close_head();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::head::publisher::HeadPublisher;

    struct Panics(HeadPublisher<u64>);

    impl FollowStep for Panics {
        fn step(&mut self) -> Result<bool, FollowStop> {
            std::panic::resume_unwind(Box::new("a step that panics"));
        }

        fn close_head(&self) {
            self.0.close();
        }
    }

    #[test]
    fn a_step_that_panics_ends_the_cursors_and_is_an_error() {
        let head = HeadPublisher::new(0);
        let follower = Follower::start(Panics(head.clone())).expect("a thread");
        // Blocks for ever unless the head is closed.
        assert_eq!(head.wait_beyond(0, None), 0);
        assert_eq!(follower.error(), Some(&FollowError::Panicked));
    }
}
