//! The subscription: a cursor on the log that waits at the head. Reading stored events and waiting for new ones are one
//! loop, so no event is missed or repeated between the two.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::events::{UnknownEvents, take_borrowed, undecoded};
use super::source::Source;
use super::waited::Waited;
use crate::backend::backend::{Backend, Selection};
use crate::backend::head::HeadWaiter;
use crate::error::{InvalidQuery, ReadError};
use crate::event::event::{Event, EventRef};
use crate::metrics::cursor_position::CursorPosition;
use crate::query::Query;

/// The number of events in a page, and so the most that are read ahead. A subscription that lags needs no other buffer
/// than the log.
pub(super) const PAGE: usize = 64;

/// Returns each event that matches a query once, in order: first the events in the log, then new ones as they are
/// appended.
///
/// * **As an `Iterator`** it blocks at the head. [`next_timeout`](Self::next_timeout) and [`try_next`](Self::try_next)
///   return without an event; [`stream`](Self::stream) turns it into a `futures` `Stream`.
/// * **It ends** when the store is closed and every event was returned.
/// * **It borrows the store**, so a thread that reads it takes a clone of the store and subscribes there. A
///   subscription of [`into_subscription`](crate::EventStore::into_subscription) is `'static` instead: it owns a handle
///   to the store, and so do its events as far as they point into the store.
///
/// **Errors.** Each is returned once, and no event is left out without one:
/// * [`ReadError::Decode`]: one event cannot be decoded. The next call continues with the event after it. With
///   [`unknown_events`](Self::unknown_events) the subscription skips events whose type the program does not know.
/// * Any other [`ReadError`] (damage, a failure of the system) stops the subscription: it returns `None`, and
///   [`is_stopped`](Self::is_stopped) returns true. [`position`](Self::position) is then the offset that cannot be
///   read. To continue, [`seek`](Self::seek) to that offset to try again, or to an offset behind the damage.
///
/// ```
/// use annals::{EventStore, Query, RawEvent};
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("first").build()?)?;
/// let mut subscription = store.subscription(Query::all(), 0);
/// assert_eq!(subscription.next().unwrap()?.event.event_type(), "first");
/// assert!(subscription.try_next().is_none());
///
/// store.append(RawEvent::builder("second").build()?)?;
/// assert_eq!(subscription.try_next().unwrap()?.event.event_type(), "second");
/// assert_eq!(subscription.position(), 2); // where a later subscription continues
///
/// subscription.seek(1); // back to read again
/// assert_eq!(subscription.next().unwrap()?.offset, 1);
/// assert!(!subscription.is_stopped());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a subscription reads nothing until it is used"]
pub struct Subscription<'a, E: Event, B> {
    pub(super) backend: Source<'a, E, B>,
    /// The query, or why no event can match it; that error is returned once.
    query: Result<Query, Option<InvalidQuery>>,
    /// The next offset to read.
    pub(super) next: u64,
    pub(super) ready: VecDeque<EventRef<'a, E>>,
    /// The position that the metrics report.
    pub(super) seen: CursorPosition,
    unknown: UnknownEvents,
    passed_over: u64,
    /// Whether an error that is not about a single event stopped it.
    pub(super) stopped: bool,
    pub(super) waiter: HeadWaiter,
}

impl<'a, E: Event, B: Backend<E>> Subscription<'a, E, B> {
    pub(super) fn new(
        backend: Source<'a, E, B>,
        query: Result<Query, InvalidQuery>,
        from: u64,
    ) -> Self {
        let query = query.map_err(Some);
        let seen = CursorPosition::new(backend.head().meters(), from);
        let waiter = backend.head().waiter();
        Self {
            backend,
            query,
            next: from,
            ready: VecDeque::new(),
            seen,
            unknown: UnknownEvents::default(),
            passed_over: 0,
            stopped: false,
            waiter,
        }
    }

    /// Sets what to do with events of unknown types. By default each is an error.
    ///
    /// ```
    /// use annals::{Event, EventStore, Query, RawEvent, UnknownEvents};
    ///
    /// #[derive(Event)]
    /// enum Booking {
    ///     SeatFreed { seat: u32 },
    /// }
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("log.store");
    /// // A newer program has written an event of a type that `Booking` does not have.
    /// EventStore::<RawEvent>::open(&path)?.append(RawEvent::builder("seat-upgraded").build()?)?;
    ///
    /// let store = EventStore::open(&path)?;
    /// store.append(Booking::SeatFreed { seat: 1 })?;
    /// let mut bookings = store.subscription(Query::all(), 0).unknown_events(UnknownEvents::PassOver);
    /// assert_eq!(bookings.next().unwrap()?.offset, 1);
    /// assert_eq!(bookings.passed_over(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unknown_events(mut self, unknown: UnknownEvents) -> Self {
        self.unknown = unknown;
        self
    }

    /// Returns the number of events of unknown types that were skipped so far.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Returns whether damage or a failure of the system stopped the subscription. [`seek`](Self::seek) restarts it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Returns the next event, and waits for it up to `timeout`. Distinguishes a log without a new event from the end
    /// of the subscription: the store is closed and every event was returned, or the subscription is
    /// [stopped](Self::is_stopped).
    ///
    /// ```
    /// use annals::{EventStore, Query, RawEvent, Waited};
    /// use std::time::Duration;
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("first").build()?)?;
    /// let mut subscription = store.subscription(Query::all(), 0);
    /// let mut seen = 0;
    /// loop {
    ///     match subscription.next_timeout(Duration::from_millis(1))? {
    ///         Waited::Event(event) => seen += u64::from(event.event.event_type() == "first"),
    ///         Waited::TimedOut => store.close()?, // time for other work, for example to save the position
    ///         Waited::Ended => break,
    ///     }
    /// }
    /// assert_eq!(seen, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError`], as the iterator returns it. [`Subscription`] says how the subscription continues.
    pub fn next_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Waited<EventRef<'a, E>>, ReadError> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// Returns the next event if the log has it, without waiting. After `None`, the subscription has ended if it is
    /// [stopped](Self::is_stopped) or if the store [is closed](crate::EventStore::is_closed).
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

    /// Returns the offset that is read next. A subscription that starts there continues where this one is: each
    /// matching event before that offset was returned, was skipped, or was an error.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ready.front().map_or(self.next, |event| event.offset)
    }

    /// Continues at `offset`, also when the subscription is [stopped](Self::is_stopped).
    pub fn seek(&mut self, offset: u64) {
        self.ready.clear();
        self.stopped = self.query.is_err();
        self.next = offset;
        self.seen.moved(offset);
    }

    fn next_until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Waited<EventRef<'a, E>>, ReadError> {
        loop {
            if let Some(event) = self.try_next() {
                return event.map(Waited::Event);
            }
            // Read before the head, which is final if the log is closed.
            let closed = self.backend.head().is_closed();
            if self.stopped || closed && self.backend.head().get() <= self.next {
                return Ok(Waited::Ended);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(Waited::TimedOut);
            }
            let _ = self.waiter.wait_beyond(self.next, deadline);
        }
    }

    /// Returns the next event if it was read already and is a reference. An [`EventRef`] has room for a whole event; this
    /// copies only the reference.
    #[inline]
    pub(super) fn take_reference(&mut self) -> Option<EventRef<'a, E>> {
        let event = if let Some(event) = take_borrowed(&mut self.ready, false) {
            EventRef::Borrowed(event)
        } else if let Some(EventRef::Shared(_)) = self.ready.front()
            && let Some(EventRef::Shared(event)) = self.ready.pop_front()
        {
            EventRef::Shared(event)
        } else {
            return None;
        };
        self.seen.moved(Self::position(self));
        Some(event)
    }

    /// Returns the next event that was read already.
    pub(super) fn take_ready(&mut self) -> Option<EventRef<'a, E>> {
        let event = self.ready.pop_front()?;
        self.seen.moved(self.ready.front().map_or(self.next, |event| event.offset));
        Some(event)
    }

    /// Returns, once, why no event can match the query, and stops the subscription.
    pub(super) fn take_refusal(&mut self) -> Option<ReadError> {
        let refused = self.query.as_mut().err()?;
        self.stopped = true;
        refused.take().map(ReadError::from)
    }

    /// Reads pages until an event matches or the head is reached.
    fn fill(&mut self) -> Result<(), ReadError> {
        // Only up to the head as it is now: on a log that grows, the caller's deadline would not be looked at.
        let head = self.backend.head().get();
        self.seen.reads_on(head.saturating_sub(self.next));
        while self.next < head && self.ready.is_empty() && !self.stopped {
            self.read_page(head)?;
        }
        Ok(())
    }

    /// Reads the next page below `head`. Skips an event of an unknown type, or returns the error of an event that
    /// cannot be decoded.
    pub(super) fn read_page(&mut self, head: u64) -> Result<(), ReadError> {
        let Ok(query) = &self.query else { return Ok(()) };
        let range = self.next..head;
        let selection = Selection { query, range: range.clone(), reverse: false, limit: PAGE };
        match self.seen.meters().read_page(|| self.backend.read(selection, &mut self.ready)) {
            Ok(left) => {
                self.next = left.start;
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
}

impl<'a, E: Event, B: Backend<E>> Iterator for Subscription<'a, E, B> {
    type Item = Result<EventRef<'a, E>, ReadError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(event) = self.take_reference() {
            return Some(Ok(event));
        }
        match self.next_until(None) {
            Ok(Waited::Event(event)) => Some(Ok(event)),
            Ok(Waited::TimedOut | Waited::Ended) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Returns the number of events that were read already. How many follow is not known.
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.ready.len(), None)
    }
}

impl<E: Event, B> std::fmt::Debug for Subscription<'_, E, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("query", &self.query)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
