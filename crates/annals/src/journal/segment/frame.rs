//! A frame: what one commit adds to a segment, whole or not at all.
//!
//! ```text
//!   frame  ┌ 0 magic │ 4 checksum of 8..48 │ 8 checksum of the record heads │ 12 size of the records │ 16 count
//!          │ 20 zero │ 24 first offset │ 32 time, ms │ 40 offset below which all was durable when this was written
//!          └ 48 record, record, …                                            each at a multiple of 8, zeroes between
//!   record ┌ 0 checksum of 16..size │ 4 size │ 8 local offset │ 12 bytes from the frame's start
//!          └ 16 body (see `raw`)
//! ```
//! A record that is read in place is checked on its own: its checksum, its offset and, through the distance to its
//! frame's head, its time. The frame's checksum covers all record heads, and these cover the bodies. Checksums are
//! CRC-32C. Those of a frame start with the segment's seed, so that a frame copied from elsewhere is not valid.

use std::fmt::Display;

use crate::backend::encode::{COMMIT_HEAD, RECORD_HEAD};
use crate::util::crc32c::{crc32c, crc32c_append};
use crate::util::little_endian::{u32_at, u64_at};

/// The number of bytes of a frame's head.
pub(crate) const FRAME_HEAD: usize = COMMIT_HEAD;

const MAGIC: u32 = u32::from_le_bytes(*b"ANfr");

/// The values in a frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) records_crc: u32,
    pub(crate) records_size: u32,
    pub(crate) count: u32,
    pub(crate) first: u64,
    pub(crate) time_ms: u64,
    pub(crate) durable: u64,
}

/// A fault of a frame or record. The position counts from the start of its segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) position: usize,
    pub(crate) expected: String,
    pub(crate) found: String,
}

#[cfg(test)]
thread_local! {
    /// The number of faults that this thread described.
    pub(crate) static FAULTS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Fault {
    fn new(position: usize, expected: impl Display, found: impl Display) -> Self {
        #[cfg(test)]
        FAULTS.set(FAULTS.get() + 1);
        Self { position, expected: format!("{expected}"), found: format!("{found}") }
    }
}

impl FrameHead {
    /// Returns the number of bytes of the whole frame.
    pub(crate) fn size(&self) -> usize {
        FRAME_HEAD + self.records_size as usize
    }

    /// Returns the offset after the frame's last event.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    pub(crate) fn write(&self, out: &mut [u8], seed: u32) {
        out[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        out[8..12].copy_from_slice(&self.records_crc.to_le_bytes());
        out[12..16].copy_from_slice(&self.records_size.to_le_bytes());
        out[16..20].copy_from_slice(&self.count.to_le_bytes());
        out[20..24].fill(0);
        out[24..32].copy_from_slice(&self.first.to_le_bytes());
        out[32..40].copy_from_slice(&self.time_ms.to_le_bytes());
        out[40..48].copy_from_slice(&self.durable.to_le_bytes());
        let checksum = crc32c_append(seed, &out[8..FRAME_HEAD]);
        out[4..8].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Reads the head at `position` of a segment's bytes.
    pub(crate) fn read(bytes: &[u8], position: usize, seed: u32) -> Result<Self, Fault> {
        let head = bytes.get(position..).and_then(|rest| rest.first_chunk::<FRAME_HEAD>());
        let Some(head) = head else {
            let left = bytes.len().saturating_sub(position);
            return Err(Fault::new(
                position,
                format!("a frame head of {FRAME_HEAD} bytes"),
                format!("{left} bytes"),
            ));
        };
        if u32_at(head, 0) != MAGIC {
            return Err(Fault::new(
                position,
                "the beginning of a frame",
                format_args!("{:02x?}", &head[..4]),
            ));
        }
        let (stored, computed) = (u32_at(head, 4), crc32c_append(seed, &head[8..]));
        if stored != computed {
            return Err(Fault::new(position + 4, hex(computed), hex(stored)));
        }
        let head = Self::of(head);
        if !head.leaves_room() {
            return Err(Fault::new(
                position + 24,
                "an offset that leaves room for the frame's events",
                head.first,
            ));
        }
        Ok(head)
    }

    /// Reads the head at the start of `bytes`, if there is one. Does the same checks as [`read`](Self::read), but is
    /// quick where no head is, and builds no error: the caller tries every position of a tail of many megabytes.
    pub(crate) fn probe(bytes: &[u8], seed: u32) -> Option<Self> {
        // At most positions this comparison fails, and nothing else is done.
        if bytes.first_chunk() != Some(&MAGIC.to_le_bytes()) {
            return None;
        }
        let head = bytes.first_chunk::<FRAME_HEAD>()?;
        let is_whole = u32_at(head, 4) == crc32c_append(seed, &head[8..]);
        Some(Self::of(head)).filter(|head| is_whole && head.leaves_room())
    }

    /// Reads the head at the start of `bytes`, if they begin with the magic. The checksum is not verified, so any of
    /// the values may be wrong.
    pub(crate) fn of_any_seed(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<FRAME_HEAD>()?;
        (u32_at(head, 0) == MAGIC).then(|| Self::of(head))
    }

    fn of(head: &[u8; FRAME_HEAD]) -> Self {
        Self {
            records_crc: u32_at(head, 8),
            records_size: u32_at(head, 12),
            count: u32_at(head, 16),
            first: u64_at(head, 24),
            time_ms: u64_at(head, 32),
            durable: u64_at(head, 40),
        }
    }

    /// Returns whether the offset after its last event fits into 8 bytes.
    fn leaves_room(&self) -> bool {
        self.first.checked_add(self.count.into()).is_some()
    }
}

fn hex(checksum: u32) -> String {
    format!("checksum {checksum:08x}")
}

/// A whole record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) offset: u64,
    pub(crate) position: usize,
    pub(crate) body: &'a [u8],
}

/// Checks the whole frame at `position`, and calls `see` with each of its records.
///
/// `bytes` are the segment's bytes from `position` on. `position` counts from the start of the segment, whose first
/// event has the offset `segment_first`.
pub(crate) fn check_frame<'a>(
    bytes: &'a [u8],
    position: usize,
    seed: u32,
    segment_first: u64,
    mut see: impl FnMut(Record<'a>),
) -> Result<FrameHead, Fault> {
    let shift = |fault: Fault| Fault { position: fault.position + position, ..fault };
    let head = FrameHead::read(bytes, 0, seed).map_err(shift)?;
    let Some(frame) = bytes.get(..head.size()) else {
        return Err(Fault::new(
            position,
            format!("a frame of {} bytes", head.size()),
            format!("{} bytes", bytes.len()),
        ));
    };
    let mut heads_crc = 0;
    let mut at = FRAME_HEAD;
    for index in 0..head.count {
        let offset = head.first + u64::from(index);
        let body = check_record(frame, at, offset, segment_first).map_err(shift)?;
        if u32_at(frame, at + 12) as usize != at {
            return Err(Fault::new(position + at + 12, at, u32_at(frame, at + 12)));
        }
        heads_crc = crc32c_append(heads_crc, &frame[at..at + RECORD_HEAD]);
        see(Record { offset, position: position + at, body });
        let end = at + RECORD_HEAD + body.len();
        at = end.next_multiple_of(8);
        if frame.get(end..at).is_none_or(|padding| padding.iter().any(|&byte| byte != 0)) {
            return Err(Fault::new(position + end, "zeroes up to a multiple of 8", "other bytes"));
        }
    }
    if heads_crc != head.records_crc {
        return Err(Fault::new(position + 8, hex(heads_crc), hex(head.records_crc)));
    }
    if at != frame.len() || head.count == 0 {
        return Err(Fault::new(
            position + 12,
            format!("{} bytes of records", at - FRAME_HEAD),
            head.records_size,
        ));
    }
    Ok(head)
}

/// Returns the body of the record at the position `at`, if the record is whole and has this offset.
pub(crate) fn check_record(
    bytes: &[u8],
    at: usize,
    offset: u64,
    segment_first: u64,
) -> Result<&[u8], Fault> {
    let size = u32_at(bytes, at + 4) as usize;
    let body = bytes.get(at + RECORD_HEAD..at.saturating_add(size));
    let Some(body) = body.filter(|body| !body.is_empty()) else {
        return Err(Fault::new(at + 4, "the size of a record", size));
    };
    let index = u64::from(u32_at(bytes, at + 8));
    if offset.checked_sub(segment_first) != Some(index) {
        let expected = format!("the record of offset {offset}");
        return Err(Fault::new(
            at + 8,
            expected,
            format!("the record of offset {segment_first} + {index}"),
        ));
    }
    let (stored, computed) = (u32_at(bytes, at), crc32c(body));
    if stored != computed {
        return Err(Fault::new(at, hex(computed), hex(stored)));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_and_any_flipped_bit_is_seen() {
        let head = FrameHead {
            records_crc: 1,
            records_size: 24,
            count: 1,
            first: 9,
            time_ms: 7,
            durable: 9,
        };
        let mut bytes = [0; FRAME_HEAD];
        head.write(&mut bytes, 77);
        assert_eq!(FrameHead::read(&bytes, 0, 77), Ok(head));
        assert_eq!(FrameHead::probe(&bytes, 77), Some(head));
        assert!(FrameHead::read(&bytes, 0, 78).is_err(), "another segment's seed");
        assert_eq!(FrameHead::probe(&bytes, 78), None);
        assert_eq!(FrameHead::probe(&bytes[..FRAME_HEAD - 1], 77), None);
        for bit in 0..FRAME_HEAD * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(FrameHead::read(&damaged, 0, 77).is_err(), "bit {bit}");
            assert_eq!(FrameHead::probe(&damaged, 77), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_beyond_the_last_offset_is_none() {
        let mut bytes = [0; FRAME_HEAD];
        let head = FrameHead {
            records_crc: 0,
            records_size: 24,
            count: 2,
            first: u64::MAX - 1,
            time_ms: 0,
            durable: 0,
        };
        head.write(&mut bytes, 0);
        assert!(FrameHead::read(&bytes, 0, 0).is_err());
        assert_eq!(FrameHead::probe(&bytes, 0), None);
        FrameHead { count: 1, ..head }.write(&mut bytes, 0);
        assert_eq!(FrameHead::read(&bytes, 0, 0).map(|head| head.end()), Ok(u64::MAX));
    }
}
