//! States on their way to become snapshots, of which a fold takes few however long it is: each costs a clone.
//!
//! ```text
//!   beginning ────┬─────────┬────────────────┬──────────────┬───┬───┬──▶ end
//!                 each a third further on than the last     the last ones
//! ```
//! Only the last are kept, and how many events are still to come is bounded by the offsets that are left. Until
//! these are few, what is taken is likely to be dropped again: so a state is taken only when the fold has grown by
//! a third since the last, and all these clones together cost about four of the largest. Where the projection reads
//! few of the events, the end may come without warning; then the state there is taken.

use std::collections::VecDeque;

use super::folded::Folded;
use crate::snapshot::SnapshotPolicy;

/// The states of one fold that are worth keeping.
pub(super) struct PendingSnapshots<S> {
    policy: SnapshotPolicy,
    /// Where the fold ends.
    end: u64,
    /// Events folded so far, and those of them since a state was taken.
    folded: u64,
    since_taken: u64,
    states: VecDeque<PendingSnapshot<S>>,
}

/// A state to keep.
pub(super) struct PendingSnapshot<S> {
    pub(super) state: S,
    pub(super) head: u64,
    /// The offset of the last event in it.
    pub(super) last: Option<u64>,
}

impl<S> PendingSnapshots<S> {
    /// For a fold up to `end`.
    pub(super) fn new(policy: SnapshotPolicy, end: u64) -> Self {
        Self { policy, end, folded: 0, since_taken: 0, states: VecDeque::new() }
    }

    /// The states, in order.
    pub(super) fn into_states(self) -> VecDeque<PendingSnapshot<S>> {
        self.states
    }
}

impl<S: Clone> PendingSnapshots<S> {
    /// Takes the state after another event, if it is time for it.
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

    /// Takes the state at the end, if it was time for one since the last.
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
