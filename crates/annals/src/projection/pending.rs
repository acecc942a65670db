//! The states of a fold that may become snapshots. A fold takes few of them, however long it is, since each costs a
//! clone.
//!
//! ```text
//!   beginning ────┬─────────┬────────────────┬──────────────┬───┬───┬──▶ end
//!                 each a third further on than the last     the last ones
//! ```
//! Only the last states are stored. The number of remaining offsets bounds the number of remaining events. While many
//! offsets remain, a state that is taken is likely to be dropped again. So a state is then taken only when the fold has
//! grown by a third since the last one, and all these clones together cost about four clones of the largest state. If
//! the projection reads few of the log's events, the fold may end without further events; then the state at the end is
//! taken.

use std::collections::VecDeque;

use super::folded::Folded;
use crate::snapshot::policy::SnapshotPolicy;

/// The states of one fold that may become snapshots.
pub(super) struct PendingSnapshots<S> {
    policy: SnapshotPolicy,
    /// The head at which the fold ends.
    end: u64,
    /// The number of events folded so far, and since a state was last taken.
    folded: u64,
    since_taken: u64,
    states: VecDeque<PendingSnapshot<S>>,
}

/// A state that may become a snapshot.
pub(super) struct PendingSnapshot<S> {
    pub(super) state: S,
    pub(super) head: u64,
    /// The offset of the last event in the state.
    pub(super) last: Option<u64>,
}

impl<S> PendingSnapshots<S> {
    /// Returns an empty list, for a fold up to `end`.
    pub(super) fn new(policy: SnapshotPolicy, end: u64) -> Self {
        Self { policy, end, folded: 0, since_taken: 0, states: VecDeque::new() }
    }

    /// Returns the states, in order.
    pub(super) fn into_states(self) -> VecDeque<PendingSnapshot<S>> {
        self.states
    }
}

impl<S: Clone> PendingSnapshots<S> {
    /// Takes the state after an event, if a snapshot is due and worth a clone.
    pub(super) fn offer(&mut self, folded: &mut Folded<S>) {
        self.folded += 1;
        self.since_taken += 1;
        if folded.since < self.policy.every {
            return;
        }
        folded.since = 0;
        let kept = self.policy.every.saturating_mul(self.policy.keep as u64);
        let is_among_last = self.end.saturating_sub(folded.head) < kept;
        if is_among_last || self.since_taken >= self.folded / 4 {
            self.take(folded);
        }
    }

    /// Takes the state at the end, if a snapshot was due since the last one.
    pub(super) fn finish(&mut self, folded: &mut Folded<S>) {
        if self.since_taken > folded.since {
            folded.since = 0;
            self.take(folded);
        }
    }

    fn take(&mut self, folded: &Folded<S>) {
        if self.states.len() == self.policy.keep {
            self.states.pop_front();
        }
        let Folded { state, head, last, .. } = folded;
        self.states.push_back(PendingSnapshot { state: state.clone(), head: *head, last: *last });
        self.since_taken = 0;
    }
}
