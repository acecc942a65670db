//! A segment as readers see it: its file, and the index that finds events in it.
//!
//! The last segment is the active one, whose index grows in memory. The others are sealed: their files never change
//! again, and their indexes are files too.

use std::mem::offset_of;
use std::ops::Deref;
use std::sync::OnceLock;

use bytes::Bytes;

use super::bloom::BloomFilter;
use super::file::{SEGMENT_HEAD, SegmentFile};
use super::frame::FrameHead;
use super::index_file::SealedIndex;
use super::memory_index::{SegmentMemIndex, rebuild_index};
use crate::error::Corruption;
use crate::event::name::Name;
use crate::event::raw::RawEvent;
use crate::index::lookup::{Kind, Lookup, Posting};
use crate::index::names::Names;
use crate::index::plan::Search;
use crate::metrics::stats::SegmentStats;
use crate::util::little_endian::u32_at;
use crate::util::local_offset::local_offset;

/// A segment's file and index.
///
/// A search goes through the filters and the first offsets of all segments. These stand together at the start, in one
/// line of the processor's cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Segment {
    /// The filter of the index file. Without a block if the segment has no index file, or one without a filter.
    filter: BloomFilter,
    pub(crate) file: SegmentFile,
    pub(crate) index: SegmentIndex,
}

const _: () = assert!(offset_of!(Segment, file) + offset_of!(SegmentFile, first) + 8 <= 64);

impl Deref for Segment {
    type Target = SegmentFile;

    fn deref(&self) -> &SegmentFile {
        &self.file
    }
}

/// The index of a segment.
#[derive(Debug)]
pub(crate) enum SegmentIndex {
    Mem(SegmentMemIndex),
    /// The index file, and the index rebuilt from the log if that file turns out to be damaged.
    Sealed(Box<SealedIndex>, OnceLock<Result<SegmentMemIndex, Corruption>>),
}

impl SegmentIndex {
    pub(crate) fn sealed(index: SealedIndex) -> Self {
        Self::Sealed(Box::new(index), OnceLock::new())
    }
}

/// Returns whether `index` was built from this segment, whose events end at `end` and whose frames have the checksum
/// `frames_crc` (0 if it is not known). After a return to an older copy of the log, an index file may be left of a
/// segment that began at the same offset and had as many events.
pub(crate) fn is_index_of(
    index: &SealedIndex,
    file: &SegmentFile,
    end: u64,
    frames_crc: u32,
) -> bool {
    if frames_crc == 0 {
        has_last_event(index, file, end)
    } else {
        index.frames_crc() == frames_crc
    }
}

/// Returns whether the last event of a segment is at the position that the index has for it, and has the names that the
/// index has for it. In a store that an older annals wrote, nothing else can be compared.
///
/// The index passes if that event is damaged: reading the event reports the damage.
fn has_last_event(index: &SealedIndex, file: &SegmentFile, end: u64) -> bool {
    let Some(local) = end.checked_sub(file.first + 1).and_then(|last| u32::try_from(last).ok())
    else {
        return false;
    };
    let Some(position) = index.likely_position(local) else { return false };
    let frame = || {
        let start = position.checked_sub(u32_at(&file.bytes, position + 12) as usize)?;
        FrameHead::read(&file.bytes, start, file.seed).ok()
    };
    let is_record = position >= SEGMENT_HEAD && u32_at(&file.bytes, position + 8) == local;
    // One of the two heads may be damaged.
    if !is_record && frame().is_none_or(|frame| frame.end() != end) {
        return false;
    }
    let Ok((event, _)) = file.read_at(position, end - 1, &mut None) else { return true };
    let has = |kind, name: &str| {
        let posting = index.likely_posting(kind, index.hasher().name(name));
        posting.is_some_and(|mut posting| {
            posting.len().checked_sub(1).is_some_and(|at| posting.get(at) == local)
        })
    };
    // An id is indexed at its first event.
    let has_id = |id| index.likely_posting(Kind::Id, index.hasher().name(id)).is_some();
    has(Kind::Type, event.event_type())
        && event.tags().all(|tag| has(Kind::Tag, tag))
        && event.id().is_none_or(has_id)
}

/// The index of a segment. A lookup that finds damage in an index file returns nothing, and then
/// [`is_damaged`](Self::is_damaged); the caller takes the index again, which is then rebuilt.
pub(crate) enum CheckedIndex<'a> {
    Mem(&'a SegmentMemIndex),
    Sealed(&'a SealedIndex),
}

impl Segment {
    pub(crate) fn new(file: SegmentFile, index: SegmentIndex) -> Self {
        let filter = match &index {
            SegmentIndex::Mem(_) => BloomFilter::new(Bytes::new(), 0, 0),
            SegmentIndex::Sealed(index, _) => index.filter(),
        };
        Self { filter, file, index }
    }

    /// Returns the index: the index file, or if damage was found in it, the index that is rebuilt from the log.
    pub(crate) fn index(&self) -> Result<CheckedIndex<'_>, Corruption> {
        match &self.index {
            SegmentIndex::Mem(index) => Ok(CheckedIndex::Mem(index)),
            SegmentIndex::Sealed(index, rebuilt) => {
                if !index.is_damaged() {
                    return Ok(CheckedIndex::Sealed(index));
                }
                let make = || {
                    tracing::warn!(
                        segment = %self.path.display(),
                        "the index file of a segment is damaged; rebuilding the index in memory"
                    );
                    rebuild_index(self, index.hasher(), self.first + index.count())
                };
                rebuilt.get_or_init(make).as_ref().map(CheckedIndex::Mem).map_err(Corruption::clone)
            }
        }
    }

    /// Returns whether the segment may have the name, of any kind. Looks only at the filter of the index file, and
    /// returns true without one.
    pub(crate) fn may_have(&self, name: Name<'_>) -> bool {
        self.filter.may_have(name.hash).unwrap_or_else(|| {
            if let SegmentIndex::Sealed(index, _) = &self.index {
                index.note_damage();
            }
            true
        })
    }

    /// Returns whether the segment may have an event that matches the search.
    pub(crate) fn may_match(&self, search: &Search<'_>) -> bool {
        let has = |name: &Name<'_>| self.may_have(*name);
        search.is_all()
            || search.items().iter().any(|item| {
                item.tags.iter().all(has) && (item.types.is_empty() || item.types.iter().any(has))
            })
    }

    /// Calls `look` with the index. Calls it again with the rebuilt index if it found damage in the index file.
    pub(crate) fn with_index<T>(
        &self,
        mut look: impl FnMut(&CheckedIndex<'_>) -> T,
    ) -> Result<T, Corruption> {
        let index = self.index()?;
        let found = look(&index);
        if index.is_damaged() { Ok(look(&self.index()?)) } else { Ok(found) }
    }

    /// Returns the offset of the event with this id.
    pub(crate) fn find_id(&self, id: Name<'_>) -> Result<Option<u64>, Corruption> {
        let local = self.with_index(|index| {
            let posting = index.posting(Kind::Id, id).filter(|posting| !posting.is_empty());
            posting.map(|mut posting| posting.get(0))
        })?;
        Ok(local.map(|local| self.first + u64::from(local)))
    }

    /// Returns the position of an event's record, by the event's local offset. Returns 0, where no record is, if there
    /// is no such event.
    pub(crate) fn position(&self, local: u32) -> Result<usize, Corruption> {
        Ok(self.with_index(|index| index.position(local))?.unwrap_or(0))
    }

    /// Returns the segment's sizes. `event_bytes` is the number of bytes of its file that are in use.
    pub(crate) fn stats(&self, event_bytes: u64) -> SegmentStats {
        let mut stats = SegmentStats { event_bytes, ..SegmentStats::new(self.first) };
        let in_memory = match &self.index {
            SegmentIndex::Mem(index) => Some(index),
            SegmentIndex::Sealed(index, rebuilt) => {
                stats.index_bytes = index.size() as u64;
                rebuilt.get().and_then(|rebuilt| rebuilt.as_ref().ok())
            }
        };
        stats.memory_bytes = in_memory.map_or(0, SegmentMemIndex::allocated_bytes) as u64;
        stats
    }

    /// Returns the event at `offset`, which must be in the segment, and the time when it was recorded.
    pub(crate) fn read(&self, offset: u64) -> Result<(RawEvent, u64), Corruption> {
        let position = self.position(local_offset(offset, self.first))?;
        self.read_at(position, offset, &mut None)
    }
}

impl CheckedIndex<'_> {
    /// Returns whether damage was found in the index file, so that the last lookup may lack something.
    pub(crate) fn is_damaged(&self) -> bool {
        match self {
            Self::Mem(_) => false,
            Self::Sealed(index) => index.is_damaged(),
        }
    }

    /// Returns the position of an event's record, by the event's local offset. Returns `None` if the segment has no
    /// such event or the index file is damaged there.
    pub(crate) fn position(&self, local: u32) -> Option<usize> {
        match self {
            Self::Mem(index) => {
                index.positions.get(local as usize).map(|&position| position as usize)
            }
            Self::Sealed(index) => index.position(local),
        }
    }

    /// Calls `see` with every name of a kind and the local offsets of its events.
    pub(crate) fn for_each_name(&self, kind: Kind, mut see: impl FnMut(&str, Posting<'_>)) {
        match self {
            Self::Mem(index) => {
                let names: &Names = index.names.names(kind);
                names.iter().for_each(|(name, posting)| see(name, Posting::Mem(posting)));
            }
            Self::Sealed(index) => index.for_each_name(kind, see),
        }
    }
}

impl Lookup for CheckedIndex<'_> {
    fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>> {
        match self {
            Self::Mem(index) => index.names.posting(kind, name),
            Self::Sealed(index) => index.posting(kind, name),
        }
    }
}
