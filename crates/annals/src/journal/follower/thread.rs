//! The following thread: its loop, and the handle that starts and stops it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use annals_base::ListWriter;

use super::state::{Follow, Stop};
use crate::backend::head::publisher::HeadPublisher;
use crate::backend::process::Opener;
use crate::error::{Corruption, FollowError, OpenError};
use crate::event::event::Event;
use crate::journal::log::Log;
use crate::journal::pruning::pruning::FilterWriter;
use crate::journal::recovery::active::Active;
use crate::journal::segment::segment::Segment;

/// How long the thread sleeps after a round with new events. Each round without doubles the sleep, up to
/// [`LONGEST_SLEEP`].
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// A handle of the following thread. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    error: Arc<OnceLock<FollowError>>,
    opener: Opener,
}

impl Follower {
    /// Reads the log up to its present end, then starts the thread. A damaged log is read up to the damage, and no
    /// thread is started.
    pub(crate) fn start<E: Event>(
        log: Arc<Log>,
        head: HeadPublisher<E>,
        (sealed, filters): (ListWriter<Segment>, FilterWriter),
        active: Active,
        closed: u64,
        damage: Option<Corruption>,
    ) -> Result<Self, OpenError> {
        let path = log.directory.path.clone();
        let mut follow = Follow::new(log, head, (sealed, filters), active, closed);
        let caught_up = match damage {
            // Takes the frames of the last good segment. Everything behind the damage is ignored.
            Some(damage) => follow.catch_up(Follow::take_frames).and(Err(damage.into())),
            None => follow.catch_up(Follow::step).and_then(|()| follow.look_at_end(closed)),
        };
        let (stop, opener) = (Arc::new(AtomicBool::new(false)), Opener::this_process());
        let error = Arc::new(OnceLock::new());
        match caught_up {
            Ok(()) => {}
            Err(Stop::Failed(source)) => return Err(OpenError::io("follow", path)(source)),
            Err(Stop::Ended(ended)) => {
                tracing::warn!(error = %ended, "cannot follow the log; opened the events up to here");
                follow.head.close();
                let error = Arc::new(OnceLock::from(ended));
                return Ok(Self { stop, thread: None, error, opener });
            }
        }
        let (stopped, ended) = (Arc::clone(&stop), Arc::clone(&error));
        let thread = thread::Builder::new().name("annals-follow".into());
        let thread = thread.spawn(move || follow.run(&stopped, &ended));
        let thread = Some(thread.map_err(OpenError::io("follow", path))?);
        Ok(Self { stop, thread, error, opener })
    }

    /// Returns why the follower ended; `None` while it follows the log.
    pub(crate) fn error(&self) -> Option<&FollowError> {
        self.error.get()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Relaxed, with the load in `Follow::run`: the flag guards no other data, and unparking wakes the thread before
        // it loads the flag.
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A callback may drop the last handle on the thread itself. A forked process does not have the thread.
            let waits = thread.thread().id() != thread::current().id() && self.opener.is_here();
            if waits && thread.join().is_err() {
                tracing::error!("the thread that follows the log panicked");
            }
        }
    }
}

impl<E: Event> Follow<E> {
    /// Repeats a step until there is nothing new.
    fn catch_up(
        &mut self,
        mut step: impl FnMut(&mut Self) -> Result<bool, Stop>,
    ) -> Result<(), Stop> {
        while step(self)? {}
        Ok(())
    }

    /// Follows the log until `stop` is set or the follower ends with an error.
    fn run(&mut self, stop: &AtomicBool, ended: &OnceLock<FollowError>) {
        let mut sleep = SHORTEST_SLEEP;
        let mut logged = false;
        // Relaxed, with the store in `Follower::drop`: see there.
        while !stop.load(Ordering::Relaxed) {
            match self.step().and_then(|any| self.look_closer(any)) {
                Ok(true) => (sleep, logged) = (SHORTEST_SLEEP, false),
                Ok(false) => {
                    thread::park_timeout(sleep);
                    sleep = (sleep * 2).min(LONGEST_SLEEP);
                }
                Err(Stop::Failed(error)) => {
                    if !std::mem::replace(&mut logged, true) {
                        tracing::error!(%error, "cannot follow the log; trying again");
                    }
                    thread::park_timeout(LONGEST_SLEEP);
                }
                Err(Stop::Ended(error)) => {
                    tracing::error!(%error, "stopped following the log");
                    // Before the head is closed: the owner of a cursor that ends may ask for the error at once.
                    ended.get_or_init(|| error);
                    self.head.close();
                    return;
                }
            }
        }
    }

    /// Takes the next frames, or goes on in the next segment. Returns false if there is neither.
    fn step(&mut self) -> Result<bool, Stop> {
        if self.published < self.next_offset {
            // Publishing failed in an earlier round.
            self.publish()?;
        }
        if self.take_frames()? {
            return Ok(true);
        }
        if self.next_offset == self.segment.first {
            return self.take_other_file();
        }
        self.take_segment()
    }
}
