//! Reading: one event, a range of offsets, a query, and the names in the log.

use std::ops::RangeBounds;
use std::time::SystemTime;

use annals_base::Slices;

use super::bounds::{bounds, first_at};
use super::events::Events;
use super::source::get_shared;
use super::store::EventStore;
use crate::backend::backend::{Backend, NameCount, NameKind};
use crate::error::{InvalidQuery, ReadError};
use crate::event::event::{Event, EventRef, Recorded};
use crate::event::name::check_name;
use crate::query::Query;
#[cfg(feature = "snapshots")]
use crate::snapshot::digest::EventDigest;
use crate::util::time::to_ms;

impl<E: Event> EventStore<E> {
    /// Returns the events at these offsets as contiguous slices, in order: the fastest way to read many events. Offsets
    /// at and beyond the head are left out.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append_batch([RawEvent::builder("first").build()?, RawEvent::builder("second").build()?])?;
    /// let types: Vec<_> = store.slices(..).flatten().map(|event| event.event.event_type()).collect();
    /// assert_eq!(types, ["first", "second"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn slices(&self, range: impl RangeBounds<u64>) -> Slices<'_, Recorded<E>> {
        self.backend().slices(bounds(&range, self.len()))
    }
}

impl<E: Event, B: Backend<E>> EventStore<E, B> {
    /// Returns the event at `offset`, or `None` at and beyond the head.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("seat-sold").build()?)?;
    /// assert_eq!(store.get(0)?.unwrap().event.event_type(), "seat-sold");
    /// assert!(store.get(1)?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError`] when the event exists and cannot be read or decoded.
    #[inline]
    pub fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError> {
        self.backend().head().meters().read(offset, || self.backend().get(offset))
    }

    /// Returns the event at `offset` as [`get`](Self::get) does. The event is `'static`: a task or another thread may
    /// keep it. In memory it keeps the log alive.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("seat-sold").build()?)?;
    /// let event = store.get_owned(0)?.expect("the log has one event");
    /// drop(store);
    /// assert_eq!(std::thread::spawn(move || event.offset).join().expect("no panic"), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_owned(&self, offset: u64) -> Result<Option<EventRef<'static, E>>, ReadError>
    where
        B: 'static,
    {
        let read = || get_shared(&self.backend, offset);
        self.backend().head().meters().read(offset, read)
    }

    /// Returns the offset of the event with this [id](Event::id), or `None` if the log has no such event. A store that
    /// is open read-only finds ids too. No lookup waits for a writer.
    ///
    /// The backends of annals look in an index of ids, which takes microseconds whatever the age of the event. Other
    /// backends may have to read the log.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("seat-sold").id("request-7").build()?)?;
    /// assert_eq!(store.find("request-7")?, Some(0));
    /// assert_eq!(store.find("request-8")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// * [`ReadError::InvalidQuery`]: no event can have this id, since it is empty, longer than 255 bytes, or has a
    ///   control character.
    /// * Any other [`ReadError`]: the log could not be read.
    pub fn find(&self, id: &str) -> Result<Option<u64>, ReadError> {
        check_name("id", id).map_err(|source| InvalidQuery::Name { source })?;
        self.backend().head().meters().counted(self.backend().find_id(id))
    }

    /// Returns an iterator over the events at these offsets, in order or from the end. Events that are appended later
    /// are not part of it.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append_batch([RawEvent::builder("first").build()?, RawEvent::builder("second").build()?])?;
    /// for event in store.read(1..) {
    ///     assert_eq!(event?.event.event_type(), "second");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The iterator returns a [`ReadError`] for an event that cannot be read; [`Events`] says how it continues.
    pub fn read(&self, range: impl RangeBounds<u64>) -> Events<'_, E, B> {
        Events::new(self.backend(), Ok(Query::all()), bounds(&range, self.len()))
    }

    /// Returns an iterator over the events that match the query, in order or from the end. Events that are appended
    /// later are not part of it. An index finds the events; the others are not read.
    ///
    /// ```
    /// # use annals::{EventStore, Query, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("seat-sold").tag("seat:12A").build()?)?;
    /// store.append(RawEvent::builder("seat-sold").tag("seat:12B").build()?)?;
    /// assert_eq!(store.query(&Query::tag("seat:12B")).next().unwrap()?.offset, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The iterator returns a [`ReadError`] for an event that cannot be read; [`Events`] says how it continues. It
    /// returns a single error, [`ReadError::InvalidQuery`], if no event of this store can match the query.
    pub fn query(&self, query: &Query) -> Events<'_, E, B> {
        Events::new(self.backend(), query.clone().of::<E>(), 0..self.len())
    }

    /// Returns the offset of the first event that was recorded at `time` or later, or the head if there is none. Times
    /// in a log never go back, so every later event was recorded at that time or later, too. The time is rounded down
    /// to the millisecond, as the times of events are.
    ///
    /// It reads the times of about 20 events of a million.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("seat-sold").build()?)?;
    /// let hour = Duration::from_secs(3600);
    /// assert_eq!(store.offset_at(SystemTime::now() - hour)?, 0);
    /// assert_eq!(store.offset_at(SystemTime::now() + hour)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError`] when the time of an event cannot be read.
    pub fn offset_at(&self, time: SystemTime) -> Result<u64, ReadError> {
        first_at(self.backend(), to_ms(time))
    }

    /// Returns the number of events, which is also the log's head: the offset that the next event will get.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// assert!(store.is_empty());
    /// store.append(RawEvent::builder("seat-sold").build()?)?;
    /// assert_eq!(store.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.backend().head().get()
    }

    /// Returns whether the log has no events.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// if store.is_empty() {
    ///     store.append(RawEvent::builder("opened").build()?)?;
    /// }
    /// assert!(!store.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the event types in the log with their numbers of events, sorted by name.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("seat-sold").build()?)?;
    /// let types = store.types()?;
    /// assert_eq!((types[0].name.as_str(), types[0].count), ("seat-sold", 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot be read.
    pub fn types(&self) -> Result<Vec<NameCount>, ReadError> {
        self.names(NameKind::Type, "")
    }

    /// Returns the tags in the log that begin with `prefix`, with their numbers of events, sorted by name.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("seat-sold").tag("seat:12A").tag("show:7").build()?)?;
    /// let seats = store.tags("seat:")?;
    /// assert_eq!((seats[0].name.as_str(), seats[0].count), ("seat:12A", 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot be read.
    pub fn tags(&self, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        self.names(NameKind::Tag, prefix)
    }

    /// Returns the time at which the event at `offset` was recorded, in ms since 1970 UTC. Counts a failure as a failed
    /// read.
    pub(crate) fn time_ms(&self, offset: u64) -> Result<Option<u64>, ReadError> {
        self.backend().head().meters().counted(self.backend().time_ms(offset))
    }

    /// Returns the digest of the event at `offset`. Counts a failure as a failed read.
    #[cfg(feature = "snapshots")]
    pub(crate) fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
        self.backend().head().meters().counted(self.backend().digest(offset))
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        let meters = self.backend().head().meters();
        let mut names = meters.counted(self.backend().names(kind, prefix))?;
        names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(names)
    }
}
