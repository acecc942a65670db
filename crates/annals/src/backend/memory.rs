//! The backend in memory: a segmented list of the events, and an in-memory index.
//!
//! Events in memory never move, so a read returns a reference into the list. Only a log that [`Memory::encoded`]
//! returned encodes and decodes each event, once, when it is appended.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

use annals_base::{SegmentedList, Slices, segmented_list};

use super::backend::{Backend, NameCount, NameKind, Selection};
use super::batch::{AppendFuture, Appended, Batch};
use super::beside::{Beside, BesideValues};
use super::commit::clock::Clock;
use super::commit::committer::Committer;
#[cfg(test)]
use super::commit::target::CommitTarget;
use super::encode::Encoded;
use super::head::Head;
use super::head::callbacks::Published;
use super::head::publisher::HeadPublisher;
use super::health::Health;
use super::memory_target::MemoryTarget;
use super::one_event::OneEvent;
use crate::error::{AppendError, ReadError};
use crate::event::error::{CodecError, InvalidEvent};
use crate::event::event::{Event, EventRef, Recorded};
use crate::event::name::Hasher;
use crate::index::lookup::{Kind, Lookup};
use crate::index::memory::{MemIndex, MemIndexWriter};
use crate::index::plan::Search;
use crate::metrics::meters::{Meters, Timed};
use crate::metrics::stats::{SegmentStats, Stats};
#[cfg(feature = "snapshots")]
use crate::snapshot::{SnapshotStore, digest::EventDigest, memory::MemorySnapshots};
use crate::util::local_offset::local_offset;
use crate::util::random_id::random_id;

/// The backend in memory: the fastest backend. The log is gone with the process.
///
/// It stores events without encoding them. So in release builds it takes events that a log in files refuses: events
/// that are too large, and events that do not decode to the original. Debug builds encode and decode each event with a
/// derived [`Event`] once, and refuse these. All builds take an event that has no encoding at all (a map with keys that
/// JSON does not allow, or an `Event` that was implemented by hand), since memory needs none. A test of a program whose
/// log is in files uses [`Memory::encoded`], which refuses everything that files refuse.
///
/// ```
/// use annals::{EventStore, Memory, RawEvent};
/// let store = EventStore::on(Memory::new());
/// store.append(RawEvent::builder("seat-sold").build()?)?;
///
/// // The same log, for tests of a program whose log is in files.
/// let store = EventStore::on(Memory::encoded());
/// store.append(RawEvent::builder("seat-sold").build()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Memory<E: Event> {
    head: HeadPublisher<E>,
    list: SegmentedList<Recorded<E>>,
    index: MemIndex,
    hasher: Hasher,
    committer: Arc<Committer<E, MemoryTarget<E>>>,
    store_id: uuid::Uuid,
    #[cfg(feature = "snapshots")]
    snapshots: Arc<MemorySnapshots>,
    beside: Arc<BesideValues>,
    /// Whether each event is encoded and decoded when it is appended.
    encodes: bool,
}

impl<E: Event> Memory<E> {
    /// Returns an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::with(MemIndexWriter::new(), Clock::default())
    }

    /// Returns an empty log with this empty index, whose capacity limits the log, and with this clock.
    pub(crate) fn with(index: MemIndexWriter, clock: Clock) -> Self {
        let hasher = Hasher::new(&random_key());
        let (writer, list) = segmented_list();
        let reader = index.reader();
        let head = HeadPublisher::with_meters(Meters::new("memory", false), 0);
        let target = MemoryTarget::new(writer, index, hasher);
        let committer = Committer::with_clock(head.clone(), target, clock);
        Self {
            head,
            list,
            index: reader,
            hasher,
            committer,
            store_id: random_id(),
            #[cfg(feature = "snapshots")]
            snapshots: Arc::default(),
            beside: Arc::default(),
            encodes: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn committer(&self) -> &Committer<E, impl CommitTarget<E>> {
        &self.committer
    }

    /// Returns an empty log that treats events as a log in files does, for tests of a program whose log is in files.
    /// Each event is checked against all limits, encoded and decoded when it is appended, and readers see the decoded
    /// event. An append takes as much longer as encoding and decoding take.
    #[must_use]
    pub fn encoded() -> Self {
        let mut memory = Self::new();
        memory.encodes = true;
        memory
    }

    /// Returns an empty log like this one that takes the times of events from `clock`: the system's by default. A test
    /// passes a [`TestClock`](crate::testing::TestClock). Call this before the first append: this log's events are not
    /// in the new one.
    #[must_use]
    pub fn clock(self, clock: impl Into<Clock>) -> Self {
        let mut memory = Self::with(MemIndexWriter::new(), clock.into());
        memory.encodes = self.encodes;
        memory
    }

    fn encode(&self, batch: &mut Batch<E>) -> Result<Encoded, AppendError> {
        if self.encodes {
            Encoded::read_back(&batch.events, &self.hasher).map(|(encoded, events)| {
                batch.events = events;
                encoded
            })
        } else {
            self.check(&batch.events)?;
            Encoded::labels(&batch.events, &self.hasher)
        }
    }

    /// In a debug build, checks that derived events have the encoding that a log in files needs.
    fn check(&self, events: &[E]) -> Result<(), AppendError> {
        if !(cfg!(debug_assertions) && E::ANY_CODEC) {
            return Ok(());
        }
        match Encoded::records(events, &self.hasher) {
            Err(AppendError::Invalid {
                source: InvalidEvent::Encode(CodecError::Payload(_)),
                ..
            }) => Ok(()),
            encoded => encoded.map(drop),
        }
    }

    /// Appends one event without counting it: the short way if that can be taken, as a batch if not.
    #[inline]
    fn append_short(&self, event: E) -> Result<u64, AppendError> {
        if self.encodes {
            return self.append_long(event);
        }
        let Some(labels) = OneEvent::of(&event, &self.index, &self.hasher) else {
            return self.append_long(event);
        };
        self.check(std::slice::from_ref(&event))?;
        let Some(alone) = self.committer.lead_alone() else { return self.append_long(event) };
        alone.commit(
            |target, clock| target.append_one(event, &labels, clock),
            |offset| self.list.get(local_offset(offset, 0) as usize),
            |offset| {
                let index = local_offset(offset, 0) as usize;
                Published::listed(self.list.clone(), index..index + 1)
            },
        )
    }

    #[cold]
    fn append_long(&self, event: E) -> Result<u64, AppendError> {
        let mut batch = Batch::new(vec![event]);
        let encoded = self.encode(&mut batch)?;
        Ok(self.committer.append_queued(batch, encoded)?.offsets.start)
    }

    /// Returns the events at these offsets as contiguous slices, in order.
    pub(crate) fn slices(&self, range: Range<u64>) -> Slices<'_, Recorded<E>> {
        let clamp = |offset: u64| local_offset(offset.min(self.head.get()), 0) as usize;
        self.list.slices(clamp(range.start)..clamp(range.end))
    }
}

impl<E: Event> Default for Memory<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Event> Drop for Memory<E> {
    fn drop(&mut self) {
        self.committer.retire();
    }
}

fn random_key() -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes());
    key[8..].copy_from_slice(&RandomState::new().hash_one(1).to_le_bytes());
    key
}

impl<E: Event> Backend<E> for Memory<E> {
    fn append(&self, mut batch: Batch<E>) -> Result<Appended, AppendError> {
        let encoded = self.encode(&mut batch).map_err(|error| self.head.refused(error))?;
        self.committer.append(batch, encoded)
    }

    #[inline]
    fn append_one(&self, event: E) -> Result<u64, AppendError> {
        let meters = self.head.meters();
        let started = meters.start(Timed::Append);
        let result = self.append_short(event);
        meters.appended(started, &result);
        result
    }

    fn submit(&self, mut batch: Batch<E>) -> AppendFuture {
        match self.encode(&mut batch) {
            Ok(encoded) => self.committer.submit(batch, encoded),
            Err(error) => Box::pin(std::future::ready(Err(self.head.refused(error)))),
        }
    }

    fn head(&self) -> &Head<E> {
        &self.head
    }

    #[inline]
    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError> {
        // The list publishes a commit just before the head moves, so the list may be longer than the log that readers
        // see.
        if offset >= self.head.get() {
            return Ok(None);
        }
        Ok(usize::try_from(offset)
            .ok()
            .and_then(|index| self.list.get(index))
            .map(EventRef::Borrowed))
    }

    /// Returns the digest of the store's id and the offset. That is enough: an event in memory never changes, and no
    /// other log has this id. It also works for an event that has no encoding.
    #[cfg(feature = "snapshots")]
    fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
        let mut name = self.store_id.into_bytes().to_vec();
        name.extend_from_slice(&offset.to_le_bytes());
        Ok((offset < self.head.get()).then(|| EventDigest::of(&name)))
    }

    fn find_id(&self, id: &str) -> Result<Option<u64>, ReadError> {
        let posting = self.index.posting(Kind::Id, self.hasher.name(id));
        let found = posting.filter(|posting| !posting.is_empty());
        let found = found.map(|mut posting| u64::from(posting.get(0)));
        // Offsets at and beyond the head belong to a commit that is not published yet.
        Ok(found.filter(|&found| found < self.head.get()))
    }

    fn read<'a>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, E>>,
    ) -> Result<Range<u64>, ReadError> {
        let Selection { query, mut range, reverse, limit } = selection;
        range.end = range.end.min(self.head.get());
        let search = Search::new(query, &self.hasher);
        let mut plan = search.plan(&self.index);
        // The offset fits: `reserve` keeps the head within 4 bytes.
        let small = |offset| local_offset(offset, 0);
        for _ in 0..limit {
            if range.is_empty() {
                break;
            }
            let found = if reverse {
                plan.previous(small(range.end))
            } else {
                plan.next(small(range.start))
            };
            let Some(found) = found.map(u64::from).filter(|found| range.contains(found)) else {
                return Ok(range.end..range.end);
            };
            page.extend(self.list.get(local_offset(found, 0) as usize).map(EventRef::Borrowed));
            if reverse { range.end = found } else { range.start = found + 1 }
        }
        Ok(range)
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        let head = self.head.get();
        let names = self.index.names(kind.into());
        let counted =
            names.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(name, mut posting)| {
                // Offsets at and beyond the head belong to a commit that is not published yet.
                let published =
                    (0..posting.len()).rev().find(|&at| u64::from(posting.get(at)) < head);
                NameCount {
                    name: name.to_owned(),
                    count: published.map_or(0, |at| u64::from(at) + 1),
                }
            });
        Ok(counted.filter(|name| name.count > 0).collect())
    }

    fn count(&self, kind: NameKind, name: &str, range: Range<u64>) -> Result<u64, ReadError> {
        let range = range.start..range.end.min(self.head.get());
        let posting = self.index.posting(kind.into(), self.hasher.name(name));
        let Some(mut posting) = posting.filter(|_| !range.is_empty()) else { return Ok(0) };
        // The offsets fit: they are at most the head.
        let mut below = |offset| posting.count_below(local_offset(offset, 0));
        Ok(u64::from(below(range.end)) - u64::from(below(range.start)))
    }

    fn nth(&self, kind: NameKind, name: &str, n: u64) -> Result<Option<u64>, ReadError> {
        let posting = self.index.posting(kind.into(), self.hasher.name(name));
        let Some(mut posting) = posting else { return Ok(None) };
        let at = u32::try_from(n).ok().filter(|&at| at < posting.len());
        let found = at.map(|at| u64::from(posting.get(at)));
        Ok(found.filter(|&found| found < self.head.get()))
    }

    fn stats(&self) -> Stats {
        let list_bytes = self.list.allocated_bytes() as u64;
        Stats {
            events: self.head.get(),
            event_bytes: list_bytes,
            index_bytes: 0,
            segments: self.list.segment_count() as u64,
            memory_bytes: list_bytes + self.index.allocated_bytes() as u64,
            subscribers: self.head.subscriber_count() as u64,
            ..Stats::default()
        }
    }

    fn segments(&self) -> Vec<SegmentStats> {
        let (mut first, mut rest) = (0, self.list.allocated_bytes() as u64);
        let mut segments: Vec<_> = self
            .list
            .slices(..)
            .map(|events| {
                let bytes = size_of_val(events) as u64;
                let segment = SegmentStats {
                    first,
                    event_bytes: bytes,
                    memory_bytes: bytes,
                    ..SegmentStats::default()
                };
                first += events.len() as u64;
                rest = rest.saturating_sub(bytes);
                segment
            })
            .collect();
        // All segments but the last are full. The last one has the rest of the allocated memory.
        if let Some(last) = segments.last_mut() {
            last.event_bytes += rest;
            last.memory_bytes += rest;
        }
        segments
    }

    fn sync(&self) -> Result<(), AppendError> {
        self.committer.sync()
    }

    fn close(&self) -> Result<(), AppendError> {
        self.committer.close()
    }

    fn health(&self) -> Health {
        self.committer.health()
    }

    fn store_id(&self) -> Option<[u8; 16]> {
        Some(self.store_id.into_bytes())
    }

    #[cfg(feature = "snapshots")]
    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        Some(Arc::clone(&self.snapshots) as Arc<dyn SnapshotStore>)
    }

    fn beside(&self) -> Option<Beside> {
        Some(Beside::Memory(Arc::clone(&self.beside)))
    }
}

impl<E: Event> std::fmt::Debug for Memory<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("head", &self.head).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::raw::RawEvent;
    use crate::query::Query;
    use crate::store::store::EventStore;

    /// Returns an event with seven tags of its own, and one tag that all events have.
    fn event(n: u64) -> RawEvent {
        let own = (0..7).map(|tag| format!("own:{n}:{tag}"));
        let builder = own.fold(RawEvent::builder("noted"), crate::RawEventBuilder::tag);
        builder.tag("all").id(format!("id-{n}")).build().unwrap()
    }

    #[test]
    fn a_log_whose_index_is_full_refuses_more_and_keeps_what_it_has() {
        let most = 4_000;
        let store = EventStore::<RawEvent, _>::on(Memory::with(
            MemIndexWriter::with_most(most),
            Clock::default(),
        ));
        let refused = (0..2_000).find_map(|n| store.append(event(n)).err().map(|error| (n, error)));
        let (count, error) = refused.unwrap();
        assert!(matches!(error, AppendError::NoRoom { .. }), "{error}");
        assert!(count > 100, "{count} events in an index of {most} names and offsets");
        let Memory { index, .. } = store.backend();
        let names = |kind| index.names(kind).iter().count();
        assert!([Kind::Type, Kind::Tag, Kind::Id].into_iter().all(|kind| names(kind) < most));
        // An event with fewer new names still fits, and so does one whose names the index has.
        assert_eq!(store.append(event(3)).unwrap(), 3);
        assert_eq!(store.append(RawEvent::builder("noted").build().unwrap()).unwrap(), count);
        let all = store.query(&Query::tag("all"));
        assert!(all.map(|event| event.unwrap().offset).eq(0..count));
        for n in 0..count {
            let own = store.query(&Query::tag(format!("own:{n}:6")));
            assert!(own.map(|event| event.unwrap().offset).eq([n]));
        }
    }
}
