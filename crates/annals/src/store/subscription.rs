//! A cursor on the log that waits at the head: catching up and live are one walk, so there is no seam between them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::events::{UnknownEvents, undecoded};
use crate::backend::backend::{Backend, Selection};
use crate::backend::head::HeadWaiter;
use crate::error::{InvalidQuery, ReadError};
use crate::event::event::{Event, EventRef};
use crate::metrics::cursor_position::CursorPosition;
use crate::query::Query;

/// Events read ahead at most. A cursor that lags costs nothing: the log itself is its buffer.
const PAGE: usize = 64;

/// What reading a page without a match counts, in events, before a stream lets other tasks go first.
const EMPTY_PAGE: usize = 4;

/// A cursor over the events that match a query, from an offset on, for ever: first those that are there, then each
/// as it comes.
///
/// As an `Iterator` it blocks at the head; [`stream`](Self::stream) makes a `futures` `Stream` of it. It ends when the
/// store is closed and all was read. It borrows the store: a thread that follows takes a clone of the store along and
/// makes the cursor there.
///
/// **Errors.** Each is returned once, and no event is left out without one:
/// * An event that cannot be decoded is an error, and the cursor then goes on behind that event. (With
///   [`unknown_events`](Self::unknown_events) it passes over those whose type the program does not know.)
/// * After any other error (damage, a failure of the system) the cursor stops: it returns `None`, and
///   [`is_stopped`](Self::is_stopped) is true. [`position`](Self::position) is in front of what cannot be read.
///   [`seek`](Self::seek) goes on: to the same position to try again, or to one behind the damage.
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
    /// An error is given once; then the cursor has ended.
    query: Result<Query, Option<InvalidQuery>>,
    /// The next offset to look at.
    next: u64,
    ready: VecDeque<EventRef<'a, E>>,
    page: Vec<EventRef<'a, E>>,
    /// Where it is, for who watches.
    seen: CursorPosition,
    unknown: UnknownEvents,
    passed_over: u64,
    /// Reading failed, and not for one event.
    stopped: bool,
    /// Events that a stream gave since it let other tasks go first.
    given: usize,
    waiter: HeadWaiter,
}

impl<'a, E: Event, B: Backend<E>> Subscription<'a, E, B> {
    pub(crate) fn new(backend: &'a B, query: Result<Query, InvalidQuery>, from: u64) -> Self {
        let query = query.map_err(Some);
        let seen = CursorPosition::new(backend.head().meters(), from);
        Self {
            backend,
            query,
            next: from,
            ready: VecDeque::new(),
            page: Vec::new(),
            seen,
            unknown: UnknownEvents::default(),
            passed_over: 0,
            stopped: false,
            given: 0,
            waiter: backend.head().waiter(),
        }
    }

    /// Sets what to do with events of unknown types: an error for each by default.
    ///
    /// ```
    /// # use annals::{Event, EventStore, Query, RawEvent, UnknownEvents};
    /// # #[derive(Event, Debug)]
    /// # enum Booking { SeatFreed { seat: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("log.store");
    /// # EventStore::<RawEvent>::open(&path)?.append(RawEvent::builder("seat-upgraded").build()?)?;
    /// # let store = EventStore::<Booking>::open(&path)?;
    /// # store.append(Booking::SeatFreed { seat: 1 })?;
    /// // The log begins with an event of a type that `Booking` does not have.
    /// let mut cursor = store.subscription(Query::all(), 0).unknown_events(UnknownEvents::PassOver);
    /// assert_eq!(cursor.next().unwrap()?.offset, 1);
    /// assert_eq!(cursor.passed_over(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unknown_events(mut self, unknown: UnknownEvents) -> Self {
        self.unknown = unknown;
        self
    }

    /// Returns how many events of unknown types were passed over so far.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Returns whether the cursor stopped after damage or a failure of the system, until it is told to
    /// [`seek`](Self::seek).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The next event, waiting at most so long for it; `None` if none came, if the log is closed and at its end, or if
    /// the cursor is stopped.
    pub fn next_timeout(
        &mut self,
        timeout: Duration,
    ) -> Option<Result<EventRef<'a, E>, ReadError>> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// The next event if it is there already.
    pub fn try_next(&mut self) -> Option<Result<EventRef<'a, E>, ReadError>> {
        if let Some(refused) = self.take_refusal() {
            return Some(Err(refused));
        }
        let filled = if self.ready.is_empty() { self.fill() } else { Ok(()) };
        let next = match filled {
            Ok(()) => self.ready.pop_front().map(Ok),
            Err(error) => Some(Err(error)),
        };
        self.seen.moved(Self::position(self));
        next
    }

    /// The same cursor for asynchronous code. While it catches up it lets other tasks go first after every 64 events: it
    /// is pending once, with the task woken already.
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

    /// Returns the offset that it will look at next: a place to go on from. Each matching event before it was given, was
    /// passed over, or was an error.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ready.front().map_or(self.next, |event| event.offset)
    }

    /// Goes on at `offset`, also when the cursor [stopped](Self::is_stopped): behind what cannot be read, or back to read
    /// again.
    pub fn seek(&mut self, offset: u64) {
        self.ready.clear();
        self.stopped = self.query.is_err();
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
            if self.stopped {
                return None;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return None;
            }
            if self.waiter.wait_beyond(self.next, deadline) <= self.next {
                return None;
            }
        }
    }

    /// The reason why the query can find nothing, once; the cursor is stopped then.
    fn take_refusal(&mut self) -> Option<ReadError> {
        let refused = self.query.as_mut().err()?;
        self.stopped = true;
        refused.take().map(ReadError::from)
    }

    /// Reads on until something matches or the head is reached.
    fn fill(&mut self) -> Result<(), ReadError> {
        // Up to the head as it is now: who waits has a deadline, or others to let go first.
        let head = self.backend.head().get();
        self.seen.reads_on(head.saturating_sub(self.next));
        while self.next < head && self.ready.is_empty() && !self.stopped {
            self.read_page(head)?;
        }
        Ok(())
    }

    /// Reads the next page of what is below `head`, or gets past an event of an unknown type.
    fn read_page(&mut self, head: u64) -> Result<(), ReadError> {
        let Ok(query) = &self.query else { return Ok(()) };
        let range = self.next..head;
        let selection = Selection { query, range: range.clone(), reverse: false, limit: PAGE };
        let meters = self.backend.head().meters();
        match meters.read_page(|| self.backend.read(selection, &mut self.page)) {
            Ok(left) => {
                self.next = left.start;
                self.ready.extend(self.page.drain(..));
                Ok(())
            }
            Err(error) => {
                let Some(offset) = undecoded(&error).filter(|offset| range.contains(offset)) else {
                    self.stopped = true;
                    return Err(error);
                };
                self.next = offset + 1;
                if !self.unknown.pass_over(&error) {
                    return Err(error);
                }
                self.passed_over += 1;
                Ok(())
            }
        }
    }

    fn poll_event(&mut self, waker: &Waker) -> Poll<Option<Result<EventRef<'a, E>, ReadError>>> {
        loop {
            if self.given >= PAGE {
                self.given = 0;
                waker.wake_by_ref();
                return Poll::Pending;
            }
            if let Some(refused) = self.take_refusal() {
                return Poll::Ready(Some(Err(refused)));
            }
            let next = self.ready_or_page();
            self.seen.moved(Self::position(self));
            if let Some(next) = next {
                self.given += 1;
                return Poll::Ready(Some(next));
            }
            if self.stopped {
                return Poll::Ready(None);
            }
            match self.waiter.poll_beyond(self.next, waker) {
                Poll::Ready(head) if head <= self.next => return Poll::Ready(None),
                // A page without a match, or events that came meanwhile.
                Poll::Ready(_) => self.given += EMPTY_PAGE,
                Poll::Pending => {
                    self.given = 0;
                    return Poll::Pending;
                }
            }
        }
    }

    /// The next event that was read, or the first of the next page; `None` if that page has no match.
    fn ready_or_page(&mut self) -> Option<Result<EventRef<'a, E>, ReadError>> {
        let head = self.backend.head().get();
        if self.ready.is_empty() && self.next < head && !self.stopped {
            self.seen.reads_on(head - self.next);
            if let Err(error) = self.read_page(head) {
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

impl<'a, E: Event, B: Backend<E>> Iterator for Subscription<'a, E, B> {
    type Item = Result<EventRef<'a, E>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None)
    }
}

/// A [`Subscription`] as a `futures` `Stream`: pending at the head, woken when it moves. Errors are as those of the
/// [`Subscription`]: each is returned once, and after one that is not about a single event the stream ends until it is
/// told to [`seek`](Self::seek).
///
/// ```
/// use annals::{EventStore, Query, RawEvent};
/// use futures_executor::block_on;
/// use futures_util::StreamExt;
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("first").build()?)?;
/// let mut events = store.subscription(Query::all(), 0).stream();
/// assert_eq!(block_on(events.next()).unwrap()?.offset, 0);
/// assert_eq!(events.position(), 1); // where to go on from another time
/// events.seek(0);
/// assert_eq!(block_on(events.next()).unwrap()?.offset, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a stream reads nothing until it is polled"]
pub struct EventStream<'a, E: Event, B>(Subscription<'a, E, B>);

impl<E: Event, B: Backend<E>> EventStream<'_, E, B> {
    /// Sets what to do with events of unknown types: an error for each by default.
    pub fn unknown_events(self, unknown: UnknownEvents) -> Self {
        Self(self.0.unknown_events(unknown))
    }

    /// Returns how many events of unknown types were passed over so far.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.0.passed_over()
    }

    /// Returns whether the stream stopped after damage or a failure of the system, until it is told to
    /// [`seek`](Self::seek).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.is_stopped()
    }

    /// Returns the offset that it will look at next: a place to go on from. Each matching event before it was given, was
    /// passed over, or was an error.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.0.position()
    }

    /// Goes on at `offset`, also when the stream [stopped](Self::is_stopped): behind what cannot be read, or back to read
    /// again.
    pub fn seek(&mut self, offset: u64) {
        self.0.seek(offset);
    }
}

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
    use super::super::store::EventStore;
    use super::*;
    use crate::backend::head::wakers::thread_waker;
    use crate::event::raw::RawEvent;

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
