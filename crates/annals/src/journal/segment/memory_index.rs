//! A segment's index in memory, which grows with the segment or is rebuilt from its frames.

use annals_base::{ListWriter, SegmentedList, segmented_list};

use super::file::{SEGMENT_HEAD, SegmentFile};
use super::frame::{FRAME_HEAD, Fault, FrameHead, Record};
use crate::backend::encode::RECORD_HEAD;
use crate::error::Corruption;
use crate::event::name::Hasher;
use crate::event::raw::Body;
use crate::index::memory::{MemIndex, MemIndexWriter};
use crate::util::crc32c::crc32c_append;
use crate::util::local_offset::local_offset;

/// The index in memory, as readers see it.
#[derive(Debug, Clone)]
pub(crate) struct SegmentMemIndex {
    /// The position of each event's record, by local offset.
    pub(crate) positions: SegmentedList<u32>,
    pub(crate) names: MemIndex,
    /// The writer's [`frames_crc`](IndexWriter::frames_crc) when it created this reader.
    pub(crate) frames_crc: u32,
}

impl SegmentMemIndex {
    /// Returns the number of bytes of memory that it takes.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.names.allocated_bytes() + self.positions.allocated_bytes()
    }
}

/// The index in memory, as the writer sees it.
#[derive(Debug)]
pub(crate) struct IndexWriter {
    pub(crate) positions: ListWriter<u32>,
    pub(crate) names: MemIndexWriter,
    /// The checksum of bytes 8 to 48 of the heads of all frames, in order. These bytes contain a checksum of the
    /// records, so this identifies the frames from which an index was built.
    pub(crate) frames_crc: u32,
}

/// The whole frames at the start of a segment.
#[derive(Debug)]
pub(crate) struct Indexed {
    pub(crate) index: IndexWriter,
    /// The position behind the last of them.
    pub(crate) end: usize,
    /// The offset of the event that would come next.
    pub(crate) next_offset: u64,
    /// The fault at the end, if there are bytes other than zeroes that are not a whole frame.
    pub(crate) fault: Option<Fault>,
}

/// Checks and indexes the whole frames at the start of a segment, up to the offset `until`, and calls `see` with each
/// and its position. Bytes behind that offset are not read: a writer may be cutting them off.
pub(crate) fn index_frames(
    segment: &SegmentFile,
    hasher: &Hasher,
    until: u64,
    mut see: impl FnMut(usize, &FrameHead),
) -> Result<Indexed, Corruption> {
    let mut index = IndexWriter::new();
    let (mut end, mut next_offset) = (SEGMENT_HEAD, segment.first);
    let fault = loop {
        if next_offset == until {
            break None;
        }
        let mut records = Vec::new();
        match segment.check_frame(end, |record| records.push(record)) {
            Ok(head) if head.first == next_offset => {
                for record in records {
                    index.add_record(segment, record, hasher)?;
                }
                index.positions.publish();
                index.add_frame(&segment.bytes[end..]);
                see(end, &head);
                end += head.size();
                next_offset = head.end();
            }
            Ok(head) => {
                let expected = format!("the frame of offset {next_offset}");
                let found = format!("that of offset {}", head.first);
                break Some(Fault { position: end, expected, found });
            }
            Err(fault) => {
                let rest = segment.bytes.get(end..).unwrap_or_default();
                break rest.iter().take(FRAME_HEAD).any(|&byte| byte != 0).then_some(fault);
            }
        }
    };
    Ok(Indexed { index, end, next_offset, fault })
}

/// Rebuilds the index of a sealed segment from its events, which end at `end`.
pub(crate) fn rebuild_index(
    segment: &SegmentFile,
    hasher: &Hasher,
    end: u64,
) -> Result<SegmentMemIndex, Corruption> {
    let indexed = index_frames(segment, hasher, end, |_, _| {})?;
    match indexed.short_of(end) {
        None => Ok(indexed.index.reader()),
        Some(fault) => Err(segment.corruption(fault, indexed.next_offset)),
    }
}

impl Indexed {
    /// Returns what is wrong if these are not all events up to `end`.
    pub(crate) fn short_of(&self, end: u64) -> Option<Fault> {
        let short = || Fault {
            position: self.end,
            expected: format!("events up to offset {end}, where the next segment begins"),
            found: format!("events up to offset {}", self.next_offset),
        };
        (self.next_offset != end).then(|| self.fault.clone().unwrap_or_else(short))
    }
}

impl IndexWriter {
    pub(crate) fn new() -> Self {
        Self { positions: segmented_list().0, names: MemIndexWriter::new(), frames_crc: 0 }
    }

    pub(crate) fn reader(&self) -> SegmentMemIndex {
        SegmentMemIndex {
            positions: self.positions.list().clone(),
            names: self.names.reader(),
            frames_crc: self.frames_crc,
        }
    }

    /// Adds the frame at the start of `frame`, whose records are indexed, to the checksum of the frames.
    pub(crate) fn add_frame(&mut self, frame: &[u8]) {
        self.frames_crc = crc32c_append(self.frames_crc, &frame[8..FRAME_HEAD]);
    }

    /// Indexes a whole record. (The caller publishes the positions.)
    pub(crate) fn add_record(
        &mut self,
        segment: &SegmentFile,
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
        let Ok(position) = u32::try_from(record.position) else {
            let expected = "a record that begins before 4 GiB".to_owned();
            let found = format!("one at byte {}", record.position);
            let fault = Fault { position: record.position, expected, found };
            return Err(segment.corruption(fault, record.offset));
        };
        // The record has the local offset in 4 bytes, as `check_record` verified.
        let local = local_offset(record.offset, segment.first);
        let tags = body.tags().map(|tag| hasher.name(tag));
        self.names.add(
            local,
            hasher.name(body.event_type()),
            tags,
            body.id().map(|id| hasher.name(id)),
        );
        self.positions.stage(position);
        Ok(())
    }
}
