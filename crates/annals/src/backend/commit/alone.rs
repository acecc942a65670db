//! The short way of one event: its caller leads at once, and neither allocates nor takes the queue's lock.
//!
//! The long way does the same, for batches, conditions, ids and times. This way is taken by a backend whose commits are
//! so short that the rest would count: the one in memory.

use std::hint;
use std::sync::atomic::Ordering;
use std::thread;

use super::append::YIELDS_MAX;
use super::clock::Clock;
use super::committer::{Committer, Target};
use super::group::{Committing, Leadership};
use super::target::CommitTarget;
use crate::backend::head::callbacks::Published;
use crate::error::AppendError;
use crate::event::event::{Event, Recorded};

/// The number of times that a caller looks for the end of a lead before it lets other threads run. A commit of one
/// event in memory takes less time than this.
const SPINS: u32 = 16;

impl<E: Event, H: CommitTarget<E>> Committer<E, H> {
    /// Makes the calling thread the leader, and returns the target as well. Returns `None` if another thread leads for
    /// long, if this thread is in a callback of its own lead, or if the log takes no appends: the long way then waits,
    /// nests, or refuses.
    #[inline]
    pub(crate) fn lead_alone(&self) -> Option<Alone<'_, E, H>> {
        let target = self.queue.try_lead_alone().or_else(|| self.lead_soon())?;
        let leadership = Leadership::of(self);
        // Relaxed: pairs with the store in `poison`, by a thread that had the target before this one, or by an earlier
        // leader. Taking the lead ordered both.
        if self.poisoned.load(Ordering::Relaxed) || !self.head.takes_appends() {
            leadership.end_alone(Some(target));
            return None;
        }
        Some(Alone { target, leadership })
    }

    /// Leads as soon as no other thread does. Gives up after a while.
    #[cold]
    fn lead_soon(&self) -> Option<Target<'_, E, H>> {
        if self.queue.is_led_here() {
            return None;
        }
        for _ in 0..YIELDS_MAX {
            for _ in 0..SPINS {
                hint::spin_loop();
                if !self.queue.is_led()
                    && let Some(target) = self.queue.try_lead_alone()
                {
                    return Some(target);
                }
            }
            thread::yield_now();
        }
        None
    }
}

/// The lead and the target, for a thread that took both at once.
pub(crate) struct Alone<'a, E: Event, H: CommitTarget<E>> {
    /// Dropped before `leadership`, so that no other thread leads while this one has the target.
    target: Target<'a, E, H>,
    leadership: Leadership<'a, E, H>,
}

impl<E: Event, H: CommitTarget<E>> Alone<'_, E, H> {
    /// Commits one event and ends the leadership. `commit` gets the target and the clock, makes the event readable
    /// below the new head, and returns its offset; if it fails, it changes nothing. `event`
    /// and `published` return the event at this offset, for the callbacks.
    ///
    /// # Errors
    /// The error of `commit`.
    #[inline]
    pub(crate) fn commit<'e>(
        self,
        commit: impl FnOnce(&mut H, &Clock) -> Result<u64, AppendError>,
        event: impl FnOnce(u64) -> Option<&'e Recorded<E>>,
        published: impl FnOnce(u64) -> Published<E>,
    ) -> Result<u64, AppendError> {
        // After a panic, the target is given back first, since it is the last binding here.
        let Self { leadership, mut target } = self;
        let committer = leadership.committer();
        let at_work = Committing::new(committer);
        let done = commit(&mut target, &committer.clock);
        committer.note_room(Some(&done), done.is_ok());
        if done.is_ok() {
            // One thread at a time: the one that has the target.
            committer.head.meters().committed(1);
        }
        at_work.end();
        let listeners = done.as_ref().ok().and_then(|offset| committer.head.move_led(offset + 1));
        match (listeners, &done) {
            (Some(listeners), &Ok(offset)) => {
                // A callback may use the target, and a waker, too.
                drop(target);
                let head = &committer.head;
                head.announce_one(listeners, || event(offset), || published(offset));
                leadership.end_alone(None);
            }
            _ => leadership.end_alone(Some(target)),
        }
        done
    }
}
