//! What an operator does with a group that is open: list, replay and drop parked events, and reset the position.

use annals::{Backend, Event};

use super::core::Core;
use super::event::GroupEvent;
use super::group::{Group, ParkedEvent};
use super::machine::ParkedEvents;
use super::schedule::Keys;
use super::state::GroupState;
use crate::error::ConsumerError;

impl<E: Event, B: Backend<E>> Group<E, B> {
    /// Returns the parked events in order, at most `limit`, from offset `from` on.
    #[must_use]
    pub fn parked(&self, from: u64, limit: usize) -> Vec<ParkedEvent> {
        parked(self.shared.core.lock().machine.state(), from, limit)
    }

    /// Delivers parked events again, with all their attempts. Returns their number.
    ///
    /// Each is delivered before the waiting events of its keys that have higher offsets. They do not move the position.
    ///
    /// # Errors
    /// [`ConsumerError::NotParked`] if there is no parked event at one of the offsets; nothing is replayed then.
    /// [`ConsumerError::StateLogNotWritten`], [`ConsumerError::Read`].
    pub fn replay_parked(&self, which: ParkedEvents<'_>) -> Result<u64, ConsumerError> {
        self.unpark(which, |offsets| GroupEvent::ParkedReplayed { offsets })
    }

    /// Drops parked events: they count as handled. Returns their number.
    ///
    /// # Errors
    /// As [`replay_parked`](Self::replay_parked).
    pub fn drop_parked(&self, which: ParkedEvents<'_>) -> Result<u64, ConsumerError> {
        self.unpark(which, |offsets| GroupEvent::ParkedDropped { offsets })
    }

    /// Continues at offset `to`: the events of the query from there on are delivered, whether or not they were before.
    /// Every lease is lost, and parked events from `to` on are not parked any more.
    ///
    /// # Errors
    /// [`ConsumerError::ResetBeyondHead`], [`ConsumerError::StateLogNotWritten`].
    pub fn reset(&self, to: u64) -> Result<(), ConsumerError> {
        let head = self.shared.store.len();
        if to > head {
            return Err(ConsumerError::ResetBeyondHead { to, head });
        }
        let mut core = self.shared.core.lock();
        core.commit(&[GroupEvent::PositionReset { to }], [])?;
        drop(core);
        self.shared.wake_all();
        Ok(())
    }

    fn unpark(
        &self,
        which: ParkedEvents<'_>,
        event: impl FnOnce(Vec<u64>) -> GroupEvent,
    ) -> Result<u64, ConsumerError> {
        let shared = &self.shared;
        let mut core = shared.core.lock();
        let keys = |offset| shared.source.keys_at(&shared.store, offset);
        let count = unpark(&mut core, which, keys, event)?;
        shared.after(core);
        Ok(count)
    }
}

/// Replays or drops parked events.
pub(crate) fn unpark(
    core: &mut Core,
    which: ParkedEvents<'_>,
    keys: impl Fn(u64) -> Result<Keys, ConsumerError>,
    event: impl FnOnce(Vec<u64>) -> GroupEvent,
) -> Result<u64, ConsumerError> {
    let not_parked = |offset| ConsumerError::NotParked { offset };
    let offsets = core.machine.selected(which).map_err(not_parked)?;
    if offsets.is_empty() {
        return Ok(0);
    }
    let with_keys = |&offset: &u64| Ok((offset, keys(offset)?));
    let keys: Vec<(u64, Keys)> =
        offsets.iter().map(with_keys).collect::<Result<_, ConsumerError>>()?;
    let count = offsets.len() as u64;
    core.commit(&[event(offsets)], keys)?;
    Ok(count)
}

/// Returns the parked events of a state.
pub(crate) fn parked(state: &GroupState, from: u64, limit: usize) -> Vec<ParkedEvent> {
    let event = |(&offset, parked): (&u64, &super::state::Parked)| ParkedEvent {
        offset,
        attempts: parked.attempts,
        at_ms: parked.at_ms,
        reason: parked.reason.clone(),
    };
    state.parked.range(from..).take(limit).map(event).collect()
}
