//! The functions that the fuzz targets in fuzz/ call: the parsers of the files, over plain bytes. Compiled under
//! `cfg(fuzzing)` only, and not part of the public API.
//!
//! Checksums reject nearly every changed byte. The `repair_…` functions therefore correct the checksums, and some
//! values that are stored more than once, so that the code behind the checksums is reached. The functions assert what
//! must hold.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use annals_base::segmented_list;
use arc_swap::ArcSwap;
use bytes::Bytes;

use super::count_cache::CountCache;
use super::directory::Directory;
use super::fs::real::RealFileSystem;
use super::fs::{FileSystem as _, StoreDirectory};
use super::log::Log;
use super::segment::blocks::checksums_of;
use super::segment::bloom::BLOCK;
use super::segment::file::{FORMAT, SEGMENT_HEAD, SegmentFile, seed};
use super::segment::frame::{FRAME_HEAD, FrameHead};
use super::segment::index_file::{SealedIndex, encode};
use super::segment::memory_index::{IndexWriter, Indexed, SegmentMemIndex, index_frames};
use super::segment::segment::{Segment, SegmentIndex};
use super::verify::verify::compare;
use crate::backend::backend::Selection;
use crate::backend::encode::RECORD_HEAD;
use crate::event::event::EventRef;
use crate::event::name::Hasher;
use crate::event::raw::RawEvent;
use crate::index::lookup::Kind;
use crate::query::{Condition, Query, QueryItem};
use crate::util::crc32c::{crc32c, crc32c_append};
use crate::util::little_endian::{u32_at, u64_at};

const INDEX_HEAD: usize = 112;
/// The positions of the size and the checksum of the filter in an index file's head.
const FILTER: [usize; 2] = [76, 92];
/// The position of the start of the checksums of blocks.
const BLOCKS_START: usize = 108;
const SECTIONS: usize = 4;

/// Repairs the checksums of a segment's head and of all frames that can be told apart.
pub const REPAIR_CHECKSUMS: u8 = 1;
/// Repairs the offsets and distances in frames and records.
pub const REPAIR_PLACES: u8 = 2;
/// Repairs the frames' counts and sizes of their records.
pub const REPAIR_SIZES: u8 = 4;

/// Returns a directory in which nothing is looked up: the tested files are in memory.
fn nowhere() -> Arc<dyn StoreDirectory> {
    static NOWHERE: OnceLock<Arc<dyn StoreDirectory>> = OnceLock::new();
    let open = || RealFileSystem.open_directory(Path::new(".")).expect("the working directory");
    Arc::clone(NOWHERE.get_or_init(open))
}

/// Repairs a segment file as the flags say.
pub fn repair_log(bytes: &mut [u8], flags: u8) {
    let Some((store_id, first)) = identity(bytes) else { return };
    if flags & REPAIR_CHECKSUMS != 0 {
        bytes[..8].copy_from_slice(b"annals.l");
        bytes[8..12].copy_from_slice(&u32::try_from(FORMAT).unwrap_or(u32::MAX).to_le_bytes());
        let checksum = crc32c(&bytes[16..SEGMENT_HEAD]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    }
    let seed = seed(&store_id, first);
    let (mut position, mut next_local) = (SEGMENT_HEAD, 0);
    while let Some(frame) = bytes.get_mut(position..).filter(|rest| rest.len() > FRAME_HEAD) {
        position += repair_frame(frame, seed, first, &mut next_local, flags);
    }
}

/// Repairs the frame that these bytes begin with. Returns its size, which is at least that of its head.
fn repair_frame(bytes: &mut [u8], seed: u32, first: u64, next_local: &mut u32, flags: u8) -> usize {
    let (size, count) = (u32_at(bytes, 12) as usize, u32_at(bytes, 16));
    let mut head = FrameHead {
        records_crc: u32_at(bytes, 8),
        records_size: u32_at(bytes, 12),
        count,
        first: u64_at(bytes, 24),
        time_ms: u64_at(bytes, 32),
        durable: u64_at(bytes, 40),
    };
    if flags & REPAIR_PLACES != 0 {
        head.first = first.wrapping_add(u64::from(*next_local));
    }
    let end = FRAME_HEAD.saturating_add(size).min(bytes.len());
    let (mut at, mut seen, mut heads_crc) = (FRAME_HEAD, 0, 0);
    while seen < count && at + RECORD_HEAD < end {
        let record_end = at.saturating_add(u32_at(bytes, at + 4) as usize);
        if record_end <= at + RECORD_HEAD || record_end > end {
            break;
        }
        if flags & REPAIR_PLACES != 0 {
            bytes[at + 8..at + 12].copy_from_slice(&next_local.wrapping_add(seen).to_le_bytes());
            let distance = u32::try_from(at).unwrap_or(u32::MAX);
            bytes[at + 12..at + 16].copy_from_slice(&distance.to_le_bytes());
            let padded = record_end.next_multiple_of(8).min(bytes.len());
            bytes[record_end..padded].fill(0);
        }
        if flags & REPAIR_CHECKSUMS != 0 {
            let checksum = crc32c(&bytes[at + RECORD_HEAD..record_end]);
            bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
        }
        heads_crc = crc32c_append(heads_crc, &bytes[at..at + RECORD_HEAD]);
        seen += 1;
        at = record_end.next_multiple_of(8);
    }
    if flags & REPAIR_SIZES != 0 {
        head.count = seen;
        head.records_size = u32::try_from(at - FRAME_HEAD).unwrap_or(u32::MAX);
    }
    if flags & REPAIR_CHECKSUMS != 0 {
        head.records_crc = heads_crc;
        bytes[..4].copy_from_slice(b"ANfr");
        head.write(bytes, seed);
    }
    *next_local = next_local.wrapping_add(seen);
    at.max(head.size())
}

/// Reads a segment file as recovery does, then reads every event, seals the segment and compares the index to the log.
pub fn read_log(bytes: &[u8]) {
    let Some((store_id, first)) = identity(bytes) else { return };
    let file = file(bytes, &store_id, first);
    if file.check_head(&store_id).is_err() {
        return;
    }
    let Some(indexed) = indexed_frames(&file, &store_id) else { return };
    assert!(indexed.end <= bytes.len(), "the whole frames are in the file");
    let _ = file.was_durable(&bytes[indexed.end..], indexed.end, indexed.next_offset);
    let in_memory = indexed.index.reader();
    let segment = Segment::new(file, SegmentIndex::Mem(in_memory.clone()));
    for offset in first..indexed.next_offset {
        assert!(segment.read(offset).is_ok(), "an event of a whole frame is read");
    }
    let count = indexed.next_offset - first;
    let written = encode(&store_id, first, count, &in_memory);
    let sealed = SealedIndex::open(written.into(), &store_id, first, count);
    let sealed = sealed.filter(SealedIndex::is_whole);
    let difference = sealed.map(|sealed| compare(&sealed, &in_memory, &Hasher::new(&store_id)));
    assert_eq!(difference, Some(None), "a sealed index has what the index in memory has");
}

/// Sets an index file's head and checksums to those of the segment `log`, whatever its sections contain.
pub fn repair_index(index: &mut [u8], log: &[u8]) {
    let Some((store_id, first)) = identity(log).filter(|_| index.len() >= INDEX_HEAD) else {
        return;
    };
    let Some(indexed) = indexed_frames(&file(log, &store_id, first), &store_id) else { return };
    index[..8].copy_from_slice(b"annals.i");
    index[8..12].copy_from_slice(&u32::try_from(FORMAT).unwrap_or(u32::MAX).to_le_bytes());
    index[16..32].copy_from_slice(&store_id);
    index[32..40].copy_from_slice(&first.to_le_bytes());
    index[40..48].copy_from_slice(&(indexed.next_offset - first).to_le_bytes());
    for at in (48..).step_by(16).take(SECTIONS) {
        let (start, size) = (u32_at(index, at) as usize, u32_at(index, at + 4) as usize);
        let checksum = crc32c(index.get(start..start + size).unwrap_or_default());
        index[at + 8..at + 12].copy_from_slice(&checksum.to_le_bytes());
    }
    let [size_at, checksum_at] = FILTER;
    let size = (u32_at(index, size_at) as usize).min(index.len()) / BLOCK * BLOCK;
    let checksum = crc32c(&index[index.len() - size..]);
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    index[size_at..size_at + 4].copy_from_slice(&size.to_le_bytes());
    index[checksum_at..checksum_at + 4].copy_from_slice(&checksum.to_le_bytes());
    let checksum = crc32c(&index[16..INDEX_HEAD]);
    index[12..16].copy_from_slice(&checksum.to_le_bytes());
    repair_blocks(index, size as usize);
}

/// Sets the checksums of the blocks of an index file whose head is right, if they are where the head says.
fn repair_blocks(index: &mut [u8], filter_size: usize) {
    let end = u32_at(index, BLOCKS_START) as usize;
    let Some(sections) = index.get(..end).filter(|_| end != 0) else { return };
    let filter = &index[index.len() - filter_size..];
    let checksums = [checksums_of(sections), checksums_of(filter)].concat();
    if end + checksums.len() + filter_size == index.len() {
        index[end..end + checksums.len()].copy_from_slice(&checksums);
    }
}

/// Reads everything in the whole segment `log` through the index file `index`. Each result is an event of the log.
/// Unless the index was `repaired`, so that it may be wrong, the results are exactly the events that were asked for.
pub fn read_index(log: &[u8], index: &[u8], repaired: bool) {
    let Some((store_id, first)) = identity(log) else { return };
    let file = file(log, &store_id, first);
    let Some(indexed) = indexed_frames(&file, &store_id) else { return };
    let in_memory = indexed.index.reader();
    let end = indexed.next_offset;
    let opened = SealedIndex::open(Bytes::copy_from_slice(index), &store_id, first, end - first);
    let truth = Segment::new(file.clone(), SegmentIndex::Mem(in_memory.clone()));
    let events: Events =
        (first..end).filter_map(|offset| Some((offset, truth.read(offset).ok()?.0))).collect();
    let index = opened.map_or(SegmentIndex::Mem(in_memory.clone()), SegmentIndex::sealed);
    let log = log_of(Segment::new(file, index), &store_id, end);
    for query in queries(&in_memory) {
        let mut expected = events.clone();
        expected.retain(|(_, event)| query.matches(event.event_type(), event.tags()));
        let conflict = log.conflict(&Condition::fail_if(query.clone()).after(first), end);
        let first_match = expected.first().map(|found| found.0);
        assert!(repaired || conflict.ok() == Some(first_match), "a conflict with {query:?}");
        for reverse in [false, true] {
            let found = ask(&log, first..end, &query, reverse);
            let known = |found: &(u64, RawEvent)| events.iter().any(|event| event == found);
            assert!(found.iter().flatten().all(known), "every result is in the log");
            assert!(repaired || found.as_ref() == Some(&expected), "{query:?}, reverse: {reverse}");
            expected.reverse();
        }
    }
    for kind in [Kind::Type, Kind::Tag] {
        let names = log.names(kind, "", end);
        assert!(
            repaired || names.is_ok_and(|names| names.len() == in_memory.names.names(kind).len())
        );
    }
    for (id, mut posting) in in_memory.names.names(Kind::Id).iter() {
        let found = log.find_id(log.hasher.name(id));
        let expected = first + u64::from(posting.get(0));
        assert!(repaired || found.ok() == Some(Some(expected)), "id {id:?}");
    }
}

/// Returns the store id and the first offset in a segment file's head.
fn identity(bytes: &[u8]) -> Option<([u8; 16], u64)> {
    let head = bytes.first_chunk::<SEGMENT_HEAD>()?;
    let mut store_id = [0; 16];
    store_id.copy_from_slice(&head[16..32]);
    Some((store_id, u64_at(head, 32)))
}

fn file(bytes: &[u8], store_id: &[u8; 16], first: u64) -> SegmentFile {
    SegmentFile::new(PathBuf::new(), store_id, first, Bytes::copy_from_slice(bytes))
}

fn indexed_frames(file: &SegmentFile, store_id: &[u8; 16]) -> Option<Indexed> {
    index_frames(file, &Hasher::new(store_id), u64::MAX, |_, _| {}).ok()
}

/// Returns a log of one sealed segment and an empty active one.
fn log_of(sealed_segment: Segment, store_id: &[u8; 16], end: u64) -> Log {
    let (mut writer, sealed) = segmented_list();
    writer.push(sealed_segment);
    let index = SegmentIndex::Mem(IndexWriter::new().reader());
    let active = Segment::new(file(&[], store_id, end), index);
    Log {
        hasher: Hasher::new(store_id),
        directory: Directory { path: PathBuf::new(), store_id: *store_id, handle: nowhere() },
        sealed,
        active: ArcSwap::from_pointee(active),
        active_bytes: AtomicU64::new(0),
        count_cache: CountCache::default(),
    }
}

/// Returns queries for everything, for some names, and for combinations of them.
fn queries(index: &SegmentMemIndex) -> Vec<Query> {
    let names = |kind| -> Vec<String> {
        index.names.names(kind).iter().map(|(name, _)| name.to_owned()).take(12).collect()
    };
    let (types, tags) = (names(Kind::Type), names(Kind::Tag));
    let mut queries = vec![Query::all(), Query::tag("no such tag"), Query::event_type("none")];
    queries.extend(types.iter().map(Query::event_type));
    queries.extend(tags.iter().map(Query::tag));
    for (tag, other) in tags.iter().zip(tags.iter().skip(1)).take(8) {
        queries.push(Query::item(QueryItem::new().tag(tag).tag(other)));
        queries.push(Query::tag(tag).or(QueryItem::new().tag(other)));
        queries.extend(
            types
                .iter()
                .take(4)
                .map(|name| Query::item(QueryItem::new().event_type(name).tag(tag))),
        );
    }
    queries
}

type Events = Vec<(u64, RawEvent)>;

/// Returns the events that the log finds; `None` if it returns an error.
fn ask(log: &Log, mut range: std::ops::Range<u64>, query: &Query, reverse: bool) -> Option<Events> {
    let mut events = Vec::new();
    while !range.is_empty() {
        let mut page: Vec<EventRef<'_, RawEvent>> = Vec::new();
        let selection = Selection { query, range: range.clone(), reverse, limit: 3 };
        let left = log.read(selection, &mut page).ok()?;
        assert!(left.is_empty() || left.end - left.start < range.end - range.start, "goes on");
        range = left;
        events.extend(page.into_iter().map(|event| {
            let event = event.into_owned();
            (event.offset, event.event)
        }));
    }
    Some(events)
}
