//! The iterator over stored events: reads a selection page by page, from either end.

use std::collections::VecDeque;
use std::ops::Range;

use crate::backend::backend::{Backend, Selection};
use crate::error::{InvalidQuery, ReadError};
use crate::event::error::CodecError;
use crate::event::event::{Event, EventRef};
use crate::query::Query;

/// The number of events in the first page. Each next page is twice as large, up to the backend's page limit.
const FIRST_PAGE: usize = 16;

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

/// An iterator over stored events, in order or from the end. Before its first step it is also a builder, which narrows
/// the range and sets the direction.
///
/// The range is fixed when the iterator is created: events that are appended later are not part of it.
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
/// let last_sevens = store.query(&Query::tag("digit:7")).from(50).rev().limit(2);
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
    reverse: bool,
    limit: u64,
    unknown: UnknownEvents,
    passed_over: u64,
    /// Why no event can match the query, until that error was returned.
    refused: Option<InvalidQuery>,
}

impl<'a, E: Event, B: Backend<E>> Events<'a, E, B> {
    pub(crate) fn new(
        backend: &'a B,
        query: Result<Query, InvalidQuery>,
        range: Range<u64>,
    ) -> Self {
        let (query, refused) = match query {
            Ok(query) => (query, None),
            Err(refused) => (Query::all(), Some(refused)),
        };
        Self {
            backend,
            query,
            left: range,
            front: VecDeque::new(),
            back: VecDeque::new(),
            page: Vec::new(),
            page_size: FIRST_PAGE,
            reverse: false,
            limit: u64::MAX,
            unknown: UnknownEvents::default(),
            passed_over: 0,
            refused,
        }
    }

    /// Leaves out the events before `offset`.
    pub fn from(mut self, offset: u64) -> Self {
        self.left.start = self.left.start.max(offset);
        self
    }

    /// Leaves out the events at and after `offset`.
    pub fn to(mut self, offset: u64) -> Self {
        self.left.end = self.left.end.min(offset);
        self
    }

    /// Reverses the direction.
    pub fn rev(mut self) -> Self {
        self.reverse = !self.reverse;
        self
    }

    /// Returns at most `limit` events; errors count as well.
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = self.limit.min(limit);
        self
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

    fn step(&mut self, reverse: bool) -> Option<Result<EventRef<'a, E>, ReadError>> {
        self.limit = self.limit.checked_sub(1)?;
        if let Some(refused) = self.refused.take() {
            self.limit = 0;
            return Some(Err(refused.into()));
        }
        while !self.take_is_ready(reverse) {
            let Err(error) = self.fill(reverse) else { break };
            if !self.skip_undecoded(&error, reverse) {
                self.left.start = self.left.end;
                self.limit = 0;
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
            let limit = self
                .page_size
                .min(usize::try_from(self.limit.saturating_add(1)).unwrap_or(usize::MAX));
            self.page_size = (self.page_size * 2).min(self.backend.page_limit().max(FIRST_PAGE));
            let selection =
                Selection { query: &self.query, range: self.left.clone(), reverse, limit };
            let meters = self.backend.head().meters();
            self.left = meters.read_page(|| self.backend.read(selection, &mut self.page))?;
        }
        if reverse {
            self.page.drain(..).for_each(|event| self.back.push_front(event));
        } else {
            self.front.extend(self.page.drain(..));
        }
        Ok(())
    }
}

impl<'a, E: Event, B: Backend<E>> Iterator for Events<'a, E, B> {
    type Item = Result<EventRef<'a, E>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(self.reverse)
    }
}

impl<E: Event, B: Backend<E>> DoubleEndedIterator for Events<'_, E, B> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(!self.reverse)
    }
}

impl<E: Event, B> std::fmt::Debug for Events<'_, E, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events")
            .field("query", &self.query)
            .field("left", &self.left)
            .field("reverse", &self.reverse)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
