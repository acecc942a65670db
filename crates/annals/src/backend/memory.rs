//! The backend in memory: a segmented list of the events, and an in-memory index.
//!
//! Events in memory never move, so a read returns a reference into the list. Only a log that [`Memory::encoded`]
//! returned encodes and decodes each event, once, when it is appended.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use annals_base::{ListWriter, SegmentedList, Slices, segmented_list};

use super::backend::{Backend, NameCount, NameKind, Selection};
use super::batch::{AppendFuture, Appended, Batch};
use super::beside::{Beside, BesideValues};
use super::commit::clock::Clock;
use super::commit::committer::Committer;
use super::commit::target::CommitTarget;
use super::encode::Encoded;
use super::head::Head;
use super::head::callbacks::Published;
use super::head::publisher::HeadPublisher;
use super::health::Health;
use crate::error::{AppendError, ReadError};
use crate::event::error::{CodecError, InvalidEvent};
use crate::event::event::{Event, EventRef, Recorded};
use crate::event::name::Hasher;
use crate::event::name::Name;
use crate::index::lookup::{Kind, Lookup};
use crate::index::memory::{MemIndex, MemIndexWriter};
use crate::index::plan::{Search, first_match};
use crate::metrics::meters::Meters;
use crate::metrics::stats::{SegmentStats, Stats};
use crate::query::Condition;
use crate::snapshot::SnapshotStore;
use crate::snapshot::digest::EventDigest;
use crate::snapshot::memory::MemorySnapshots;
use crate::util::local_offset::local_offset;

/// The largest number of events in a log in memory.
const MAX_EVENTS: u64 = u32::MAX as u64;

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
    snapshots: Arc<MemorySnapshots>,
    beside: Arc<BesideValues>,
    /// Whether each event is encoded and decoded when it is appended.
    encodes: bool,
}

/// The side that the leader of the commit path writes to.
struct MemoryTarget<E> {
    list: ListWriter<Recorded<E>>,
    index: MemIndexWriter,
    reader: MemIndex,
    hasher: Hasher,
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
        let target = MemoryTarget { list: writer, index, reader: reader.clone(), hasher };
        let committer = Committer::with_clock(head.clone(), target, clock);
        Self {
            head,
            list,
            index: reader,
            hasher,
            committer,
            store_id: uuid::Uuid::new_v4(),
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
        let encoded = if self.encodes {
            Encoded::read_back(&batch.events, &self.hasher).map(|(encoded, events)| {
                batch.events = events;
                encoded
            })
        } else if cfg!(debug_assertions) && E::ANY_CODEC {
            match Encoded::records(&batch.events, &self.hasher) {
                Err(AppendError::Invalid {
                    source: InvalidEvent::Encode(CodecError::Payload(_)),
                    ..
                }) => Encoded::labels(&batch.events, &self.hasher),
                encoded => encoded.map(Encoded::without_records),
            }
        } else {
            Encoded::labels(&batch.events, &self.hasher)
        };
        encoded.map_err(|error| self.head.refused(error))
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
        let encoded = self.encode(&mut batch)?;
        self.committer.append(batch, encoded)
    }

    fn submit(&self, mut batch: Batch<E>) -> AppendFuture {
        match self.encode(&mut batch) {
            Ok(encoded) => self.committer.submit(batch, encoded),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn head(&self) -> &Head<E> {
        &self.head
    }

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

    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        Some(Arc::clone(&self.snapshots) as Arc<dyn SnapshotStore>)
    }

    fn beside(&self) -> Option<Beside> {
        Some(Beside::Memory(Arc::clone(&self.beside)))
    }
}

impl<E: Event> CommitTarget<E> for MemoryTarget<E> {
    fn next_offset(&self) -> u64 {
        (self.list.list().len() + self.list.staged()) as u64
    }

    fn last_time_ms(&self) -> u64 {
        let last = usize::try_from(self.next_offset()).ok().and_then(|next| next.checked_sub(1));
        last.and_then(|last| self.list.get(last)).map_or(0, |event| event.time_ms)
    }

    fn reserve(&mut self, _bytes: usize, labels: usize) -> io::Result<()> {
        if self.next_offset() + labels as u64 > MAX_EVENTS || !self.index.has_room(labels) {
            let full = format!(
                "a log in memory holds at most {MAX_EVENTS} events, and fewer with many tags"
            );
            return Err(io::Error::new(io::ErrorKind::StorageFull, full));
        }
        Ok(())
    }

    fn conflict(&mut self, condition: &Condition) -> Result<Option<u64>, ReadError> {
        let from = u32::try_from(condition.head()).expect("at most the head, which fits");
        let found = first_match(condition.query(), &self.hasher, &self.reader, from);
        let found = found.map(u64::from);
        Ok(found.filter(|&found| found < self.next_offset()))
    }

    fn find_id(&mut self, id: Name<'_>) -> Result<Option<u64>, ReadError> {
        Ok(self.reader.posting(Kind::Id, id).map(|mut posting| u64::from(posting.get(0))))
    }

    fn event_type(&self, offset: u64) -> Result<Cow<'_, str>, ReadError> {
        let event = usize::try_from(offset).ok().and_then(|offset| self.list.get(offset));
        let event = event.expect("an id is found only where an event is");
        Ok(event.event.event_type().into())
    }

    fn stage(&mut self, events: Vec<E>, batch: Encoded, time_ms: u64) {
        for (index, event) in events.into_iter().enumerate() {
            let offset = self.next_offset();
            // The offset and the index have room: `reserve` has checked it.
            self.index.add_event(local_offset(offset, 0), &batch.labels.event(index));
            self.list.stage(Recorded { offset, time_ms, event });
        }
    }

    fn commit(&mut self) -> io::Result<Published<E>> {
        let first = self.list.list().len();
        let end = self.list.publish();
        Ok(Published::listed(self.list.list().clone(), first..end))
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
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
