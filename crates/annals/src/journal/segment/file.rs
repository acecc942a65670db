//! A segment's file: a head, then frames, mapped for reading.
//!
//! ```text
//!   ┌ 0 "annals.l" │ 8 format │ 12 checksum of 16..64 │ 16 store id │ 32 first offset
//!   │ 40 time of the event before it, ms │ 48 checksum of the frames of the segment before it │ 52 zeroes
//!   └ 64 frame, frame, …, zeroes to the end of the file
//! ```
//! Only bytes below the log's head are read through the mapping; the writer appends behind it. A follower uses the
//! mapping only for durable frames, and copies of the others: the tail.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use annals_base::SegmentedList;
use bytes::Bytes;

use super::file_names::log_name;
use super::frame::{Fault, FrameHead, Record, check_frame, check_record};
use crate::error::Corruption;
use crate::event::raw::RawEvent;
use crate::journal::fs::{StoreDirectory, StoreFile, UNFINISHED};
use crate::util::crc32c::{crc32c, crc32c_append};
use crate::util::little_endian::{u32_at, u64_at};

/// The newest format that this version reads, and the one that it writes.
pub(crate) const FORMAT: u64 = 1;

/// The number of bytes of a segment file's head.
pub(crate) const SEGMENT_HEAD: usize = 64;

const MAGIC: &[u8; 8] = b"annals.l";

/// The values in a segment file's head that its name and store do not determine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SegmentHead {
    pub(crate) time_before_ms: u64,
    /// The [`frames_crc`](super::memory_index::IndexWriter::frames_crc) of the segment before it. 0 in the first
    /// segment, and in a segment that an older annals began.
    pub(crate) crc_before: u32,
}

/// Returns the seed of all checksums of a segment's frames.
pub(crate) fn seed(store_id: &[u8; 16], first: u64) -> u32 {
    crc32c_append(crc32c(store_id), &first.to_le_bytes())
}

/// Creates the file of the segment that begins at `first`. Afterwards the file and its name are durable.
pub(crate) fn create(
    directory: &dyn StoreDirectory,
    store_id: &[u8; 16],
    first: u64,
    before: SegmentHead,
) -> io::Result<Box<dyn StoreFile>> {
    let mut head = [0; SEGMENT_HEAD];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&FORMAT.to_le_bytes()[..4]);
    head[16..32].copy_from_slice(store_id);
    head[32..40].copy_from_slice(&first.to_le_bytes());
    head[40..48].copy_from_slice(&before.time_before_ms.to_le_bytes());
    head[48..52].copy_from_slice(&before.crc_before.to_le_bytes());
    let checksum = crc32c(&head[16..]);
    head[12..16].copy_from_slice(&checksum.to_le_bytes());
    let name = log_name(first);
    let unfinished = format!("{name}.{UNFINISHED}");
    let made = make(directory, &unfinished, &head);
    if made.is_err() {
        // The first error is returned. If removing fails, the next opening of the store removes the file.
        let _ = directory.remove(&unfinished);
    }
    let file = made?;
    directory.rename(&unfinished, &name)?;
    directory.sync()?;
    Ok(file)
}

fn make(
    handle: &dyn StoreDirectory,
    name: &str,
    head: &[u8; SEGMENT_HEAD],
) -> io::Result<Box<dyn StoreFile>> {
    let file = match handle.create(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            handle.remove(name)?;
            handle.create(name)?
        }
        created => created?,
    };
    file.write_at(head, 0)?;
    file.sync()?;
    Ok(file)
}

/// Checks a segment file's head.
pub(crate) fn check_head(
    bytes: &[u8],
    store_id: &[u8; 16],
    first: u64,
) -> Result<SegmentHead, Fault> {
    let fault =
        |position, expected: String, found: String| Err(Fault { position, expected, found });
    let Some(head) = bytes.first_chunk::<SEGMENT_HEAD>() else {
        return fault(
            0,
            format!("a head of {SEGMENT_HEAD} bytes"),
            format!("{} bytes", bytes.len()),
        );
    };
    if &head[..8] != MAGIC {
        return fault(
            0,
            "the beginning of a segment, \"annals.l\"".into(),
            format!("{:02x?}", &head[..8]),
        );
    }
    let (stored, computed) = (u32_at(head, 12), crc32c(&head[16..]));
    if stored != computed {
        return fault(12, format!("checksum {computed:08x}"), format!("{stored:08x}"));
    }
    if u64::from(u32_at(head, 8)) != FORMAT {
        return fault(8, format!("format {FORMAT}"), format!("format {}", u32_at(head, 8)));
    }
    if &head[16..32] != store_id {
        let id = |bytes: &[u8]| uuid::Uuid::from_slice(bytes).unwrap_or_default().to_string();
        return fault(
            16,
            format!("a segment of store {}", id(store_id)),
            format!("one of store {}", id(&head[16..32])),
        );
    }
    if u64_at(head, 32) != first {
        return fault(
            32,
            format!("the segment that begins at offset {first}, as its name says"),
            u64_at(head, 32).to_string(),
        );
    }
    Ok(SegmentHead { time_before_ms: u64_at(head, 40), crc_before: u32_at(head, 48) })
}

/// A segment's file, mapped.
#[derive(Debug, Clone)]
#[repr(C)]
pub(crate) struct SegmentFile {
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
    pub(crate) seed: u32,
    pub(crate) bytes: Bytes,
    /// The frames behind those that a follower knows to be durable. `None` except in a follower.
    pub(crate) tail: Option<Tail>,
}

/// The end of a segment, which its writer may still withdraw, as copies: pieces of whole frames, one behind the other.
pub(crate) type Tail = SegmentedList<Piece>;

/// A copy of frames that were read from the file.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// The position of the first frame in the file.
    pub(crate) start: usize,
    /// The offsets of their events.
    pub(crate) offsets: Range<u64>,
    pub(crate) bytes: Bytes,
}

impl SegmentFile {
    /// Creates the segment that begins at `first`, from these bytes of the file `path`.
    pub(crate) fn new(path: PathBuf, store_id: &[u8; 16], first: u64, bytes: Bytes) -> Self {
        Self { first, path, seed: seed(store_id, first), bytes, tail: None }
    }

    /// Returns the bytes that contain `position`, and the position in the file where they start.
    fn bytes_at(&self, position: usize) -> (&Bytes, usize) {
        let piece = self.tail.as_ref().and_then(|tail| {
            let (mut low, mut high) = (0, tail.len());
            while low < high {
                let middle = low + (high - low) / 2;
                if tail.get(middle).is_some_and(|piece| piece.start <= position) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            tail.get(low.checked_sub(1)?)
        });
        piece.map_or((&self.bytes, 0), |piece| (&piece.bytes, piece.start))
    }

    /// Checks the file's head.
    pub(crate) fn check_head(&self, store_id: &[u8; 16]) -> Result<SegmentHead, Corruption> {
        check_head(&self.bytes, store_id, self.first)
            .map_err(|fault| self.corruption(fault, self.first))
    }

    /// Returns the event at `offset`, whose record starts at `position`, and its time. `frame` remembers the position
    /// and the time of the frame that was checked last, so that the frame of many events is checked once.
    pub(crate) fn read_at(
        &self,
        position: usize,
        offset: u64,
        frame: &mut Option<(usize, u64)>,
    ) -> Result<(RawEvent, u64), Corruption> {
        let (bytes, base) = self.bytes_at(position);
        let corrupt = |fault: Fault| {
            self.corruption(Fault { position: fault.position + base, ..fault }, offset)
        };
        let position = position - base;
        let body = check_record(bytes, position, offset, self.first).map_err(corrupt)?;
        let start = position.checked_sub(u32_at(bytes, position + 12) as usize);
        let time_ms = match *frame {
            Some((known, time_ms)) if start.map(|start| base + start) == Some(known) => time_ms,
            _ => {
                let start = start.unwrap_or(0);
                let head = FrameHead::read(bytes, start, self.seed).map_err(corrupt)?;
                if !(head.first..head.end()).contains(&offset) {
                    let expected = format!("the frame of offset {offset}");
                    let found = format!("the frame of {}..{}", head.first, head.end());
                    return Err(corrupt(Fault { position: position + 12, expected, found }));
                }
                *frame = Some((base + start, head.time_ms));
                head.time_ms
            }
        };
        let event = RawEvent::from_body(bytes.slice_ref(body)).map_err(|problem| {
            let expected = "the body of an event".to_owned();
            corrupt(Fault { position: position + 16, expected, found: problem.to_owned() })
        })?;
        Ok((event, time_ms))
    }

    /// Checks the frame at `position` of the mapped bytes, up to its end.
    pub(crate) fn check_frame<'a>(
        &'a self,
        position: usize,
        see: impl FnMut(Record<'a>),
    ) -> Result<FrameHead, Fault> {
        check_frame(
            self.bytes.get(position..).unwrap_or_default(),
            position,
            self.seed,
            self.first,
            see,
        )
    }

    /// Returns whether a whole frame in `tail` says that the log was durable beyond `offset`. `tail` are the bytes from
    /// `position` on, where no whole frame begins.
    pub(crate) fn was_durable(&self, tail: &[u8], position: usize, offset: u64) -> bool {
        (8..tail.len()).step_by(8).any(|at| {
            let rest = &tail[at..];
            FrameHead::probe(rest, self.seed).is_some_and(|head| head.durable > offset)
                && check_frame(rest, position + at, self.seed, self.first, |_| {}).is_ok()
        })
    }

    pub(crate) fn corruption(&self, fault: Fault, offset: u64) -> Corruption {
        Corruption {
            file: self.path.clone(),
            position: fault.position as u64,
            offset,
            expected: fault.expected,
            found: fault.found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::FAULTS;
    use super::*;
    use crate::backend::encode::Encoded;
    use crate::event::name::Hasher;

    const STORE: [u8; 16] = [7; 16];

    /// Returns a frame of one event with the local offset 0, which says that everything below `durable` was durable.
    fn frame(durable: u64) -> Vec<u8> {
        let event = RawEvent::builder("noted").data(vec![1; 100]).build().unwrap();
        let mut bytes = Encoded::records(&[event], &Hasher::new(&STORE)).unwrap().records;
        let head = u32::try_from(super::super::frame::FRAME_HEAD).unwrap();
        bytes[head as usize + 12..][..4].copy_from_slice(&head.to_le_bytes());
        let records_crc = crc32c(&bytes[head as usize..][..16]);
        let records_size = u32::try_from(bytes.len()).unwrap() - head;
        let head = FrameHead { records_crc, records_size, count: 1, first: 0, time_ms: 1, durable };
        head.write(&mut bytes, seed(&STORE, 0));
        bytes
    }

    /// A torn commit of the largest batch: every position of 32 MiB is checked, also those that begin like a frame.
    #[test]
    fn a_frame_that_says_what_was_durable_is_found_anywhere_in_a_torn_tail_of_32_mib() {
        let segment = SegmentFile::new(PathBuf::new(), &STORE, 0, Bytes::new());
        let size = 32 << 20;
        let mut tail: Vec<u8> = (0..size / 8).flat_map(|n: u64| n.to_le_bytes()).collect();
        for at in (0..tail.len()).step_by(4096) {
            tail[at..at + 4].copy_from_slice(b"ANfr");
        }
        assert!(!segment.was_durable(&tail, SEGMENT_HEAD, 0));
        assert_eq!(FAULTS.get(), 0, "positions without a frame cost no error text");
        let says = frame(6);
        let end = tail.len() - says.len();
        for at in [8, 4096, (16 << 20) + 8, end / 8 * 8] {
            let before = tail[at..at + says.len()].to_vec();
            tail[at..at + says.len()].copy_from_slice(&says);
            assert!(segment.was_durable(&tail, SEGMENT_HEAD, 5), "at {at}");
            assert!(!segment.was_durable(&tail, SEGMENT_HEAD, 6), "at {at}");
            // A damaged frame says nothing.
            tail[at + says.len() - 8] ^= 1;
            assert!(!segment.was_durable(&tail, SEGMENT_HEAD, 5), "at {at}");
            tail[at..at + says.len()].copy_from_slice(&before);
        }
    }
}
