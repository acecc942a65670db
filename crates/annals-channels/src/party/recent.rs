//! The part of a channel's state that a party holds in memory. Its size does not grow with the number of turns.
//!
//! ```text
//!   turns   0 … … … … … … … │ supported - 63 … supported │ later …
//!           only in the log │ in memory                  │ in memory
//! ```
//! A turn so far behind the supported one is *settled*. Only one decision still depends on it: no participant may sign
//! a second state for it. Of settled turns, each participant's last signature stays in memory, because it limits which
//! turn the participant may sign next. The other signatures are looked up in the log when a settled turn is needed.

use std::borrow::Cow;

use annals::{Backend, EventStore, Projection, Query, QueryItem, ReadError, Recorded};

use crate::views::{Channel, ChannelState, Signed, signed_by};
use crate::{Address, ChannelEvent, Hash, StateReceived, StateSigned};

/// The number of turns up to the supported one that are in memory. A channel of n > 64 participants has n turns in
/// memory, because the signatures that support a turn are of the last n turns.
const TURNS: u64 = 64;

/// The projection of one channel without its settled turns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recent(pub(super) Hash);

impl Projection for Recent {
    type Event = ChannelEvent;
    type State = ChannelState;

    fn initial(&self) -> ChannelState {
        ChannelState::default()
    }

    fn query(&self) -> Query {
        Channel(self.0).query()
    }

    fn apply(&self, state: &mut ChannelState, event: &Recorded<ChannelEvent>) {
        Channel(self.0).apply(state, event);
        forget_settled(state);
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("annals-channels::Party")
    }
}

/// Returns the first turn that is not settled.
fn first_kept(state: &ChannelState) -> u64 {
    let participants = state.fixed.as_ref().map_or(0, |fixed| fixed.participants.len() as u64);
    let supported = state.supported.map_or(0, |supported| supported.turn_num);
    supported.saturating_sub(TURNS.max(participants) - 1)
}

fn forget_settled(state: &mut ChannelState) {
    let settled: Vec<u64> =
        state.signatures.range(..first_kept(state)).map(|(turn, _)| *turn).collect();
    for turn_num in settled {
        let mut kept = state.signatures.remove(&turn_num).unwrap_or_default();
        let by = |signer: Address| move |one: &Signed| one.signer == signer;
        kept.retain(|one| {
            let mut later = state.signatures.range(turn_num..).rev();
            !later.any(|(_, signed)| signed.iter().any(by(one.signer)))
        });
        if !kept.is_empty() {
            state.signatures.insert(turn_num, kept);
        }
    }
}

/// Returns the last turn that this account signed, and its signature.
pub(super) fn last_signed(state: &ChannelState, signer: Address) -> Option<(u64, &Signed)> {
    state
        .signatures
        .iter()
        .rev()
        .find_map(|(turn, all)| Some((*turn, all.iter().find(|one| one.signer == signer)?)))
}

/// Returns all signatures of a turn, from the state, or from the log if the turn is settled.
pub(super) fn signatures_of<'a, B: Backend<ChannelEvent>>(
    store: &EventStore<ChannelEvent, B>,
    channel_id: Hash,
    state: &'a ChannelState,
    turn_num: u64,
) -> Result<Cow<'a, [Signed]>, ReadError> {
    if turn_num >= first_kept(state) {
        return Ok(Cow::Borrowed(state.signatures_at(turn_num)));
    }
    let item = QueryItem::new().event_type(StateSigned::TYPE).event_type(StateReceived::TYPE);
    let signed = Query::item(item.tag(format!("channel:{}", channel_id.lower())));
    let mut found = Vec::new();
    for event in store.query(&signed) {
        match signed_by(&event?.event) {
            Some((turn, signed)) if turn == turn_num => found.push(signed),
            _ => {}
        }
    }
    Ok(Cow::Owned(found))
}
