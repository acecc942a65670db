//! Reads and subscriptions with UmaDB's rules, as streams of messages.

use std::sync::Arc;

use futures_core::Stream;
use futures_util::stream::unfold;
use tonic::Status;

use super::incoming::{self, MAX_EVENT_BYTES};
use super::messages::{ReadRequest, SubscribeRequest};
use super::outgoing::EventsMessage;
use crate::fault::{Fault, Kind};
use crate::following::Following;
use crate::pages::{Cursor, Page, Room, wire_size};
use crate::shared::Shared;

/// The number of events in one message, unless the request says otherwise.
const BATCH: u32 = 1_024;
/// The largest number of events in one message.
const MAX_BATCH: u32 = 4_096;
/// The size up to which events are added to a message, in bytes: 3.5 MiB.
const MESSAGE_BYTES: usize = 3_584 << 10;

fn room(batch_size: Option<u32>) -> Room {
    let events = batch_size.unwrap_or(BATCH).clamp(1, MAX_BATCH) as usize;
    Room { events, bytes: MESSAGE_BYTES }
}

/// What the head of a message is.
#[derive(Debug, Clone, Copy)]
enum HeadRule {
    /// The head when the read began: the read has no limit.
    AtBegin(u64),
    /// The position of the message's last event: the read has a limit.
    LastEvent,
}

/// Returns the messages of a read.
pub(crate) fn read(
    shared: &Arc<Shared>,
    request: ReadRequest,
) -> Result<impl Stream<Item = Result<EventsMessage, Status>> + Send + use<>, Fault> {
    if request.subscribe == Some(true) {
        return Err(Fault::invalid("the field subscribe is no longer supported; call Subscribe"));
    }
    let query = Arc::new(incoming::query(request.query)?);
    let head = shared.head().get();
    let reverse = request.backwards == Some(true);
    let range = match (request.start, reverse) {
        (None, _) => 0..head,
        (Some(start), false) => start.saturating_sub(1).min(head)..head,
        (Some(start), true) => 0..start.min(head),
    };
    let (rule, left) = match request.limit {
        None => (HeadRule::AtBegin(head), u64::MAX),
        Some(limit) => (HeadRule::LastEvent, u64::from(limit)),
    };
    let state = Reading {
        shared: Arc::clone(shared),
        cursor: Cursor { query, range, reverse, left },
        room: room(request.batch_size),
        rule,
        // A read of 0 events has no message at all.
        next: if request.limit == Some(0) { Next::End } else { Next::First },
    };
    Ok(unfold(state, |mut reading| async move {
        let message = reading.message().await?;
        Some((message.map_err(Status::from), reading))
    }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    First,
    Later,
    End,
}

struct Reading {
    shared: Arc<Shared>,
    cursor: Cursor,
    room: Room,
    rule: HeadRule,
    next: Next,
}

impl Reading {
    /// Returns the next message; `None` at the end.
    async fn message(&mut self) -> Option<Result<EventsMessage, Fault>> {
        let first = self.next == Next::First;
        if self.next == Next::End || (!first && self.cursor.is_done()) {
            return None;
        }
        self.next = Next::Later;
        let read = self.shared.read_page(&mut self.cursor, self.room).await;
        let page = match read.and_then(sendable) {
            Ok(page) => page,
            Err(fault) => {
                self.next = Next::End;
                return Some(Err(fault));
            }
        };
        // A client takes an empty message for the end of the stream. Only a read without a match sends one.
        if page.is_empty() && !first {
            return None;
        }
        let head = match self.rule {
            HeadRule::AtBegin(head) => (head > 0).then_some(head),
            HeadRule::LastEvent => page.last().map(|last| last.offset + 1),
        };
        Some(Ok(EventsMessage { events: page, head }))
    }
}

/// Refuses a page with an event that UmaDB's clients cannot receive.
fn sendable(page: Page) -> Result<Page, Fault> {
    let too_large = page.iter().find(|recorded| {
        wire_size(&recorded.event) > MESSAGE_BYTES
            && recorded.event.body().len() > MAX_EVENT_BYTES + (32 << 10)
    });
    match too_large {
        None => Ok(page),
        Some(recorded) => {
            let offset = recorded.offset;
            let message = format!(
                "the event at position {} (offset {offset}) is larger than the 4 MiB that UmaDB's clients read; GET \
                 /v1/events/{offset} over HTTP returns it",
                offset + 1
            );
            Err(Fault::new(Kind::EventTooLarge, message).with("offset", offset))
        }
    }
}

/// Returns the messages of a subscription.
pub(crate) fn subscribe(
    shared: &Arc<Shared>,
    request: SubscribeRequest,
    client: String,
) -> Result<impl Stream<Item = Result<EventsMessage, Status>> + Send + use<>, Fault> {
    let query = Arc::new(incoming::query(request.query)?);
    let after = request.after.unwrap_or(0);
    // Behind the last position there can be no event.
    let ended = after == u64::MAX;
    let room = room(request.batch_size);
    let following = Following::new(shared, "grpc", client, query, after, room)?.ended_if(ended);
    Ok(unfold(following, |mut following| async move {
        let events = following.next().await?;
        let events = events.and_then(sendable);
        let message = events.map(|events| EventsMessage { events, head: None });
        Some((message.map_err(Status::from), following))
    }))
}

#[cfg(test)]
mod tests {
    use annals::RawEvent;
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn an_event_too_large_for_clients_ends_a_read_with_its_address() {
        let shared = Arc::new(Shared::in_memory());
        for size in [1, 5 << 20] {
            let event = RawEvent::builder("a").data(vec![b' '; size]).build().unwrap();
            shared.store.append(event.into()).unwrap();
        }
        let read = read(&shared, ReadRequest::default()).unwrap();
        let messages: Vec<_> = read.collect().await;
        assert_eq!(messages.len(), 2, "the events before it are sent");
        assert_eq!(messages[0].as_ref().unwrap().events.len(), 1);
        let status = messages[1].as_ref().unwrap_err();
        assert_eq!(status.code(), tonic::Code::OutOfRange);
        assert!(status.message().contains("/v1/events/1"), "{status}");
    }

    #[tokio::test]
    async fn a_subscription_sends_what_is_appended_and_ends_with_the_server() {
        let shared = Arc::new(Shared::in_memory());
        let append =
            || shared.store.append(RawEvent::builder("a").build().unwrap().into()).unwrap();
        append();
        let subscription = subscribe(&shared, SubscribeRequest::default(), "peer".into()).unwrap();
        let mut subscription = std::pin::pin!(subscription);
        let mut next = async || {
            let message = subscription.next().await?;
            Some(message.unwrap().events.iter().map(|event| event.offset).collect::<Vec<_>>())
        };
        assert_eq!(next().await, Some(vec![0]));
        append();
        append();
        assert_eq!(next().await, Some(vec![1, 2]));
        assert_eq!(shared.cursors.list()[0].position(), 3);
        shared.drain();
        assert_eq!(next().await, None);
    }
}
