//! Reading: an iterator over the events of a selection, page by page, from either end.

use std::collections::VecDeque;
use std::ops::Range;

use crate::backend::backend::{Backend, Selection};
use crate::error::{InvalidQuery, ReadError};
use crate::event::error::CodecError;
use crate::event::event::{Event, EventRef};
use crate::query::Query;

/// Events asked for at first; each next page is twice as large, up to what the backend says.
const FIRST_PAGE: usize = 16;

/// What reading does with an event whose type the program does not know: one that a newer program wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownEvents {
    /// Returns an error that names the event's offset and type: a state without the event might be wrong. The default.
    #[default]
    Refuse,
    /// Leaves the event out, and counts it. It stays in the log. A fold takes no snapshots after it, for a program that
    /// knows it would come to another state.
    PassOver,
}

impl UnknownEvents {
    /// Returns whether reading goes on without the event that this error is about, and notes that in the log.
    pub(crate) fn pass_over(self, error: &ReadError) -> bool {
        let ReadError::Decode { offset, event_type, source: CodecError::UnknownType { .. } } =
            error
        else {
            return false;
        };
        let passes = self == Self::PassOver;
        if passes {
            tracing::debug!(offset, event_type, "passed over an event of an unknown type");
        }
        passes
    }
}

/// Returns the offset of the one event that this error is about, if the events behind it can be read all the same.
pub(crate) fn undecoded(error: &ReadError) -> Option<u64> {
    match error {
        ReadError::Decode { offset, .. } => Some(*offset),
        _ => None,
    }
}

/// Events of a log in order: an iterator, and before its first step also a builder.
///
/// The range was fixed when it was made: what is appended later is not in it. An event that cannot be decoded is an
/// error, once, and the iterator goes on behind it. After any other error (damage, a failure of the system) the iterator
/// ends.
///
/// ```
/// use annals::{EventStore, Query, RawEvent};
/// let store = EventStore::in_memory();
/// for n in 0..100 {
///     store.append(RawEvent::builder("counted").tag(format!("digit:{}", n % 10)).build()?)?;
/// }
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
    /// Events that were read and not yet given, in order of offset: those in front of `left`, and those behind it.
    front: VecDeque<EventRef<'a, E>>,
    back: VecDeque<EventRef<'a, E>>,
    page: Vec<EventRef<'a, E>>,
    page_size: usize,
    reverse: bool,
    limit: u64,
    unknown: UnknownEvents,
    passed_over: u64,
    /// Why the query finds nothing, until that was said.
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

    /// Only events at `offset` and after it.
    pub fn from(mut self, offset: u64) -> Self {
        self.left.start = self.left.start.max(offset);
        self
    }

    /// Only events before `offset`.
    pub fn to(mut self, offset: u64) -> Self {
        self.left.end = self.left.end.min(offset);
        self
    }

    /// The other way round.
    pub fn rev(mut self) -> Self {
        self.reverse = !self.reverse;
        self
    }

    /// At most so many events.
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = self.limit.min(limit);
        self
    }

    /// Sets what to do with events of unknown types: an error for each by default.
    pub fn unknown_events(mut self, unknown: UnknownEvents) -> Self {
        self.unknown = unknown;
        self
    }

    /// Returns how many events of unknown types were passed over so far.
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
            if !self.get_past(&error, reverse) {
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

    /// Goes on behind the event that an error is about; false if the error is not about one event.
    fn get_past(&mut self, error: &ReadError, reverse: bool) -> bool {
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
