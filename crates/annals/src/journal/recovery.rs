//! Opening: what is found at the end of the log, what it means, and what is done. The one function that recovers.
//!
//! | found | meaning | done |
//! |---|---|---|
//! | zeroes, or the file's end, after a whole frame | clean end | open |
//! | a bad frame, and no whole later one says that the log was durable beyond it | torn by a crash | cut there |
//! | a bad frame, and a whole later one says so | damage | refuse |
//! | less than what was there at the last clean close | damage | refuse |
//! | a bad head, a segment missing or of another store | damage | refuse |
//! | a sealed segment without its index, or with a bad one | crash while sealing, damage to what is derived | rebuild |
//!
//! Reading only, nothing is changed, and of a damaged log what is good before the damage is opened.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use annals_base::{ListWriter, segmented_list};
use bytes::Bytes;

use super::directory::Directory;
use super::frame::{FRAME_HEAD, Fault, FrameHead, Record};
use super::sealed::{SealedIndex, seal};
use super::segment::{LiveSegmentIndex, SEGMENT_HEAD, Segment, SegmentIndex, check_head, seed};
use super::{FileSystem, StoreFile};
use crate::encode::RECORD_HEAD;
use crate::index::{Hasher, LiveIndexWriter};
use crate::raw::Body;
use crate::{Corruption, OpenError};

/// A log as it was found, and where it goes on.
pub(crate) struct Recovered {
    pub(crate) sealed: Vec<Segment>,
    pub(crate) active: Active,
}

/// The segment that is appended to, or followed.
pub(crate) struct Active {
    pub(crate) segment: Segment,
    pub(crate) file: Box<dyn StoreFile>,
    pub(crate) index: IndexWriter,
    /// Where the next frame goes.
    pub(crate) end: usize,
    pub(crate) next_offset: u64,
    pub(crate) last_time_ms: u64,
    /// Where the frames begin of which no later one says that they were durable.
    undecided: VecDeque<(u64, usize)>,
}

/// The writer's side of an index in memory.
pub(crate) struct IndexWriter {
    pub(crate) positions: ListWriter<u32>,
    pub(crate) names: LiveIndexWriter,
}

/// Fills an index from the log.
struct Indexer {
    index: IndexWriter,
    hasher: Hasher,
}

/// Opens a log for appending: afterwards what is on disk is what is answered, and is durable. The active segment's
/// file is made `capacity` bytes long, if it is not longer.
pub(crate) fn recover(
    system: &dyn FileSystem,
    directory: &Directory,
    capacity: u64,
) -> Result<Recovered, OpenError> {
    directory.remove_unfinished(system)?;
    let starts = check_starts(system, directory)?;
    let mut sealed = Vec::new();
    for pair in starts.windows(2) {
        let segment = open_sealed(system, directory, pair[0], pair[1])?;
        if let SegmentIndex::Live(index) = &segment.index {
            tracing::info!(segment = %segment.path.display(), "writing the index that it lacks");
            let written = seal(system, directory, pair[0], pair[1] - pair[0], index);
            let written = written.map_err(OpenError::io("write", directory.index(pair[0])))?;
            sealed.push(Segment { index: SegmentIndex::sealed(written), ..segment });
        } else {
            sealed.push(segment);
        }
    }
    let first = starts.last().copied().unwrap_or(0);
    let path = directory.log(first);
    let file = system.open(&path).map_err(OpenError::io("open", &path))?;
    let size = file.size().map_err(OpenError::io("open", &path))?;
    file.set_size(size.max(capacity)).map_err(OpenError::io("lengthen", &path))?;
    let mut active = open_active(directory, first, file)?;
    repair_end(directory, &mut active)?;
    let closed = directory.closed_head(system)?;
    write_again(&mut active, closed).map_err(OpenError::io("sync", &path))?;
    if closed > active.next_offset {
        let fault = Fault {
            position: active.end,
            expected: format!(
                "events up to offset {closed}, which were there when the store was last closed"
            ),
            found: format!("events up to offset {}", active.next_offset),
        };
        return Err(active.segment.corruption(fault, active.next_offset).into());
    }
    Ok(Recovered { sealed, active })
}

/// Opens a log for reading: changes nothing, and of a damaged log opens what is good before the damage.
pub(crate) fn recover_read_only(
    system: &dyn FileSystem,
    directory: &Directory,
) -> Result<Recovered, OpenError> {
    let starts = match check_starts(system, directory) {
        Err(OpenError::Corrupt(damage)) if directory.segments(system)?.0.first() == Some(&0) => {
            tracing::warn!(%damage, "opening what is good before it");
            directory.segments(system)?.0
        }
        checked => checked?,
    };
    let mut sealed = Vec::new();
    let mut first = starts.first().copied().unwrap_or(0);
    for pair in starts.windows(2) {
        match open_sealed(system, directory, pair[0], pair[1]) {
            Ok(segment) => sealed.push(segment),
            Err(OpenError::Corrupt(damage)) => {
                tracing::warn!(%damage, "opening what is good before it");
                break;
            }
            Err(error) => return Err(error),
        }
        first = pair[1];
    }
    let path = directory.log(first);
    let file = system.open_read_only(&path).map_err(OpenError::io("open", &path))?;
    Ok(Recovered { sealed, active: open_active(directory, first, file)? })
}

/// The first offsets of all segments: from 0 on, and a last one that was never sealed.
pub(crate) fn check_starts(
    system: &dyn FileSystem,
    directory: &Directory,
) -> Result<Vec<u64>, OpenError> {
    let (logs, indexes) = directory.segments(system)?;
    let missing = |file, offset, found: &str| {
        OpenError::Corrupt(Corruption {
            file,
            position: 0,
            offset,
            expected: "a segment".into(),
            found: found.into(),
        })
    };
    if logs.first() != Some(&0) {
        return Err(missing(directory.log(0), 0, "no such file"));
    }
    match (logs.last(), indexes.last()) {
        // An index is written only when the next segment is there.
        (Some(last), Some(sealed)) if sealed >= last => Err(missing(
            directory.path.join("….log"),
            *last + 1,
            "no segment after one that was sealed",
        )),
        _ => Ok(logs),
    }
}

/// The sealed segment `first..end`; with an index in memory if its index file is missing or not right.
fn open_sealed(
    system: &dyn FileSystem,
    directory: &Directory,
    first: u64,
    end: u64,
) -> Result<Segment, OpenError> {
    let path = directory.log(first);
    let bytes = map(system, &path)?;
    let seed = seed(&directory.store_id, first);
    let empty = IndexWriter::new().reader();
    let mut segment = Segment { first, path, seed, bytes, index: SegmentIndex::Live(empty) };
    check_head(&segment.bytes, &directory.store_id, first)
        .map_err(|fault| segment.corruption(fault, first))?;
    let index_file = directory.index(first);
    let sealed = match map(system, &index_file) {
        Ok(bytes) => SealedIndex::open(bytes, &directory.store_id, first, end - first),
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    segment.index = match sealed {
        Some(index) => SegmentIndex::sealed(index),
        None => SegmentIndex::Live(rebuild_index(&segment, end)?),
    };
    Ok(segment)
}

pub(crate) fn map(system: &dyn FileSystem, path: &Path) -> Result<Bytes, OpenError> {
    let mapped = || {
        let file = system.open_read_only(path)?;
        file.map(file.size()?)
    };
    Ok(Bytes::from_owner(mapped().map_err(OpenError::io("open", path))?))
}

/// The index of a sealed segment, from its events, which are those up to `end`.
pub(crate) fn rebuild_index(segment: &Segment, end: u64) -> Result<LiveSegmentIndex, Corruption> {
    let indexed = index_frames(segment)?;
    if indexed.next_offset == end {
        return Ok(indexed.index);
    }
    let fault = indexed.fault.unwrap_or_else(|| Fault {
        position: indexed.end,
        expected: format!("events up to offset {end}, where the next segment begins"),
        found: format!("events up to offset {}", indexed.next_offset),
    });
    Err(segment.corruption(fault, indexed.next_offset))
}

/// What the whole frames are that a segment begins with.
pub(crate) struct Indexed {
    pub(crate) index: LiveSegmentIndex,
    pub(crate) end: usize,
    pub(crate) next_offset: u64,
    /// What is wrong where they end, if it is not just the end.
    pub(crate) fault: Option<Fault>,
}

/// Checks and indexes the whole frames that a segment begins with.
pub(crate) fn index_frames(segment: &Segment) -> Result<Indexed, Corruption> {
    let mut indexer = Indexer::new(segment, &store_id_of(segment)?);
    let (end, found) = indexer.walk(segment, SEGMENT_HEAD, segment.first, |_, _| {})?;
    Ok(Indexed {
        index: indexer.index.reader(),
        end,
        next_offset: found.next_offset,
        fault: found.fault,
    })
}

/// Whether a whole frame after `position` says that the log was durable beyond `offset`.
pub(crate) fn was_durable(segment: &Segment, position: usize, left: usize, offset: u64) -> bool {
    (position + 8..left.next_multiple_of(8)).step_by(8).any(|position| {
        FrameHead::read(&segment.bytes, position, segment.seed)
            .is_ok_and(|head| head.durable > offset)
            && segment.check_frame(position, |_| {}).is_ok()
    })
}

/// The id of the store that a segment is of, from its head, which was checked.
fn store_id_of(segment: &Segment) -> Result<[u8; 16], Corruption> {
    let id = segment.bytes.get(16..).and_then(|rest| rest.first_chunk::<16>()).copied();
    id.ok_or_else(|| {
        let fault = Fault {
            position: 16,
            expected: "a store id".into(),
            found: "the end of the file".into(),
        };
        segment.corruption(fault, segment.first)
    })
}

/// The last segment, with all whole frames that it begins with.
fn open_active(
    directory: &Directory,
    first: u64,
    file: Box<dyn StoreFile>,
) -> Result<Active, OpenError> {
    let path = directory.log(first);
    let mapped =
        file.size().and_then(|size| file.map(size)).map_err(OpenError::io("map", &path))?;
    let index = IndexWriter::new();
    let segment = Segment {
        first,
        path,
        seed: seed(&directory.store_id, first),
        bytes: Bytes::from_owner(mapped),
        index: SegmentIndex::Live(index.reader()),
    };
    let head = check_head(&segment.bytes, &directory.store_id, first)
        .map_err(|fault| segment.corruption(fault, first))?;
    let mut indexer = Indexer { index, ..Indexer::new(&segment, &directory.store_id) };
    let mut last_time_ms = head.time_before_ms;
    let mut undecided = VecDeque::new();
    let (end, found) = indexer.walk(&segment, SEGMENT_HEAD, first, |position, frame| {
        last_time_ms = frame.time_ms;
        undecided.push_back((frame.first, position));
        forget_below(&mut undecided, frame.durable);
    })?;
    let next_offset = found.next_offset;
    Ok(Active { segment, file, index: indexer.index, end, next_offset, last_time_ms, undecided })
}

/// Cuts what a crash left behind the last whole frame, or finds that it is damage.
fn repair_end(directory: &Directory, active: &mut Active) -> Result<(), OpenError> {
    let path = directory.log(active.segment.first);
    let left = last_data(&*active.file, active.end as u64).map_err(OpenError::io("read", &path))?;
    let Some(left) = left else { return Ok(()) };
    let Err(fault) =
        active.segment.check_frame(active.end, |_| {}).and_then(|head| wrong_place(active, head))
    else {
        return Ok(());
    };
    if was_durable(&active.segment, active.end, left, active.next_offset) {
        return Err(active.segment.corruption(fault, active.next_offset).into());
    }
    tracing::warn!(
        segment = %path.display(), position = active.end, offset = active.next_offset, bytes = left - active.end,
        "cutting a commit that a crash left unfinished"
    );
    erase(&*active.file, active.end, left).map_err(OpenError::io("cut", &path))
}

/// Makes durable what is not known to be. Writing it once more is not vain: after a sync that failed, a system may
/// hold bytes in memory, take them for written, and not write them at the next sync either.
fn write_again(active: &mut Active, closed: u64) -> io::Result<()> {
    forget_below(&mut active.undecided, closed);
    if let Some(&(_, start)) = active.undecided.front() {
        let unsure = active.segment.bytes.slice(start..active.end);
        for (position, chunk) in (start..).step_by(1 << 20).zip(unsure.chunks(1 << 20)) {
            // Copied, since what it is written from is the file itself.
            let copy = chunk.to_vec();
            active.file.write_at(&copy, position as u64)?;
        }
    }
    active.file.sync()
}

fn forget_below(undecided: &mut VecDeque<(u64, usize)>, durable: u64) {
    while undecided.front().is_some_and(|&(first, _)| first < durable) {
        undecided.pop_front();
    }
}

/// A whole frame where the log ends is of another place.
fn wrong_place(active: &Active, head: FrameHead) -> Result<(), Fault> {
    Err(Fault {
        position: active.end,
        expected: format!("the frame of offset {}", active.next_offset),
        found: format!("that of offset {}", head.first),
    })
}

/// The end of what is not zero from `start` on, if anything is.
pub(crate) fn last_data(file: &dyn StoreFile, start: u64) -> io::Result<Option<usize>> {
    let mut chunk = vec![0; 1 << 18];
    let (mut position, mut last) = (start, None);
    while let Some(data) = file.next_data(position)? {
        let size = file.read_at(&mut chunk, data)?;
        // All at once first: it is nearly always zeroes, and this the processor does quickly.
        if chunk[..size].iter().fold(0, |any, byte| any | byte) != 0 {
            let at = chunk[..size].iter().rposition(|&byte| byte != 0).unwrap_or(0);
            last = usize::try_from(data).ok().map(|data| data + at + 1);
        }
        if size == 0 {
            break;
        }
        position = data + size as u64;
    }
    Ok(last)
}

/// Puts zeroes from `start` to `end`, durably.
pub(crate) fn erase(file: &dyn StoreFile, start: usize, end: usize) -> io::Result<()> {
    let zeroes = vec![0; (end - start).min(1 << 20)];
    for position in (start..end).step_by(1 << 20) {
        file.write_at(&zeroes[..(end - position).min(zeroes.len())], position as u64)?;
    }
    file.sync()
}

/// Where a walk over frames ended.
struct Found {
    next_offset: u64,
    /// What is wrong there, if it is not just the end.
    fault: Option<Fault>,
}

impl Indexer {
    fn new(segment: &Segment, store_id: &[u8; 16]) -> Self {
        debug_assert_eq!(seed(store_id, segment.first), segment.seed);
        Self { index: IndexWriter::new(), hasher: Hasher::new(store_id) }
    }

    /// Indexes the whole frames from `position` and `offset` on; answers where they end.
    fn walk(
        &mut self,
        segment: &Segment,
        position: usize,
        offset: u64,
        mut see: impl FnMut(usize, &FrameHead),
    ) -> Result<(usize, Found), Corruption> {
        let (mut position, mut next_offset) = (position, offset);
        loop {
            let mut records = Vec::new();
            let checked = segment.check_frame(position, |record| records.push(record));
            match checked {
                Ok(head) if head.first == next_offset => {
                    for record in records {
                        self.index.add_record(segment, record, &self.hasher)?;
                    }
                    self.index.positions.publish();
                    see(position, &head);
                    position += head.size();
                    next_offset = head.end();
                }
                Ok(head) => {
                    let expected = format!("the frame of offset {next_offset}");
                    let fault = Fault {
                        position,
                        expected,
                        found: format!("that of offset {}", head.first),
                    };
                    return Ok((position, Found { next_offset, fault: Some(fault) }));
                }
                Err(fault) => {
                    let rest = segment.bytes.get(position..).unwrap_or_default();
                    let ended = rest.iter().take(FRAME_HEAD).all(|&byte| byte == 0);
                    return Ok((position, Found { next_offset, fault: (!ended).then_some(fault) }));
                }
            }
        }
    }
}

impl IndexWriter {
    pub(crate) fn new() -> Self {
        Self { positions: segmented_list().0, names: LiveIndexWriter::new() }
    }

    pub(crate) fn reader(&self) -> LiveSegmentIndex {
        LiveSegmentIndex { positions: self.positions.list().clone(), names: self.names.reader() }
    }

    /// Indexes a record that was found whole. (The caller publishes the positions.)
    pub(crate) fn add_record(
        &mut self,
        segment: &Segment,
        record: Record<'_>,
        hasher: &Hasher,
    ) -> Result<(), Corruption> {
        let body = Body::check(record.body).map_err(|problem| {
            let expected = "the body of an event".to_owned();
            let fault = Fault {
                position: record.position + RECORD_HEAD,
                expected,
                found: problem.to_owned(),
            };
            segment.corruption(fault, record.offset)
        })?;
        let place = u32::try_from(record.offset - segment.first).unwrap_or(u32::MAX);
        let tags = body.tags().map(|tag| hasher.name(tag));
        self.names.add(
            place,
            hasher.name(body.event_type()),
            tags,
            body.id().map(|id| hasher.name(id)),
        );
        self.positions.stage(u32::try_from(record.position).unwrap_or(u32::MAX));
        Ok(())
    }
}
