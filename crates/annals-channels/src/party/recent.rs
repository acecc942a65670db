//! What a party keeps in mind of its channel: all that may still matter, and nothing that grows with every turn.
//!
//! ```text
//!   turns   0 … … … … … … … │ supported - 63 … supported │ later …
//!           only in the log │ in mind                    │ in mind
//! ```
//! A turn that far behind the supported one is *settled*: nothing is decided by it any more, but that nobody may sign
//! another state for it. Of settled turns each participant's last signature stays in mind, so that what a party may
//! sign next never depends on anything else; the others are looked up in the log when a settled turn is asked for.

use std::borrow::Cow;

use annals::{Backend, EventStore, Projection, Query, QueryItem, ReadError, Recorded};

use crate::views::{Channel, ChannelState, Signed, signed_by};
use crate::{Address, ChannelEvent, Hash, StateReceived, StateSigned};

/// How many turns up to the supported one are in mind; of more participants, as many as they are. What supports a
/// turn lies on the last n.
const TURNS: u64 = 64;

/// The projection of one channel, settled turns left out.
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

/// The first turn that is not settled.
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

/// The last turn that this account signed, and what it signed for it.
pub(super) fn last_signed(state: &ChannelState, signer: Address) -> Option<(u64, &Signed)> {
    state
        .signatures
        .iter()
        .rev()
        .find_map(|(turn, all)| Some((*turn, all.iter().find(|one| one.signer == signer)?)))
}

/// All signatures of a turn: from the state, or from the log if the turn is settled.
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
