//! The iterator over stored events: reads a selection page by page, from either end.

use std::collections::VecDeque;
use std::iter::FusedIterator;
use std::ops::{Range, RangeBounds};
use std::time::SystemTime;

use super::bounds::{bounds, offsets_in};
use crate::backend::backend::{Backend, Selection};
use crate::error::{InvalidQuery, ReadError};
use crate::event::error::CodecError;
use crate::event::event::{Event, EventRef, Recorded};
use crate::query::Query;

/// The number of events in the second page. The first has a single event, since many readers want only one. Each later
/// page is twice as large as the one before, up to the backend's page limit.
const SECOND_PAGE: usize = 8;

/// The number of events in the first page of a reader that reads everything.
const FIRST_OF_ALL: usize = 16;

/// Says what a reader does with an event whose type the program does not know, since a newer program wrote it.
///
/// ```
/// use annals::{Event, EventStore, RawEvent, UnknownEvents};
///
/// #[derive(Event)]
/// enum Booking {
///     SeatFreed { seat: u32 },
/// }
///
/// let directory = tempfile::tempdir()?;
/// // A newer program has written an event of a type that `Booking` does not have.
/// EventStore::open(directory.path())?.append(RawEvent::builder("seat-upgraded").build()?)?;
///
/// let store = EventStore::<Booking>::open(directory.path())?;
/// assert!(store.read(..).next().unwrap().is_err());
/// let mut known = store.read(..).unknown_events(UnknownEvents::PassOver);
/// assert!(known.next().is_none());
/// assert_eq!(known.passed_over(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownEvents {
    /// Returns an error with the event's offset and type, since a state without the event might be wrong. The default.
    #[default]
    Refuse,
    /// Skips the event and counts it. It stays in the log. A fold that has skipped an event takes no more snapshots,
    /// since a program that knows the event would compute another state.
    PassOver,
}

impl UnknownEvents {
    /// Returns whether reading continues without the event that this error is about. If so, logs the event.
    pub(crate) fn pass_over(self, error: &ReadError) -> bool {
        let ReadError::Decode { offset, event_type, source: CodecError::UnknownType { .. } } =
            error
        else {
            return false;
        };
        let passes = self == Self::PassOver;
        if passes {
            tracing::debug!(offset, event_type, "skipped an event of an unknown type");
        }
        passes
    }
}

/// Returns the offset of the event that cannot be decoded. Returns `None` for any other error, after which later events
/// may not be readable either.
pub(crate) fn undecoded(error: &ReadError) -> Option<u64> {
    match error {
        ReadError::Decode { offset, .. } => Some(*offset),
        _ => None,
    }
}

/// An iterator over stored events, in order or, with [`rev`](Iterator::rev), from the end. Before its first step it is
/// also a builder, which narrows the range.
///
/// The range is fixed when the iterator is created: events that are appended later are not part of it.
///
/// It reads ahead in pages: first one event, then 8, then twice as many each time, up to the backend's page limit. So
/// `next()` decodes one event, and `take(n)` decodes less than three times as many as it returns, or 9.
///
/// **Errors.** Each is returned once, and no event is left out without one:
/// * [`ReadError::Decode`]: one event cannot be decoded. The next call continues with the event after it.
/// * Any other [`ReadError`] (damage, a failure of the system) ends the iterator.
///
/// ```
/// use annals::{EventStore, Query, RawEvent};
/// let store = EventStore::in_memory();
/// for n in 0..100 {
///     store.append(RawEvent::builder("counted").tag(format!("digit:{}", n % 10)).build()?)?;
/// }
///
/// let last_sevens = store.query(&Query::tag("digit:7")).range(50..).rev().take(2);
/// let offsets: Vec<u64> = last_sevens.map(|event| Ok(event?.offset)).collect::<Result<_, annals::ReadError>>()?;
/// assert_eq!(offsets, [97, 87]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "an iterator reads nothing until it is used"]
pub struct Events<'a, E: Event, B> {
    backend: &'a B,
    query: Query,
    left: Range<u64>,
    /// Events that were read and not returned yet, in order of offset: those before `left`, and those after it.
    front: VecDeque<EventRef<'a, E>>,
    back: VecDeque<EventRef<'a, E>>,
    page: Vec<EventRef<'a, E>>,
    page_size: usize,
    unknown: UnknownEvents,
    passed_over: u64,
    /// An error that leaves nothing to read, until it was returned.
    failed: Option<ReadError>,
}

impl<'a, E: Event, B: Backend<E>> Events<'a, E, B> {
    pub(crate) fn new(
        backend: &'a B,
        query: Result<Query, InvalidQuery>,
        range: Range<u64>,
    ) -> Self {
        let (query, failed) = match query {
            Ok(query) => (query, None),
            Err(refused) => (Query::none(), Some(refused.into())),
        };
        Self {
            backend,
            query,
            left: if failed.is_some() { 0..0 } else { range },
            front: VecDeque::new(),
            back: VecDeque::new(),
            page: Vec::new(),
            page_size: 1,
            unknown: UnknownEvents::default(),
            passed_over: 0,
            failed,
        }
    }

    /// Leaves out the events whose offsets are not in `range`. By default all events of the log are in it.
    ///
    /// ```
    /// # use annals::{EventStore, Query, RawEvent};
    /// # let store = EventStore::in_memory();
    /// # store.append_batch((0..10).map(|_| RawEvent::builder("noted").build().unwrap()))?;
    /// assert_eq!(store.query(&Query::event_type("noted")).range(2..7).range(4..).count(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn range(mut self, range: impl RangeBounds<u64>) -> Self {
        let Range { start, end } = bounds(&range, u64::MAX);
        let start = self.left.start.max(start);
        self.left = start..self.left.end.min(end).max(start);
        for read in [&mut self.front, &mut self.back] {
            read.retain(|event| range.contains(&event.offset));
        }
        self
    }

    /// Leaves out the events that were not recorded in this range of times. Times are rounded down to the millisecond,
    /// as the times of events are. By default the events of all times are in it.
    ///
    /// If the range cannot be found, since the time of an event cannot be read, that error is the only item of the
    /// iterator.
    ///
    /// ```
    /// # use annals::{EventStore, Query, RawEvent};
    /// use std::time::{Duration, SystemTime};
    ///
    /// # let store = EventStore::in_memory();
    /// # store.append(RawEvent::builder("noted").build()?)?;
    /// let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
    /// assert_eq!(store.read(..).time_range(an_hour_ago..).count(), 1);
    /// assert_eq!(store.read(..).time_range(..an_hour_ago).count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn time_range(mut self, times: impl RangeBounds<SystemTime>) -> Self {
        match offsets_in(self.backend, &times) {
            Ok(offsets) => self.range(offsets),
            Err(error) => {
                self.end();
                self.failed.get_or_insert(error);
                self
            }
        }
    }

    /// Sets what to do with events of unknown types. By default each is an error. [`UnknownEvents`] has an example.
    pub fn unknown_events(mut self, unknown: UnknownEvents) -> Self {
        self.unknown = unknown;
        self
    }

    /// Returns the number of events of unknown types that were skipped so far.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Begins with a larger page, for a reader that certainly reads everything.
    pub(crate) fn reading_all(mut self) -> Self {
        self.page_size = self.page_size.max(FIRST_OF_ALL);
        self
    }

    #[inline]
    fn step(&mut self, reverse: bool) -> Option<Result<EventRef<'a, E>, ReadError>> {
        let ready = if reverse { &mut self.back } else { &mut self.front };
        if let Some(event) = take_borrowed(ready, reverse) {
            return Some(Ok(EventRef::Borrowed(event)));
        }
        self.step_slowly(reverse)
    }

    /// Folds all events. Passes a reference to `f` as such, not by way of memory that has room for a whole event.
    fn fold_all<T>(
        mut self,
        reverse: bool,
        initial: T,
        mut f: impl FnMut(T, Result<EventRef<'a, E>, ReadError>) -> T,
    ) -> T {
        let mut folded = initial;
        loop {
            let ready = if reverse { &mut self.back } else { &mut self.front };
            while let Some(event) = take_borrowed(ready, reverse) {
                folded = f(folded, Ok(EventRef::Borrowed(event)));
            }
            let Some(event) = self.step_slowly(reverse) else { return folded };
            folded = f(folded, event);
        }
    }

    fn step_slowly(&mut self, reverse: bool) -> Option<Result<EventRef<'a, E>, ReadError>> {
        if let Some(failed) = self.failed.take() {
            return Some(Err(failed));
        }
        while !self.take_is_ready(reverse) {
            let Err(error) = self.fill(reverse) else { break };
            if !self.skip_undecoded(&error, reverse) {
                self.end();
                return Some(Err(error));
            }
            if !self.unknown.pass_over(&error) {
                return Some(Err(error));
            }
            self.passed_over += 1;
        }
        let event = if reverse {
            self.back.pop_back().or_else(|| self.front.pop_back())
        } else {
            self.front.pop_front().or_else(|| self.back.pop_front())
        };
        event.map(Ok)
    }

    /// Leaves nothing to read.
    fn end(&mut self) {
        self.left.start = self.left.end;
        self.front.clear();
        self.back.clear();
    }

    /// Continues behind the event that cannot be decoded. Returns false if the error is not about a single event.
    fn skip_undecoded(&mut self, error: &ReadError, reverse: bool) -> bool {
        let Some(offset) = undecoded(error).filter(|offset| self.left.contains(offset)) else {
            return false;
        };
        if reverse {
            self.left.end = offset;
        } else {
            self.left.start = offset + 1;
        }
        true
    }

    fn take_is_ready(&self, reverse: bool) -> bool {
        !if reverse { &self.back } else { &self.front }.is_empty()
    }

    fn fill(&mut self, reverse: bool) -> Result<(), ReadError> {
        while !self.left.is_empty() && self.page.is_empty() {
            let limit = self.page_size;
            self.page_size =
                (limit * 2).max(SECOND_PAGE).min(self.backend.page_limit().max(FIRST_OF_ALL));
            let selection =
                Selection { query: &self.query, range: self.left.clone(), reverse, limit };
            let meters = self.backend.head().meters();
            self.left = meters.read_page(|| self.backend.read(selection, &mut self.page))?;
        }
        if reverse {
            self.page.drain(..).for_each(|event| self.back.push_front(event));
        } else if self.front.is_empty() {
            // Neither conversion copies an event: the page and the empty queue change places.
            let page = VecDeque::from(std::mem::take(&mut self.page));
            self.page = Vec::from(std::mem::replace(&mut self.front, page));
        } else {
            self.front.extend(self.page.drain(..));
        }
        Ok(())
    }
}

/// Takes the next event of a queue, from either end, if it is borrowed. An [`EventRef`] has room for a whole event; this
/// copies only the reference.
#[inline]
pub(super) fn take_borrowed<'a, E>(
    queue: &mut VecDeque<EventRef<'a, E>>,
    reverse: bool,
) -> Option<&'a Recorded<E>> {
    let next = if reverse { queue.back() } else { queue.front() };
    let Some(&EventRef::Borrowed(event)) = next else { return None };
    let _ = if reverse { queue.pop_back() } else { queue.pop_front() };
    Some(event)
}

impl<'a, E: Event, B: Backend<E>> Iterator for Events<'a, E, B> {
    type Item = Result<EventRef<'a, E>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(false)
    }

    /// Returns the number of events that were read already, and the number of those plus all offsets that are left.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let ready = self.front.len() + self.back.len() + usize::from(self.failed.is_some());
        let left = usize::try_from(self.left.end.saturating_sub(self.left.start));
        (ready, left.ok().and_then(|left| left.checked_add(ready)))
    }

    /// Returns the item at the end, without reading the items before it.
    fn last(mut self) -> Option<Self::Item> {
        self.next_back()
    }

    fn fold<T, F: FnMut(T, Self::Item) -> T>(self, initial: T, f: F) -> T {
        self.reading_all().fold_all(false, initial, f)
    }
}

impl<E: Event, B: Backend<E>> DoubleEndedIterator for Events<'_, E, B> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(true)
    }

    fn rfold<T, F: FnMut(T, Self::Item) -> T>(self, initial: T, f: F) -> T {
        self.reading_all().fold_all(true, initial, f)
    }
}

impl<E: Event, B: Backend<E>> FusedIterator for Events<'_, E, B> {}

impl<E: Event, B> std::fmt::Debug for Events<'_, E, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events")
            .field("query", &self.query)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
