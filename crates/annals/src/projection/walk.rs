//! The events that a projection reads, in order; those of unknown types refused or passed over, as was asked.

use std::ops::Range;

use super::UnknownEvents;
use crate::{Backend, CodecError, Event, EventRef, EventStore, Events, Query, ReadError};

/// A walk over the events of a query that begins again behind each event it passes over.
pub(super) struct Walk<'a, E: Event, B: Backend<E>> {
    store: &'a EventStore<E, B>,
    query: Query,
    end: u64,
    events: Events<'a, E, B>,
    unknown: UnknownEvents,
    passed_over: u64,
}

impl<'a, E: Event, B: Backend<E>> Walk<'a, E, B> {
    /// Over these offsets, which are below the head.
    pub(super) fn new(
        store: &'a EventStore<E, B>,
        query: &Query,
        range: Range<u64>,
        unknown: UnknownEvents,
    ) -> Self {
        let end = range.end;
        let events = store.query(query).from(range.start).to(end);
        Self { store, query: query.clone(), end, events, unknown, passed_over: 0 }
    }

    /// How many were passed over so far.
    pub(super) fn passed_over(&self) -> u64 {
        self.passed_over
    }
}

impl<'a, E: Event, B: Backend<E>> Iterator for Walk<'a, E, B> {
    type Item = Result<EventRef<'a, E>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let error = match self.events.next()? {
                Err(error) if self.unknown == UnknownEvents::PassOver => error,
                read => return Some(read),
            };
            let Some((offset, event_type)) = unknown(&error) else { return Some(Err(error)) };
            tracing::debug!(offset, event_type, "passed over an event of an unknown type");
            self.passed_over += 1;
            self.events = self.store.query(&self.query).from(offset + 1).to(self.end);
        }
    }
}

/// The offset and type of an event that could not be read only because its type is not known.
fn unknown(error: &ReadError) -> Option<(u64, &str)> {
    match error {
        ReadError::Decode { offset, event_type, source: CodecError::UnknownType { .. } } => {
            Some((*offset, event_type))
        }
        _ => None,
    }
}
