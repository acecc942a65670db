//! What the signatures that a party has add up to.

use std::num::NonZeroU32;

use crate::rules::channel_rule;
use crate::views::ChannelState;
use crate::{ChannelEvent, ChannelFinalized, EventVersion, Hash, StateSupportedUpdated};

/// The latest turn after the supported one that is supported now, and the final state that everyone signed.
///
/// The rules say what supports a turn. Parties that have the same signatures agree on the same state, in whatever
/// order these came.
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
        later.flat_map(|(turn_num, signed)| signed.iter().map(|signed| (*turn_num, signed)))
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
