//! The supported turn and the final state that follow from a party's signatures.

use std::num::NonZeroU32;

use crate::rules::channel_rule;
use crate::views::ChannelState;
use crate::{ChannelEvent, ChannelFinalized, EventVersion, Hash, StateSupportedUpdated};

/// Returns events for the latest turn after the supported one that is supported now, and for a final state that every
/// participant signed.
///
/// The rules define which signatures support a turn. Parties with the same signatures agree on the same state, in
/// whatever order the signatures arrived. If a mover signed two states for one turn, they agree on the one with the
/// lower hash. A party that recorded one of the two as supported before the other arrived does not change it.
pub(super) fn agreed(
    state: &ChannelState,
    channel_id: Hash,
    timestamp_ms: u64,
) -> Vec<ChannelEvent> {
    let Some(fixed) = &state.fixed else { return vec![] };
    let participants = &fixed.participants;
    let Ok(count) = u32::try_from(participants.len()) else { return vec![] };
    let Some(num_signatures) = NonZeroU32::new(count) else { return vec![] };
    let prev_supported_turn = state.supported.map_or(0, |supported| supported.turn_num);
    let signed = || {
        let later = state.signatures.range(prev_supported_turn..).rev();
        later.flat_map(|(turn_num, signed)| {
            let mut signed: Vec<_> = signed.iter().map(|signed| (*turn_num, signed)).collect();
            signed.sort_by_key(|(_, signed)| signed.state_hash);
            signed
        })
    };
    let allowed = |event: &ChannelEvent| channel_rule(state, event).is_ok();
    let support = signed().map(|(supported_turn, signed)| {
        ChannelEvent::from(StateSupportedUpdated {
            channel_id,
            event_version: EventVersion,
            num_signatures,
            prev_supported_turn,
            state_hash: signed.state_hash,
            supported_turn,
            timestamp_ms,
        })
    });
    let end = signed().filter(|(_, signed)| state.finalized.is_none() && signed.is_final);
    let end = end.map(|(final_turn, signed)| {
        ChannelEvent::from(ChannelFinalized {
            channel_id,
            event_version: EventVersion,
            final_state_hash: signed.state_hash,
            final_turn,
            timestamp_ms,
        })
    });
    support.into_iter().find(allowed).into_iter().chain(end.into_iter().find(allowed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::Signed;
    use crate::{Address, FixedPart, Signature};

    fn address(number: u8) -> Address {
        Address::new([number; 20])
    }

    fn signed(participant: u8, state: u8) -> Signed {
        Signed {
            signer: address(participant),
            state_hash: Hash::new([state; 32]),
            signature: Signature::new([0; 65]),
            is_final: false,
            own: false,
        }
    }

    #[test]
    fn of_two_states_of_a_mover_that_all_support_everyone_takes_the_same() {
        let fixed = FixedPart {
            participants: vec![address(0), address(1), address(2)].try_into().expect("three"),
            channel_nonce: 1,
            app_definition: address(9),
            challenge_duration: std::num::NonZeroU32::MIN,
        };
        let channel_id = fixed.channel_id();
        for [first, second] in [[7, 8], [8, 7]] {
            let mut state = ChannelState { fixed: Some(fixed.clone()), ..ChannelState::default() };
            state.signatures.insert(3, vec![signed(0, 1)]);
            state.signatures.insert(4, vec![signed(1, 2)]);
            state.signatures.insert(5, vec![signed(2, first), signed(2, second)]);
            let agreed = agreed(&state, channel_id, 0);
            let [ChannelEvent::StateSupportedUpdated(support)] = &agreed[..] else {
                panic!("{agreed:?}");
            };
            assert_eq!((support.supported_turn, support.state_hash), (5, Hash::new([7; 32])));
        }
    }
}
