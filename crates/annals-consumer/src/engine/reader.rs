//! The reader: finds the events of a query and their keys, page by page, and keeps the events of the last pages until
//! they are delivered, so each event is read once. Events that wait longer must not fill the memory: they are read
//! again when they are delivered.

use std::any::TypeId;
use std::collections::VecDeque;
use std::fmt;

use annals::UnknownEvents;
use annals::{
    Backend, Event, EventRef, EventStore, Query, RawEvent, ReadError, Subscription, Tags,
};

use super::schedule::Keys;
use crate::error::ConsumerError;

/// The most events of a page. A page also ends where the backend's page does: behind the event with which the page
/// reaches 1 MiB.
const PAGE: usize = 64;

/// Reads the events of a query from a log.
pub(crate) struct Reader<E: Event> {
    pub(crate) query: Query,
    key: Option<String>,
    unknown: UnknownEvents,
    /// The position in the log, from the first page on.
    cursor: Option<Box<dyn Cursor<E>>>,
    /// Events of the last page and of the one before it that were not delivered yet, in order.
    ahead: VecDeque<(u64, EventRef<'static, E>)>,
    /// Where the last page begins.
    last_page: u64,
}

/// A [`Subscription`], whatever its backend is.
trait Cursor<E>: Send {
    fn try_next(&mut self) -> Option<Result<EventRef<'static, E>, ReadError>>;

    /// Returns whether the next event was read already.
    fn has_next(&self) -> bool;

    fn position(&self) -> u64;

    fn seek(&mut self, offset: u64);
}

impl<E: Event, B: Backend<E> + 'static> Cursor<E> for Subscription<'static, E, B> {
    fn try_next(&mut self) -> Option<Result<EventRef<'static, E>, ReadError>> {
        Self::try_next(self)
    }

    fn has_next(&self) -> bool {
        self.size_hint().0 > 0
    }

    fn position(&self) -> u64 {
        Self::position(self)
    }

    fn seek(&mut self, offset: u64) {
        Self::seek(self, offset);
    }
}

impl<E: Event> Reader<E> {
    pub(crate) fn new(query: Query, key: Option<String>, unknown: UnknownEvents) -> Self {
        Self { query, key, unknown, cursor: None, ahead: VecDeque::new(), last_page: 0 }
    }

    /// Returns a page: at most `room` events from `from` on, with their keys, and the offset behind the events that
    /// were searched.
    pub(crate) fn read<B: Backend<E> + 'static>(
        &mut self,
        store: &EventStore<E, B>,
        from: u64,
        room: usize,
    ) -> Result<(Vec<(u64, Keys)>, u64), ConsumerError> {
        let mut cursor = self.cursor.take().unwrap_or_else(|| {
            let subscription = store.clone().into_subscription(self.query.clone(), from);
            Box::new(subscription.unknown_events(self.unknown))
        });
        if cursor.position() != from {
            cursor.seek(from);
            self.ahead.clear();
        }
        // Of the pages before, only the last is kept.
        while self.first_ahead().is_some_and(|first| first < self.last_page) {
            self.ahead.pop_front();
        }
        self.last_page = from;
        let found = self.page(store, cursor.as_mut(), room.min(PAGE));
        let to = cursor.position();
        self.cursor = Some(cursor);
        Ok((found?, to))
    }

    fn page<B: Backend<E>>(
        &mut self,
        store: &EventStore<E, B>,
        cursor: &mut dyn Cursor<E>,
        room: usize,
    ) -> Result<Vec<(u64, Keys)>, ConsumerError> {
        let mut found = Vec::with_capacity(room);
        while found.len() < room && (found.is_empty() || cursor.has_next()) {
            let (offset, event) = match cursor.try_next() {
                Some(Ok(event)) => (event.offset, Some(event)),
                // It is delivered like any other. Its stored tags have its keys.
                Some(Err(ReadError::Decode { offset, .. })) => (offset, None),
                // The cursor stopped. The next page begins at the offset that cannot be read.
                Some(Err(error)) => {
                    cursor.seek(cursor.position());
                    return found_before(error.into(), found);
                }
                None => break,
            };
            match self.keys(store, offset, event.as_ref()) {
                Ok(keys) => found.push((offset, keys)),
                Err(error) => {
                    cursor.seek(offset);
                    return found_before(error, found);
                }
            }
            self.ahead.extend(event.map(|event| (offset, event)));
        }
        Ok(found)
    }

    /// Returns the offset of the first event that was read and not delivered.
    pub(crate) fn first_ahead(&self) -> Option<u64> {
        self.ahead.front().map(|(offset, _)| *offset)
    }

    /// Returns an event that is about to be delivered, if it was read already.
    pub(crate) fn take(&mut self, offset: u64) -> Option<EventRef<'static, E>> {
        let at = match self.first_ahead()? {
            first if first == offset => 0,
            _ => self.ahead.binary_search_by_key(&offset, |(at, _)| *at).ok()?,
        };
        self.ahead.remove(at).map(|(_, event)| event)
    }

    /// Returns the keys of an event that was read, by its stored tags.
    ///
    /// The tags that the event type derives may differ from the stored ones: another version of the program may have
    /// appended the event. Keys by derived tags would differ from those that [`keys_at`](Self::keys_at) returns when
    /// the group is opened again, so two events of a key could be with workers at once.
    fn keys<B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        offset: u64,
        event: Option<&EventRef<'static, E>>,
    ) -> Result<Keys, ConsumerError> {
        match event {
            // A raw event has its stored tags, so they are not read a second time.
            Some(event) if self.key.is_some() && TypeId::of::<E>() == TypeId::of::<RawEvent>() => {
                let mut tags = Tags::default();
                event.event.tags(&mut tags);
                Ok(self.keys_in(&tags))
            }
            _ => self.keys_at(store, offset),
        }
    }

    /// Returns the keys among the tags of an event.
    fn keys_in(&self, tags: &Tags) -> Keys {
        let Some(prefix) = &self.key else { return Keys::default() };
        let mut keys: Vec<_> =
            tags.iter().filter(|tag| tag.starts_with(prefix.as_str())).map(Into::into).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into()
    }

    /// Returns the keys of the event at an offset, whether or not it can be decoded.
    pub(crate) fn keys_at<B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        offset: u64,
    ) -> Result<Keys, ConsumerError> {
        if self.key.is_none() {
            return Ok(Keys::default());
        }
        match store.backend().tags(offset) {
            Ok(tags) => Ok(tags.map(|tags| self.keys_in(&tags)).unwrap_or_default()),
            // A backend that decodes an event for its tags: this one has no keys then.
            Err(ReadError::Decode { .. }) => Ok(Keys::default()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns the events that were found before an error, or the error if none were.
fn found_before(
    error: ConsumerError,
    found: Vec<(u64, Keys)>,
) -> Result<Vec<(u64, Keys)>, ConsumerError> {
    if found.is_empty() { Err(error) } else { Ok(found) }
}

impl<E: Event> fmt::Debug for Reader<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("query", &self.query).finish_non_exhaustive()
    }
}
