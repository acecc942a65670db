//! A cursor on the log that waits at the head: catching up and live are one walk, so there is no seam between them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;

use crate::backend::{Backend, Selection};
use crate::head::HeadWaiter;
use crate::meters::CursorPosition;
use crate::{Event, EventRef, Query, ReadError};

/// Events read ahead at most. A cursor that lags costs nothing: the log itself is its buffer.
const PAGE: usize = 64;

/// How often a poll looks again when the head has moved meanwhile.
const POLL_ROUNDS: usize = 16;

/// A cursor over the events that match a query, from an offset on, for ever: first those that are there, then each
/// as it comes.
///
/// As an `Iterator` it blocks at the head; [`stream`](Self::stream) makes a `futures` `Stream` of it. It ends when the
/// store is closed and all was read; after an error it stays where it is and tries again. It borrows the store: a
/// thread that follows takes a clone of the store along and makes the cursor there.
///
/// ```
/// use annals::{EventStore, Query, RawEvent};
/// use std::time::Duration;
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("first").build()?)?;
/// let mut cursor = store.subscription(Query::all(), 0);
/// assert_eq!(cursor.next().unwrap()?.event.event_type(), "first");
/// assert!(cursor.next_timeout(Duration::from_millis(1)).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a cursor reads nothing until it is used"]
pub struct Subscription<'a, E: Event, B> {
    backend: &'a B,
    query: Query,
    /// The next offset to look at.
    next: u64,
    ready: VecDeque<EventRef<'a, E>>,
    page: Vec<EventRef<'a, E>>,
    /// Where it is, for who watches.
    seen: CursorPosition,
    waiter: HeadWaiter,
}

impl<'a, E: Event, B: Backend<E>> Subscription<'a, E, B> {
    pub(crate) fn new(backend: &'a B, query: Query, from: u64) -> Self {
        let seen = CursorPosition::new(backend.head().meters(), from);
        let waiter = backend.head().waiter();
        Self { backend, query, next: from, ready: VecDeque::new(), page: Vec::new(), seen, waiter }
    }

    /// The next event, waiting at most so long for it; `None` if none came, or the log is closed and at its end.
    pub fn next_timeout(
        &mut self,
        timeout: Duration,
    ) -> Option<Result<EventRef<'a, E>, ReadError>> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// The next event if it is there already.
    pub fn try_next(&mut self) -> Option<Result<EventRef<'a, E>, ReadError>> {
        let filled = if self.ready.is_empty() { self.fill() } else { Ok(()) };
        let next = match filled {
            Ok(()) => self.ready.pop_front().map(Ok),
            Err(error) => Some(Err(error)),
        };
        self.seen.moved(Self::position(self));
        next
    }

    /// The same cursor for asynchronous code.
    ///
    /// It borrows the store; a task that must own all it uses takes a clone of the store along:
    /// ```
    /// use annals::{EventStore, Query, RawEvent};
    /// use futures_executor::block_on;
    /// use futures_util::StreamExt;
    /// let store = EventStore::<RawEvent>::in_memory();
    /// let follow = {
    ///     let store = store.clone();
    ///     async move {
    ///         let mut events = store.subscription(Query::all(), 0).stream();
    ///         let mut seen = Vec::new();
    ///         while let Some(event) = events.next().await {
    ///             seen.push(event?.event.event_type().to_owned());
    ///         }
    ///         Ok::<_, annals::ReadError>(seen)
    ///     }
    /// };
    /// store.append(RawEvent::builder("first").build()?)?;
    /// store.close()?; // else it would wait for more
    /// assert_eq!(block_on(follow)?, ["first"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(self) -> EventStream<'a, E, B> {
        EventStream(self)
    }

    /// The offset that it will look at next, all before it having been given or passed over: a place to go on from.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ready.front().map_or(self.next, |event| event.offset)
    }

    /// Goes on at `offset`: behind an event that cannot be read, or back to read again.
    pub fn seek(&mut self, offset: u64) {
        self.ready.clear();
        self.next = offset;
        self.seen.moved(offset);
    }

    fn next_until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Option<Result<EventRef<'a, E>, ReadError>> {
        loop {
            if let Some(event) = self.try_next() {
                return Some(event);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return None;
            }
            if self.waiter.wait_beyond(self.next, deadline) <= self.next {
                return None;
            }
        }
    }

    /// Reads on until something matches or the head is reached.
    fn fill(&mut self) -> Result<(), ReadError> {
        // Up to the head as it is now: who waits has a deadline, or others to let go first.
        let head = self.backend.head().get();
        let meters = self.backend.head().meters();
        self.seen.reads_on(head.saturating_sub(self.next));
        loop {
            if self.next >= head || !self.ready.is_empty() {
                return Ok(());
            }
            let selection = Selection {
                query: &self.query,
                range: self.next..head,
                reverse: false,
                limit: PAGE,
            };
            let read = || self.backend.read(selection, &mut self.page);
            self.next = meters.read_page(read)?.start;
            self.ready.extend(self.page.drain(..));
        }
    }

    fn poll_event(&mut self, waker: &Waker) -> Poll<Option<Result<EventRef<'a, E>, ReadError>>> {
        for _ in 0..POLL_ROUNDS {
            if let Some(event) = self.try_next() {
                return Poll::Ready(Some(event));
            }
            match self.waiter.poll_beyond(self.next, waker) {
                Poll::Ready(head) if head <= self.next => return Poll::Ready(None),
                Poll::Ready(_) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        // The head keeps moving over what does not match: others are let go first.
        waker.wake_by_ref();
        Poll::Pending
    }
}

impl<'a, E: Event, B: Backend<E>> Iterator for Subscription<'a, E, B> {
    type Item = Result<EventRef<'a, E>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None)
    }
}

/// A [`Subscription`] as a `futures` `Stream`: pending at the head, woken when it moves.
#[derive(Debug)]
#[must_use = "a stream reads nothing until it is polled"]
pub struct EventStream<'a, E: Event, B>(Subscription<'a, E, B>);

impl<'a, E: Event, B: Backend<E>> Stream for EventStream<'a, E, B> {
    type Item = Result<EventRef<'a, E>, ReadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.poll_event(context.waker())
    }
}

impl<E: Event, B> Unpin for EventStream<'_, E, B> {}

impl<E: Event, B> std::fmt::Debug for Subscription<'_, E, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("query", &self.query)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::thread_waker;
    use crate::{EventStore, RawEvent};

    #[test]
    fn a_stream_is_pending_at_the_head_and_ends_when_the_store_closes() {
        let store = EventStore::in_memory();
        let mut cursor = store.subscription(Query::all(), 0).stream();
        let waker = thread_waker();
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut cursor).poll_next(&mut context).is_pending());
        store.append(RawEvent::builder("one").build().unwrap()).unwrap();
        let Poll::Ready(Some(Ok(event))) = Pin::new(&mut cursor).poll_next(&mut context) else {
            panic!("no event")
        };
        assert_eq!((event.offset, event.event.event_type()), (0, "one"));
        store.close().unwrap();
        assert!(matches!(Pin::new(&mut cursor).poll_next(&mut context), Poll::Ready(None)));
    }
}
