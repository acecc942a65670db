//! Reads and subscriptions with UmaDB's rules, as streams of messages.

use std::sync::Arc;

use annals::HeadWaiter;
use futures_core::Stream;
use futures_util::stream::unfold;
use std::future::poll_fn;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tonic::Status;

use super::incoming::{self, MAX_EVENT_BYTES};
use super::messages::{ReadRequest, SubscribeRequest};
use super::outgoing::EventsMessage;
use crate::cursors::Watch;
use crate::fault::{Fault, Kind};
use crate::pages::{Cursor, Page, Room, wire_size};
use crate::shared::{Phase, Shared, draining};

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
        // An empty message in mid-stream would be the end to clients. Only a read without a match sends one.
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
    let following = Following {
        watch: shared.cursors.watch("grpc", client, Arc::clone(&query), after),
        cursor: Cursor::new(query, after..after),
        room: room(request.batch_size),
        waiter: shared.head().waiter(),
        phase: shared.phase(),
        // Behind the last position there can be no event.
        ended: after == u64::MAX,
        _permit: shared.subscription_permit()?,
        shared: Arc::clone(shared),
    };
    Ok(unfold(following, |mut following| async move {
        let events = following.next().await?;
        let events = events.and_then(sendable);
        following.ended |= events.is_err();
        let message = events.map(|events| EventsMessage { events, head: None });
        Some((message.map_err(Status::from), following))
    }))
}

/// A subscription: reads what is there, and waits for the head.
pub(crate) struct Following {
    pub(crate) shared: Arc<Shared>,
    pub(crate) cursor: Cursor,
    pub(crate) room: Room,
    pub(crate) waiter: HeadWaiter,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) watch: Watch,
    pub(crate) ended: bool,
    pub(crate) _permit: OwnedSemaphorePermit,
}

impl Following {
    /// Returns the next events; `None` once the server ends. It takes all that is there, and waits only for more.
    pub(crate) async fn next(&mut self) -> Option<Result<Page, Fault>> {
        loop {
            if self.ended || *self.phase.borrow() == Phase::Draining {
                return None;
            }
            let head = self.shared.head().get();
            self.cursor.range.end = head.max(self.cursor.range.start);
            if self.cursor.is_done() {
                self.watch.set(self.cursor.range.start);
                self.wait().await?;
                continue;
            }
            match self.shared.read_page(&mut self.cursor, self.room).await {
                Ok(page) => {
                    if self.cursor.range.is_empty() {
                        // An exhausted range may be anything empty; the next one begins at the head that was read.
                        self.cursor.range = head..head;
                    }
                    self.watch.set(self.cursor.range.start);
                    if !page.is_empty() {
                        return Some(Ok(page));
                    }
                }
                Err(fault) => {
                    self.ended = true;
                    return Some(Err(fault));
                }
            }
        }
    }

    /// Returns whether everything up to the head was returned.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.cursor.range.start >= self.shared.head().get()
    }

    /// Waits for the head to move. Returns `None` once the server drains or the store is closed.
    async fn wait(&mut self) -> Option<()> {
        let (seen, waiter, phase) = (self.cursor.range.start, &mut self.waiter, &mut self.phase);
        tokio::select! {
            head = poll_fn(|context| waiter.poll_beyond(seen, context.waker())) => {
                // The head of a closed log does not move.
                (head > seen).then_some(())
            }
            () = draining(phase) => None,
        }
    }
}
