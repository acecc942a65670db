//! Events of the chain that are recorded already.

use annals::{Backend, Event as _, EventStore, Query, QueryItem, ReadError};

use crate::views::channel_of;
use crate::{AllocationUpdated, ChannelEvent, DepositDetected, WithdrawCompleted};

/// Returns the offset at which this event of the chain is recorded, if it is.
pub(super) fn offset_of<B: Backend<ChannelEvent>>(
    store: &EventStore<ChannelEvent, B>,
    event: &ChannelEvent,
) -> Result<Option<u64>, ReadError> {
    let Some(channel_id) = channel_of(event) else { return Ok(None) };
    let item = QueryItem::new().event_type(event.event_type());
    let query = Query::item(item.tag(format!("channel:{}", channel_id.lower())));
    for recorded in store.query(&query).rev() {
        let recorded = recorded?;
        if same(&recorded.event, event) {
            return Ok(Some(recorded.offset));
        }
    }
    Ok(None)
}

/// Returns whether this is an event of the chain.
pub(super) fn is_chain_event(event: &ChannelEvent) -> bool {
    same(event, event)
}

/// Returns whether both describe the same event of the chain, perhaps recorded at different times. A transaction
/// challenges, clears and concludes once, but may move several amounts.
fn same(one: &ChannelEvent, other: &ChannelEvent) -> bool {
    use ChannelEvent as Event;
    macro_rules! all_but_time {
        ($name:ident, $one:expr, $other:expr) => {
            *$one == $name { timestamp_ms: $one.timestamp_ms, ..$other.clone() }
        };
    }
    macro_rules! position {
        ($one:expr, $other:expr) => {
            ($one.block_num, $one.tx_index) == ($other.block_num, $other.tx_index)
        };
    }
    match (one, other) {
        (Event::DepositDetected(a), Event::DepositDetected(b)) => {
            all_but_time!(DepositDetected, a, b)
        }
        (Event::AllocationUpdated(a), Event::AllocationUpdated(b)) => {
            all_but_time!(AllocationUpdated, a, b)
        }
        (Event::WithdrawCompleted(a), Event::WithdrawCompleted(b)) => {
            all_but_time!(WithdrawCompleted, a, b)
        }
        (Event::ChallengeRegistered(a), Event::ChallengeRegistered(b)) => position!(a, b),
        (Event::ChallengeCleared(a), Event::ChallengeCleared(b)) => position!(a, b),
        (Event::ChannelConcluded(a), Event::ChannelConcluded(b)) => position!(a, b),
        _ => false,
    }
}
