//! The protocol of a writer and reader, as a state machine: no input, no output, no clock.

use uuid::Uuid;

use super::flight::Waiting;
use super::messages::{Divergence, Input, Now, Output, Refusal};
use super::rejoin::Rejoin;
use super::replica::Replica;
use super::settings::CoreSettings;
use super::state::{Counts, End, State};
use crate::chain::chain::{Chain, Position};
use crate::chain::slot::Slot;

/// Where a core begins.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// The id of the store. With it, only the record with that id counts.
    pub store_id: Option<Uuid>,
    /// Positions of the replica in the record, with increasing numbers and no number left out. The core continues
    /// behind the last one; without any, it reads the record from its beginning.
    pub positions: Vec<Position>,
    /// The number of events that the replica has. It may have more than the last position says: then the core appends
    /// nothing until the record has shown these events as well.
    pub replica_head: u64,
    /// Whether all commits behind the first position are read again and compared, as after a divergence.
    pub compare_all: bool,
    /// The last slot that the record had before the core began, if it is known. With it, a core catches up although
    /// other processes append faster than it reads. Otherwise only a read without new entries says that it has.
    pub last: Option<Slot>,
}

/// Appends batches to a record and follows it, for one replica.
///
/// One thread drives a core: it passes each [`Input`] to [`step`](Self::step), and does what the returned [`Output`]s
/// say. The outputs of `Append`, `Read` and `Anchor` may take any time and may be answered in any order.
#[derive(Debug, Clone)]
pub struct Core {
    state: State,
}

impl Core {
    /// Returns a core that reads the record from its beginning, or that continues behind the last position. With a
    /// position, the core first checks that the record still has the commit there. If not, it goes back to an earlier
    /// position, and reads the commits behind that again: they must have the same hashes.
    #[must_use]
    pub fn new(settings: CoreSettings, start: Start, now: Now) -> Self {
        let Start { store_id, positions, replica_head, compare_all, last } = start;
        let rejoin = Rejoin::new(positions, compare_all);
        let chain = rejoin.checked().map_or_else(|| Chain::new(store_id), Chain::resume);
        let mut state = State::new(settings, chain, now);
        state.replica_head = replica_head;
        state.last_before = last;
        state.rejoin = rejoin;
        state.begin_anchor();
        Self { state }
    }

    /// Takes an input, and returns what is to be done. `now` does not go back. `replica` has applied the commits for
    /// which an [`Input::Applied`] was passed, and perhaps more.
    pub fn step(&mut self, now: Now, input: Input, replica: &dyn Replica) -> Vec<Output> {
        let state = &mut self.state;
        state.now = now;
        match input {
            Input::Submitted { request, batch, deadline_ms } => match state.end {
                None => state.queue.push_back(Waiting {
                    request,
                    batch: batch.into(),
                    deadline_ms: deadline_ms.unwrap_or_else(|| {
                        now.steady_ms.saturating_add(state.settings.append_timeout_ms)
                    }),
                }),
                Some(End::Diverged(divergence)) => {
                    state.answer(request, Err(Refusal::Diverged(divergence)));
                }
                Some(End::ReplicaFailed) => state.answer(request, Err(Refusal::ReplicaFailed)),
            },
            Input::Answered { send, outcome, time_ms } => state.answered(send, &outcome, time_ms),
            Input::Entries { kind, after, entries, time_ms } => {
                state.entries(kind, after, entries, time_ms);
            }
            Input::Anchored { after, count, asked, entries } => {
                state.anchored(after, count, asked, entries);
            }
            Input::Applied { number } => state.applied(number),
            Input::ApplyFailed => state.apply_failed(),
            Input::ApplyDiffers { slot } => state.apply_differs(slot),
            Input::Reconnected => {
                state.forget_connection();
                state.begin_anchor();
                state.read_now();
            }
            Input::Hinted => state.hinted = true,
            Input::Ticked => {}
        }
        if state.end.is_none() {
            state.tick();
            state.launch(replica);
        }
        state.ask_for_reads();
        std::mem::take(&mut state.outputs)
    }

    /// Returns the steady time at which the driver is to pass [`Input::Ticked`] at the latest, in ms; `None` if nothing
    /// waits for a time.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<u64> {
        self.state.next_wakeup()
    }

    /// Returns whether the core has read everything that the record had when the core began, and the replica has nothing
    /// beyond.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.state.caught_up
    }

    /// Returns the last valid commit and its slots; `None` before the genesis was read.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.state.chain.position()
    }

    /// Returns the number of commits that were sent and whose outcome is not known, or may still be wanted by nobody.
    #[must_use]
    pub fn doubts(&self) -> usize {
        let State { flights, abandoned, resend_ms, .. } = &self.state;
        let settling = if resend_ms.is_some() { flights.len() } else { 0 };
        let abandoned = *abandoned || flights.iter().any(|flight| flight.ends_doubt);
        settling + usize::from(abandoned)
    }

    /// Returns how the record differs from the replica; `None` while it does not.
    #[must_use]
    pub fn divergence(&self) -> Option<Divergence> {
        match self.state.end {
            Some(End::Diverged(divergence)) => Some(divergence),
            _ => None,
        }
    }

    /// Returns a number that differs, but for chance, between cores that may behave differently. For model checkers.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.state.fingerprint()
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state.counts
    }
}
