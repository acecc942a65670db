//! The signatures that support a state, for submission to the chain.

use annals::{Backend, EventStore, ReadError};

use super::recent::signatures_of;
use crate::views::{ChannelState, Signed};
use crate::{ChannelEvent, Hash};

/// A state that is supported by every participant, with the signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportProof {
    /// The turn of the state.
    pub turn_num: u64,
    /// The hash of the state.
    pub state_hash: Hash,
    /// Whether the state is final.
    pub is_final: bool,
    /// For each participant, in order, the last signature that supports the state, and the turn of that signature. It
    /// signs this state, or a state of one of the n - 1 turns before, where n is the number of participants.
    pub signatures: Vec<(u64, Signed)>,
}

impl SupportProof {
    /// Returns the proof of the supported state. Returns `None` if no state is supported.
    pub(super) fn of_supported<B: Backend<ChannelEvent>>(
        store: &EventStore<ChannelEvent, B>,
        channel_id: Hash,
        state: &ChannelState,
    ) -> Result<Option<Self>, ReadError> {
        let Some(supported) = state.supported else { return Ok(None) };
        let count = state.fixed.as_ref().map_or(0, |fixed| fixed.participants.len() as u64);
        let (turn_num, state_hash) = (supported.turn_num, supported.state_hash);
        let first = turn_num.saturating_sub(count.saturating_sub(1));
        Self::of(store, channel_id, state, (first, turn_num), state_hash)
    }

    /// Returns the proof of the final state that every participant signed. Returns `None` if they signed no final
    /// state.
    pub(super) fn of_final<B: Backend<ChannelEvent>>(
        store: &EventStore<ChannelEvent, B>,
        channel_id: Hash,
        state: &ChannelState,
    ) -> Result<Option<Self>, ReadError> {
        let Some(end) = state.finalized else { return Ok(None) };
        Self::of(store, channel_id, state, (end.turn_num, end.turn_num), end.state_hash)
    }

    /// Returns the proof of a state of turn `last`, with signatures from turn `first` on. Returns `None` if a
    /// participant's signature is missing.
    fn of<B: Backend<ChannelEvent>>(
        store: &EventStore<ChannelEvent, B>,
        channel_id: Hash,
        state: &ChannelState,
        (first, last): (u64, u64),
        state_hash: Hash,
    ) -> Result<Option<Self>, ReadError> {
        let Some(fixed) = &state.fixed else { return Ok(None) };
        let mut found: Vec<Option<(u64, Signed)>> = vec![None; fixed.participants.len()];
        let mut is_final = false;
        for turn_num in (first..=last).rev() {
            for signed in &*signatures_of(store, channel_id, state, turn_num)? {
                if turn_num == last && signed.state_hash != state_hash {
                    continue;
                }
                is_final |= turn_num == last && signed.is_final;
                let by = fixed.participants.iter().position(|one| *one == signed.signer);
                if let Some(slot) = by.and_then(|by| found.get_mut(by)) {
                    slot.get_or_insert_with(|| (turn_num, signed.clone()));
                }
            }
        }
        let signatures: Option<Vec<_>> = found.into_iter().collect();
        Ok(signatures.map(|signatures| Self { turn_num: last, state_hash, is_final, signatures }))
    }
}
