//! The known state of the record, and this replica's position in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::chain::chain::Position;
use crate::core::messages::Divergence;
use crate::core::state::Counts;
use crate::log::commit_log::Cause;

/// The longest time without any change after which opening gives up: about 136 years.
const LONGEST_PATIENCE: Duration = Duration::from_secs(u32::MAX as u64);

/// The state of a replica, as [`Replicated::record`](crate::Replicated::record) returns it.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct RecordStatus {
    /// The last commit that was read; `None` before the genesis was read.
    pub position: Option<Position>,
    /// The number of slots of the record behind the last commit that this replica has applied. It may be out of date.
    pub lag_slots: u64,
    /// The number of commits that were sent and whose outcome is not known.
    pub doubts: usize,
    /// How the record differs from the replica; `None` while it does not.
    pub divergence: Option<Divergence>,
    /// The counts since the store was opened.
    pub counts: Counts,
    /// Whether everything was read that the record had when the store was opened.
    pub caught_up: bool,
}

/// The progress that the threads report to each other and to the callers.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
    /// The last slot that the engine has named.
    pub(super) last_slot: AtomicU64,
    /// Whether the engine had no room for the last batch.
    pub(super) is_full: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    status: RecordStatus,
    /// The number of the last commit that was read when the core had caught up.
    caught_up_at: Option<u64>,
    /// The number and the slot of the last commit that was applied, and the number of events up to it.
    applied: Option<(u64, u64, u64)>,
    /// Why the replica takes no more commits.
    failure: Option<Arc<str>>,
    cause: Option<Cause>,
    /// The number of changes.
    changes: u64,
}

/// How waiting for the end of the record ended.
#[derive(Debug)]
pub(super) enum CaughtUp {
    Yes,
    NoRecord,
    Failed(Arc<str>),
    /// Nothing changed for as long as the caller wanted to wait.
    Stalled(Option<Cause>),
}

impl Progress {
    /// Notes what the core knows. `record` has everything but the lag.
    pub(super) fn note(&self, record: RecordStatus) -> u64 {
        let mut state = self.state.lock();
        // Relaxed: a number for the metrics and for people, which orders nothing.
        let last = self.last_slot.load(Ordering::Relaxed);
        let last = record.position.map_or(0, |position| position.slot.0).max(last);
        let lag_slots = last.saturating_sub(state.applied.map_or(0, |(_, slot, _)| slot));
        if state.status.position != record.position || state.status.caught_up != record.caught_up {
            state.changes += 1;
        }
        state.status = RecordStatus { lag_slots, ..record };
        if let (true, Some(position)) = (record.caught_up, &record.position) {
            state.caught_up_at.get_or_insert(position.tip.number);
        }
        drop(state);
        self.changed.notify_all();
        lag_slots
    }

    /// Returns the number of events that the replica has and callbacks have seen.
    #[cfg(feature = "testing")]
    pub(super) fn applied_head(&self) -> u64 {
        self.state.lock().applied.map_or(0, |(_, _, head)| head)
    }

    /// Notes that the replica has a commit. A callback that sees its events may append: then the later commit is noted
    /// first.
    pub(super) fn applied(&self, position: &Position) {
        let mut state = self.state.lock();
        let Position { slot, tip, .. } = position;
        state.applied = state.applied.max(Some((tip.number, slot.0, tip.head)));
        state.changes += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Notes why the replica takes no more commits. The first reason stays.
    pub(super) fn fail(&self, failure: &str) {
        self.state.lock().failure.get_or_insert_with(|| failure.into());
        self.changed.notify_all();
    }

    /// Notes that the record has diverged.
    pub(super) fn diverged(&self, divergence: Divergence) {
        self.state.lock().status.divergence = Some(divergence);
        self.changed.notify_all();
    }

    /// Notes what the engine answered, if that was a failure.
    pub(super) fn note_cause(&self, cause: &Cause) {
        self.state.lock().cause = Some(cause.clone());
    }

    /// Notes that the engine has stored an entry: an earlier failure is not the cause of a later error.
    pub(super) fn forget_cause(&self) {
        self.state.lock().cause = None;
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        self.state.lock().cause.clone()
    }

    pub(super) fn failure(&self) -> Option<Arc<str>> {
        self.state.lock().failure.clone()
    }

    pub(super) fn status(&self) -> RecordStatus {
        self.state.lock().status
    }

    /// Waits until the replica has everything that was read when the core had caught up: what others append meanwhile
    /// may be more than the replica takes. Gives up once nothing has changed for `patience`.
    pub(super) fn wait_until_caught_up(&self, patience: Duration) -> CaughtUp {
        // A point in time that is farther away may not exist.
        let patience = patience.min(LONGEST_PATIENCE);
        let mut state = self.state.lock();
        let (mut seen, mut deadline) = (state.changes, Instant::now() + patience);
        loop {
            if let Some(failure) = &state.failure {
                return CaughtUp::Failed(Arc::clone(failure));
            }
            if state.status.divergence.is_some() {
                return CaughtUp::Yes;
            }
            if state.status.caught_up {
                let Some(last) = state.caught_up_at else { return CaughtUp::NoRecord };
                if state.applied.is_some_and(|(number, ..)| number >= last) {
                    return CaughtUp::Yes;
                }
            }
            if state.changes != seen {
                (seen, deadline) = (state.changes, Instant::now() + patience);
            }
            if self.changed.wait_until(&mut state, deadline).timed_out() && state.changes == seen {
                return CaughtUp::Stalled(state.cause.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::chain::slot::Slot;
    use crate::chain::tip::Tip;
    use crate::format::hash::CommitHash;

    fn position(number: u64) -> Position {
        let hash = CommitHash([1; 32]);
        let tip = Tip { store_id: Uuid::nil(), number, hash, head: number, time_ms: 0 };
        Position { slot: Slot(number + 1), entries: 1, tip }
    }

    /// A callback that sees the event of commit 1 appends commit 2, and returns when the replica has that.
    #[test]
    fn a_replica_whose_callback_appends_is_not_behind() {
        let progress = Progress::default();
        progress.applied(&position(2));
        progress.applied(&position(1));
        let record = RecordStatus { position: Some(position(2)), ..RecordStatus::default() };
        assert_eq!(progress.note(record), 0);
        assert_eq!(progress.status().lag_slots, 0);
    }

    #[test]
    fn a_replica_that_lacks_only_what_was_read_later_has_caught_up() {
        let progress = Progress::default();
        for number in [2, 5] {
            let position = Some(position(number));
            let record = RecordStatus { position, caught_up: true, ..RecordStatus::default() };
            progress.note(record);
        }
        progress.applied(&position(2));
        let waited = progress.wait_until_caught_up(Duration::ZERO);
        assert!(matches!(waited, CaughtUp::Yes), "{waited:?}");
    }

    #[test]
    fn a_time_limit_may_be_as_long_as_it_likes() {
        let progress = Progress::default();
        progress.fail("it failed");
        let waited = progress.wait_until_caught_up(Duration::MAX);
        assert!(matches!(waited, CaughtUp::Failed(_)), "{waited:?}");
    }
}
