//! The short way of one event: its caller leads at once, and neither allocates nor takes the queue's lock.
//!
//! The long way does the same, for batches, conditions, ids and times. This way is taken by a backend whose commits are
//! so short that the rest would count: the one in memory.

use std::hint;
use std::sync::atomic::Ordering;
use std::thread;

use super::append::YIELDS_MAX;
use super::clock::Clock;
use super::committer::Committer;
use super::group::{Committing, Leadership};
use super::target::CommitTarget;
use crate::backend::head::callbacks::Published;
use crate::error::AppendError;
use crate::event::event::{Event, Recorded};

/// The number of times that a caller looks for the end of a lead before it lets other threads run. A commit of one
/// event in memory takes less time than this.
const SPINS: u32 = 16;

impl<E: Event, H: CommitTarget<E>> Committer<E, H> {
    /// Makes the calling thread the leader. Returns `None` if another thread leads for long, if this thread is in a
    /// callback of its own lead, or if the log takes no appends: the long way then waits, nests, or refuses.
    #[inline]
    pub(crate) fn lead_alone(&self) -> Option<Leadership<'_, E, H>> {
        if !self.queue.try_lead_alone() && !self.lead_soon() {
            return None;
        }
        let leadership = Leadership::of(self);
        // Relaxed: `commit_alone` looks again, under the target's lock.
        if self.poisoned.load(Ordering::Relaxed) || !self.head.takes_appends() {
            leadership.end();
            return None;
        }
        Some(leadership)
    }

    /// Leads as soon as no other thread does. Gives up after a while.
    #[cold]
    fn lead_soon(&self) -> bool {
        if self.queue.is_led_here() {
            return false;
        }
        for _ in 0..YIELDS_MAX {
            for _ in 0..SPINS {
                hint::spin_loop();
                if !self.queue.is_led() && self.queue.try_lead_alone() {
                    return true;
                }
            }
            thread::yield_now();
        }
        false
    }
}

impl<E: Event, H: CommitTarget<E>> Leadership<'_, E, H> {
    /// Commits one event and ends the leadership. `commit` gets the target and the clock, makes the event readable
    /// below the new head, and returns its offset; if it fails, it changes nothing. `event`
    /// and `published` return the event at this offset, for the callbacks.
    ///
    /// # Errors
    /// The error of `commit`, or that of an earlier write.
    #[inline]
    pub(crate) fn commit_alone<'e>(
        self,
        commit: impl FnOnce(&mut H, &Clock) -> Result<u64, AppendError>,
        event: impl FnOnce(u64) -> Option<&'e Recorded<E>>,
        published: impl FnOnce(u64) -> Published<E>,
    ) -> Result<u64, AppendError> {
        let committer = self.committer();
        let mut target = committer.target.lock();
        if let Some(poison) = committer.refusal() {
            drop(target);
            self.end();
            return Err(poison);
        }
        let at_work = Committing::new(committer);
        let done = commit(&mut target, &committer.clock);
        committer.note_room(Some(&done), done.is_ok());
        if done.is_ok() {
            // Under the target's lock, so one thread at a time.
            committer.head.meters().committed(1);
        }
        at_work.end();
        drop(target);
        if let Ok(offset) = done {
            let head = &committer.head;
            head.publish_one_led(offset + 1, || event(offset), || published(offset));
        }
        self.end_alone();
        done
    }
}
