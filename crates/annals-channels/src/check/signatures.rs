//! The signatures that evidence shows, the states that they sign, and signers of two states for one turn.

use std::collections::BTreeMap;

use annals::Event;
use annals_proof::Findings;

use crate::event::ChannelEvent;
use crate::hex::{Address, Hash};
use crate::signing::recover;
use crate::state::State;
use crate::views::signed_by;

/// The largest number of states in evidence.
pub(crate) const MAX_STATES: usize = 4_096;

/// The largest number of their signatures that are checked.
const MAX_SIGNATURES: usize = 8_192;

/// A valid signature in a shown event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShownSignature {
    /// The offset of the event.
    pub offset: u64,
    /// The account that signed.
    pub signer: Address,
}

/// A whole state that evidence shows, and the accounts that signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShownState {
    /// The state.
    pub state: State,
    /// Its hash, which the accounts signed.
    pub state_hash: Hash,
    /// The signatures, in ascending order of offset.
    pub signatures: Vec<ShownSignature>,
}

/// An account that signed two states for one turn of a channel. Both states are shown whole, and each has the account's
/// own signature, so this does not depend on what the log's owner recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Convicted {
    /// The account.
    pub signer: Address,
    /// The channel.
    pub channel_id: Hash,
    /// The turn.
    pub turn_num: u64,
    /// The hashes of the two states.
    pub state_hashes: [Hash; 2],
    /// The offsets of the events with the two signatures.
    pub offsets: [u64; 2],
}

/// Checks that each state has a valid signature in a shown event, and returns the states with their signatures. An
/// event with a signature that is not valid shows nothing.
pub(super) fn states(states: Vec<State>, found: &Findings) -> Result<Vec<ShownState>, String> {
    if states.len() > MAX_STATES {
        return Err(format!("at most {MAX_STATES} states are shown; there are {}", states.len()));
    }
    let mut shown: BTreeMap<Hash, ShownState> = BTreeMap::new();
    let mut order = Vec::with_capacity(states.len());
    for state in states {
        let state_hash = state.hash();
        order.push(state_hash);
        let new = ShownState { state, state_hash, signatures: Vec::new() };
        if shown.insert(state_hash, new).is_some() {
            return Err(format!("the state {state_hash} is there twice"));
        }
    }
    let mut left = MAX_SIGNATURES;
    for event in &found.events {
        let offset = event.offset();
        let event = event.event().and_then(|raw| ChannelEvent::decode(&raw).ok());
        let Some((_, signed)) = event.as_ref().and_then(signed_by) else { continue };
        let Some(state) = shown.get_mut(&signed.state_hash) else { continue };
        // Recovering takes long, so a file must not ask for any number of them.
        left = left.checked_sub(1).ok_or_else(|| {
            format!("at most {MAX_SIGNATURES} signatures of the states are checked; there are more")
        })?;
        if recover(signed.state_hash, signed.signature) == Ok(signed.signer) {
            state.signatures.push(ShownSignature { offset, signer: signed.signer });
        }
    }
    if let Some(unsigned) = shown.values().find(|state| state.signatures.is_empty()) {
        let state_hash = unsigned.state_hash;
        return Err(format!("no shown event has a valid signature of the state {state_hash}"));
    }
    Ok(order.iter().filter_map(|hash| shown.remove(hash)).collect())
}

/// Returns the accounts that signed two states for one turn, each once for each turn.
pub(super) fn convicted(states: &[ShownState]) -> Vec<Convicted> {
    let mut first: BTreeMap<(Hash, u64, Address), (Hash, u64)> = BTreeMap::new();
    let mut convicted: BTreeMap<(Hash, u64, Address), Convicted> = BTreeMap::new();
    for shown in states {
        let (channel_id, turn_num) = (shown.state.channel_id, shown.state.turn_num);
        for &ShownSignature { offset, signer } in &shown.signatures {
            let key = (channel_id, turn_num, signer);
            let (hash, at) = *first.entry(key).or_insert((shown.state_hash, offset));
            if hash != shown.state_hash {
                let (state_hashes, offsets) = ([hash, shown.state_hash], [at, offset]);
                let found = Convicted { signer, channel_id, turn_num, state_hashes, offsets };
                convicted.entry(key).or_insert(found);
            }
        }
    }
    convicted.into_values().collect()
}
