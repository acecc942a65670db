//! The trait that a backend implements, and the types in its signatures.
//!
//! ```text
//!   EventStore ──append, submit──▶ Backend ──head().publish(…)──▶ readers, subscriptions, callbacks
//!              ──get, read───────▶         (a read does not use the commit path)
//! ```
//! The backend assigns offsets and checks conditions. No code above it assumes that only this process appends. The
//! author of a backend tests it with the suite of the crate `annals-conformance`.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use super::batch::{AppendFuture, Appended, Batch};
use super::beside::Beside;
use super::head::Head;
use crate::backend::health::Health;
use crate::error::{AppendError, ReadError};
use crate::event::error::CodecError;
use crate::event::event::{Event, EventRef, Recorded};
use crate::event::raw::RawEvent;
use crate::event::tags::Tags;
use crate::index::lookup::Kind;
use crate::metrics::stats::{SegmentStats, Stats};
use crate::query::Query;
#[cfg(feature = "snapshots")]
use crate::snapshot::{SnapshotStore, digest::EventDigest};

/// The place where a log lives. Every method may be called from any number of threads at once.
///
/// A program uses a backend through an [`EventStore`](crate::EventStore) and names this trait only in bounds:
///
/// ```
/// use annals::{Backend, Event, EventStore, RawEvent, ReadError};
///
/// fn last_time_ms<E: Event, B: Backend<E>>(store: &EventStore<E, B>) -> Result<Option<u64>, ReadError> {
///     store.read(..).next_back().map(|event| Ok(event?.time_ms)).transpose()
/// }
///
/// let boxed: Box<dyn Backend<RawEvent>> = Box::new(annals::Memory::new());
/// assert_eq!(last_time_ms(&EventStore::on(boxed))?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The nine methods without a default are all that a backend must have. Here they belong to a log around another one,
/// for tests of a program: each append of it can be made to fail. (A backend from the ground up is made of the parts in
/// the module [`backend`](crate::backend).)
///
/// ```
/// use annals::{
///     AppendError, AppendFuture, Appended, Backend, Batch, Event, EventRef, EventStore, Head, Memory, NameCount,
///     NameKind, RawEvent, ReadError, Selection, Stats,
/// };
/// use std::ops::Range;
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// #[derive(Default)]
/// struct Switch<B> {
///     log: B,
///     is_off: AtomicBool,
/// }
///
/// impl<B> Switch<B> {
///     fn check(&self) -> Result<(), AppendError> {
///         // Relaxed: the flag guards no other memory.
///         if self.is_off.load(Ordering::Relaxed) { Err(AppendError::ReadOnly) } else { Ok(()) }
///     }
/// }
///
/// impl<E: Event, B: Backend<E>> Backend<E> for Switch<B> {
///     fn append(&self, batch: Batch<E>) -> Result<Appended, AppendError> {
///         self.check().and_then(|()| self.log.append(batch))
///     }
///     fn submit(&self, batch: Batch<E>) -> AppendFuture {
///         match self.check() {
///             Ok(()) => self.log.submit(batch),
///             Err(error) => Box::pin(std::future::ready(Err(error))),
///         }
///     }
///     fn head(&self) -> &Head<E> {
///         self.log.head()
///     }
///     fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError> {
///         self.log.get(offset)
///     }
///     fn read<'a>(
///         &'a self,
///         selection: Selection<'_>,
///         page: &mut Vec<EventRef<'a, E>>,
///     ) -> Result<Range<u64>, ReadError> {
///         self.log.read(selection, page)
///     }
///     fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
///         self.log.names(kind, prefix)
///     }
///     fn stats(&self) -> Stats {
///         self.log.stats()
///     }
///     fn sync(&self) -> Result<(), AppendError> {
///         self.log.sync()
///     }
///     fn close(&self) -> Result<(), AppendError> {
///         self.log.close()
///     }
/// }
///
/// let store = EventStore::<RawEvent, _>::on(Switch::<Memory<RawEvent>>::default());
/// let noted = || RawEvent::builder("noted").id("note-1").build();
/// store.append(noted()?)?;
/// store.backend().is_off.store(true, Ordering::Relaxed);
/// assert!(matches!(store.append(noted()?), Err(AppendError::ReadOnly)));
/// assert_eq!(store.find("note-1")?, Some(0)); // a method with a default, made of those above
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Backend<E: Event>: Send + Sync {
    /// Appends a batch, all or none. Returns its offsets once it is published and as durable as the backend's options
    /// ask, and whether the log had the batch already.
    ///
    /// # Errors
    /// [`AppendError`]; the log then shows nothing of the batch.
    fn append(&self, batch: Batch<E>) -> Result<Appended, AppendError>;

    /// Appends one event as [`append`](Self::append) appends a batch of it, without a condition or a time. Returns its
    /// offset. By default this appends a batch. A backend implements it if a batch costs more than the append.
    ///
    /// # Errors
    /// [`AppendError`]; the log then shows nothing of the event.
    fn append_one(&self, event: E) -> Result<u64, AppendError> {
        Ok(self.append(Batch::new(vec![event]))?.offsets.start)
    }

    /// Appends a batch as [`append`](Self::append) does, without blocking the caller. If there is room in the queue,
    /// the batch is queued when this returns, and is appended whether or not the future is awaited.
    /// [`EventStore::append_as_async`](crate::EventStore::append_as_async) says what happens without room.
    fn submit(&self, batch: Batch<E>) -> AppendFuture;

    /// Returns the published head: the length of the log that readers see, and wait for. The backend moves it with its
    /// [`HeadPublisher`](crate::backend::HeadPublisher).
    fn head(&self) -> &Head<E>;

    /// Returns the event at `offset`, or `None` at and beyond the head.
    ///
    /// # Errors
    /// [`ReadError`] when the event exists and cannot be read.
    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError>;

    /// Returns the time at which the event at `offset` was recorded, in ms since 1970 UTC, or `None` at and beyond the
    /// head.
    ///
    /// By default this reads the event. A backend that decodes events should return the time without decoding, since
    /// callers also need the times of events that cannot be decoded.
    ///
    /// # Errors
    /// [`ReadError`] when the event exists and its time cannot be read.
    fn time_ms(&self, offset: u64) -> Result<Option<u64>, ReadError> {
        Ok(self.get(offset)?.map(|event| event.time_ms))
    }

    /// Returns the digest of the event at `offset`, or `None` at and beyond the head.
    ///
    /// A snapshot stores digests to detect that it belongs to another log. So the digest must differ between any two
    /// events that can ever be at this offset, and must stay the same as long as the event does, also when the log is
    /// reopened.
    ///
    /// By default this is the digest of the event as [`get`](Self::get) decodes it and [`Event::encode`] writes it. A
    /// backend that stores bytes should return the digest of the stored bytes, without decoding. Snapshots then stay
    /// valid with a new version of the program, and work for a log with events that the program cannot decode.
    ///
    /// # Errors
    /// [`ReadError`] when the event exists and cannot be read or, by default, cannot be encoded.
    #[cfg(feature = "snapshots")]
    #[cfg_attr(docsrs, doc(cfg(feature = "snapshots")))]
    fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
        let Some(event) = self.get(offset)? else { return Ok(None) };
        match EventDigest::of_event(&event.event) {
            Ok(digest) => Ok(Some(digest)),
            Err(error) => Err(ReadError::Decode {
                offset,
                event_type: event.event.event_type().to_owned(),
                source: CodecError::payload(error),
            }),
        }
    }

    /// Returns the tags of the event at `offset`, or `None` at and beyond the head.
    ///
    /// By default this decodes the event. A backend that stores bytes should return the stored tags without decoding:
    /// callers also need the tags of events that cannot be decoded.
    ///
    /// # Errors
    /// [`ReadError`] when the event exists and its tags cannot be read.
    fn tags(&self, offset: u64) -> Result<Option<Tags>, ReadError> {
        let Some(event) = self.get(offset)? else { return Ok(None) };
        let mut tags = Tags::default();
        event.event.tags(&mut tags);
        Ok(Some(tags))
    }

    /// Returns the offset of the event with this [id](Event::id), or `None` if no event below the head has it.
    ///
    /// By default this reads the whole log, up to the event. A backend with an index of ids should use it. It must not
    /// wait for a writer.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read. By default, also when no event has the id and an event could not be
    /// decoded, since that one may have it.
    fn find_id(&self, id: &str) -> Result<Option<u64>, ReadError> {
        let mut undecoded = None;
        for offset in 0..self.head().get() {
            match self.get(offset) {
                Ok(Some(event)) if event.event.id().as_deref() == Some(id) => {
                    return Ok(Some(offset));
                }
                Ok(_) => {}
                Err(error @ ReadError::Decode { .. }) => {
                    undecoded.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        undecoded.map_or(Ok(None), Err)
    }

    /// Returns the preferred page size, 256 by default. A backend with a high per-call cost may return more.
    ///
    /// It is the largest `selection.limit` that a long read passes to [`read`](Self::read). A value below 16 counts as
    /// 16. The events of a page are in memory at the same time.
    fn page_limit(&self) -> usize {
        256
    }

    /// Adds the next events of a selection to `page`, in the selection's direction: at most `selection.limit`, and at
    /// least one unless no event of the range is left. Returns the rest of the range, which is empty once all of it was
    /// searched.
    ///
    /// The events of a page are in memory at the same time. So a backend that decodes them ends the page behind the
    /// event with which their stored bytes reach 1 MiB.
    ///
    /// # Errors
    /// [`ReadError`] when the first event to add cannot be read. When a later event cannot be read, the events before
    /// it are added without an error. The offset of a [`ReadError::Decode`] is the event's: readers continue behind it.
    fn read<'a>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, E>>,
    ) -> Result<Range<u64>, ReadError>;

    /// Adds the next events of `range` to `page`, with the bytes that the log stores: at most `limit`, and at least one
    /// unless no event of the range is below the head. Returns the rest of the range, which is empty once all of it was
    /// read.
    ///
    /// By default this encodes the events that [`read`](Self::read) returns. A backend that stores bytes must return
    /// the stored bytes instead: an event that was decoded may encode to other bytes, once its type was renamed or
    /// changed. Proofs of the log (the crate `annals-proof`) are about these bytes.
    ///
    /// # Errors
    /// [`ReadError`] when the first event to add cannot be read or, by default, cannot be encoded.
    fn read_raw(
        &self,
        range: Range<u64>,
        limit: usize,
        page: &mut Vec<Recorded<RawEvent>>,
    ) -> Result<Range<u64>, ReadError> {
        let mut events = Vec::new();
        let range = range.start..range.end.min(self.head().get());
        if range.is_empty() {
            return Ok(range.end..range.end);
        }
        let selection = Selection { query: &Query::all(), range, reverse: false, limit };
        let rest = self.read(selection, &mut events)?;
        for (index, event) in events.iter().enumerate() {
            // An event that is raw already shares its memory.
            let raw = (&event.event as &dyn Any).downcast_ref::<RawEvent>();
            match raw.cloned().map_or_else(|| RawEvent::of(&event.event), Ok) {
                Ok(raw) => {
                    let (offset, time_ms) = (event.offset, event.time_ms);
                    page.push(Recorded { offset, time_ms, event: raw });
                }
                // The events before it are returned first. The error is returned by the next read.
                Err(_) if index > 0 => return Ok(event.offset..rest.end),
                Err(error) => {
                    return Err(ReadError::Decode {
                        offset: event.offset,
                        event_type: event.event.event_type().to_owned(),
                        source: CodecError::payload(error),
                    });
                }
            }
        }
        Ok(rest)
    }

    /// Returns the names of a kind that begin with `prefix`, each with its number of events, in any order.
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot be read.
    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError>;

    /// Returns the number of events with a name whose offsets are in `range` and below the head.
    ///
    /// By default this reads the events. A backend with an index should count in the index.
    ///
    /// # Errors
    /// [`ReadError`] when the index or, by default, an event cannot be read. An event that cannot be decoded counts.
    fn count(&self, kind: NameKind, name: &str, range: Range<u64>) -> Result<u64, ReadError> {
        let mut count = 0;
        walk(self, kind, name, range, |_| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    /// Returns the offset of event number `n`, counted from 0, of the events with a name, or `None` if fewer are below
    /// the head.
    ///
    /// By default this reads the events. A backend with an index should find it in the index.
    ///
    /// # Errors
    /// Those of [`count`](Self::count).
    fn nth(&self, kind: NameKind, name: &str, n: u64) -> Result<Option<u64>, ReadError> {
        let (mut left, mut found) = (n, None);
        walk(self, kind, name, 0..u64::MAX, |offset| {
            found = (left == 0).then_some(offset);
            left = left.saturating_sub(1);
            found.is_none()
        })?;
        Ok(found)
    }

    /// Returns the sizes that the backend knows. The [`Head`] has what is measured as the log is used;
    /// [`EventStore::stats`](crate::EventStore::stats) combines the two.
    fn stats(&self) -> Stats;

    /// Returns the sizes of each segment, in order. Returns nothing by default, for a backend without segments.
    fn segments(&self) -> Vec<SegmentStats> {
        Vec::new()
    }

    /// Makes everything appended so far durable, whatever durability appends have.
    ///
    /// # Errors
    /// [`AppendError`] when that fails. The store then takes no more appends.
    fn sync(&self) -> Result<(), AppendError>;

    /// Closes the log: refuses further appends, waits for accepted ones, makes everything durable, and then closes the
    /// head, so that subscriptions end behind the last event. A second call does only what failed in the first.
    ///
    /// # Errors
    /// [`AppendError`] for every failure that dropping the backend would only log. The head is closed in any case.
    fn close(&self) -> Result<(), AppendError>;

    /// Returns whether the log takes appends, and if not, why. By default this reports only whether the log is closed.
    /// A backend that can be read-only, run out of room or fail reports these as well.
    fn health(&self) -> Health {
        if self.head().takes_appends() { Health::Open } else { Health::Closed }
    }

    /// Returns the log's own id, which no other log has and which stays the same when the log is reopened. `None`, the
    /// default, means that the log has no id. Snapshots store it, to detect that they belong to another log.
    fn store_id(&self) -> Option<[u8; 16]> {
        None
    }

    /// Returns the backend's own snapshot store, or `None`, the default, if it has none.
    #[cfg(feature = "snapshots")]
    #[cfg_attr(docsrs, doc(cfg(feature = "snapshots")))]
    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        None
    }

    /// Returns the place beside the log where other crates store what belongs to it, for example the positions of
    /// consumers. `None`, the default, means that the backend has no such place.
    fn beside(&self) -> Option<Beside> {
        None
    }
}

/// The events to read, and the direction. The argument of [`Backend::read`].
///
/// ```
/// use annals::{Backend, EventStore, Query, RawEvent, Selection};
///
/// let store = EventStore::in_memory();
/// store.append_batch((0..5).map(|_| RawEvent::builder("noted").build().unwrap()))?;
///
/// let query = Query::event_type("noted");
/// let last_two = Selection { query: &query, range: 0..store.len(), reverse: true, limit: 2 };
/// let mut page = Vec::new();
/// let rest = store.backend().read(last_two, &mut page)?;
/// assert_eq!(page.iter().map(|event| event.offset).collect::<Vec<_>>(), [4, 3]);
/// assert_eq!(rest, 0..3); // to be read next
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Selection<'q> {
    /// The query that the events match.
    pub query: &'q Query,
    /// The range of offsets; its end is at most the head.
    pub range: Range<u64>,
    /// Whether to read from the last event to the first.
    pub reverse: bool,
    /// The largest number of events to add, at least 1.
    pub limit: usize,
}

/// The kind of a name in the log. [`EventStore::count`](crate::EventStore::count) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// An event type.
    Type,
    /// A tag.
    Tag,
}

impl From<NameKind> for Kind {
    fn from(kind: NameKind) -> Self {
        match kind {
            NameKind::Type => Self::Type,
            NameKind::Tag => Self::Tag,
        }
    }
}

/// Calls `see` with the offset of each event of `range` that has a name, until it returns false.
fn walk<E: Event, B: Backend<E> + ?Sized>(
    backend: &B,
    kind: NameKind,
    name: &str,
    range: Range<u64>,
    mut see: impl FnMut(u64) -> bool,
) -> Result<(), ReadError> {
    let query = match kind {
        NameKind::Type => Query::event_type(name),
        NameKind::Tag => Query::tag(name),
    };
    let mut range = range.start..range.end.min(backend.head().get());
    let mut page = Vec::new();
    while !range.is_empty() {
        let limit = backend.page_limit().max(16);
        let selection = Selection { query: &query, range: range.clone(), reverse: false, limit };
        match backend.read(selection, &mut page) {
            Ok(left) => {
                if !page.drain(..).all(|event| see(event.offset)) {
                    return Ok(());
                }
                range = left;
            }
            Err(ReadError::Decode { offset, .. }) if range.contains(&offset) => {
                if !see(offset) {
                    return Ok(());
                }
                range.start = offset + 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A type or tag in the log, and the number of events that have it. [`EventStore::types`](crate::EventStore::types) and
/// [`EventStore::tags`](crate::EventStore::tags) return it.
///
/// ```
/// use annals::{EventStore, NameCount, RawEvent};
///
/// let store = EventStore::in_memory();
/// for seat in ["12A", "12B", "12B"] {
///     store.append(RawEvent::builder("seat-viewed").tag(format!("seat:{seat}")).build()?)?;
/// }
/// let most = store.tags("seat:")?.into_iter().max_by_key(|seat| seat.count);
/// assert_eq!(most, Some(NameCount { name: "seat:12B".into(), count: 2 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCount {
    /// The type or tag.
    pub name: String,
    /// The number of events that have it, at least 1.
    pub count: u64,
}
