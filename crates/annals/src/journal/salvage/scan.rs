//! Finding every whole event in the bytes of one segment, whatever is damaged around it.
//!
//! ```text
//!   │ frame │ frame │▒▒▒▒▒▒│ head, record ▒▒▒ record │▒▒▒ record, record │ frame │ …
//!     whole   whole  lost    a whole head leads to      the head is lost: the scan looks for
//!                            the records behind it      records at each multiple of 8
//! ```
//! A frame's head is valid if its checksum is right, which includes the seed of this store and segment. A record is
//! valid if its own checksum is right, its body is a valid event, its local offset lies between those around it, and
//! its distance leads to its frame. The next record directly behind it must have the next offset, since the checksum
//! does not cover it.

use std::ops::Range;

use bytes::Bytes;

use crate::backend::encode::RECORD_HEAD;
use crate::event::raw::RawEvent;
use crate::journal::segment::file::{SEGMENT_HEAD, SegmentFile};
use crate::journal::segment::frame::{FRAME_HEAD, FrameHead, check_frame, check_record};
use crate::util::crc32c::crc32c_append;
use crate::util::little_endian::u32_at;

/// The events and the damage in a segment's bytes.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The whole events, by ascending offset.
    pub(super) found: Vec<Found>,
    /// The bytes between them that are not whole events, in order. The last range reaches to the end of the file.
    pub(super) lost: Vec<Lost>,
    /// The offset below which all events were durable once.
    pub(super) durable: u64,
}

/// A whole event.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) offset: u64,
    /// When it was recorded; `None` if its frame's head is damaged.
    pub(super) time_ms: Option<u64>,
    pub(super) event: RawEvent,
}

/// Bytes that are not whole events.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    /// The offsets of the events that may have been there. The end is `u64::MAX` if no event follows.
    pub(super) offsets: Range<u64>,
    pub(super) bytes: Range<usize>,
    /// A description of the fault at the first of these bytes.
    pub(super) found: String,
    /// Whether all bytes are zero. Without bytes it is true.
    pub(super) is_blank: bool,
}

/// Finds the whole events in the bytes of a segment.
pub(super) fn scan(segment: &SegmentFile) -> Scan {
    let mut scanner = Scanner {
        segment,
        bytes: &segment.bytes,
        at: SEGMENT_HEAD.min(segment.bytes.len()),
        next_offset: segment.first,
        scan: Scan::default(),
    };
    let mut from = scanner.at;
    while let Some((position, head)) = scanner.next_head(from) {
        scanner.take_records_without_head(position, head.first);
        from = scanner.take_frame(position, &head);
    }
    scanner.take_records_without_head(segment.bytes.len(), u64::MAX);
    scanner.lose(segment.bytes.len(), u64::MAX);
    scanner.scan
}

/// A record that is valid by itself.
struct Candidate {
    offset: u64,
    position: usize,
    /// The position of a record that would follow it.
    end: usize,
    /// The position of its frame.
    frame: usize,
    event: RawEvent,
}

struct Scanner<'a> {
    segment: &'a SegmentFile,
    bytes: &'a Bytes,
    /// The position up to which the bytes are taken or known to be lost.
    at: usize,
    /// The offset of the next event behind that position.
    next_offset: u64,
    scan: Scan,
}

impl Scanner<'_> {
    /// Returns the first whole frame head at or behind `from` whose events come after those that were taken.
    fn next_head(&self, from: usize) -> Option<(usize, FrameHead)> {
        (from..self.bytes.len()).step_by(8).find_map(|position| {
            let head = FrameHead::probe(&self.bytes[position..], self.segment.seed)?;
            let last = head.end().checked_sub(1)?;
            let fits = u32::try_from(last.checked_sub(self.segment.first)?).is_ok();
            (head.count > 0 && head.first >= self.next_offset && fits).then_some((position, head))
        })
    }

    /// Takes the records of a frame whose head is whole. Returns the position where the next frame may begin.
    fn take_frame(&mut self, position: usize, head: &FrameHead) -> usize {
        self.scan.durable = self.scan.durable.max(head.durable);
        self.lose(position, head.first);
        let end = position.saturating_add(head.size()).min(self.bytes.len());
        // A damaged record does not hide the other records of its frame.
        let heads_are_right = self.has_right_record_heads(position, head);
        let mut at = position + FRAME_HEAD;
        while at < end {
            let candidate = self.candidate(at, end, head.first..head.end());
            let candidate = candidate.filter(|candidate| {
                candidate.frame == position
                    && candidate.offset >= self.next_offset
                    && (heads_are_right || self.agrees(candidate))
            });
            at = candidate.as_ref().map_or(at + 8, |candidate| candidate.end);
            if let Some(candidate) = candidate {
                self.take(candidate, Some(head.time_ms));
            }
        }
        if self.next_offset < head.end() {
            self.lose(end, head.end());
        }
        (self.at, self.next_offset) = (end, head.end());
        end.next_multiple_of(8)
    }

    /// Returns whether a frame's record heads have the checksum in the frame's head.
    fn has_right_record_heads(&self, position: usize, head: &FrameHead) -> bool {
        let (mut at, mut checksum) = (position + FRAME_HEAD, 0);
        for _ in 0..head.count {
            let Some(record) = self.bytes.get(at..at + RECORD_HEAD) else { return false };
            checksum = crc32c_append(checksum, record);
            at = at.saturating_add(u32_at(record, 4) as usize).next_multiple_of(8);
        }
        checksum == head.records_crc
    }

    /// Takes the records before the position `end` whose offsets are below `below` and whose frames have no whole head.
    fn take_records_without_head(&mut self, end: usize, below: u64) {
        let start = self.at;
        let (mut known_frame, mut foreign) = (start, None);
        let mut at = start;
        while at < end {
            let candidate = self.candidate(at, end, self.next_offset..below);
            let candidate = candidate.filter(|candidate| {
                let frame = candidate.frame;
                let expected = frame == known_frame || frame == self.at;
                if !expected
                    && foreign != Some(frame)
                    && !self.may_be_a_frame(frame, candidate.offset)
                {
                    foreign = Some(frame);
                }
                frame >= start && (expected || foreign != Some(frame)) && self.agrees(candidate)
            });
            at = candidate.as_ref().map_or(at + 8, |candidate| candidate.end);
            if let Some(candidate) = candidate {
                known_frame = candidate.frame;
                self.take(candidate, None);
            }
        }
    }

    /// Returns the record at the position `at` if it is whole, ends before `end`, and has one of the `offsets`.
    fn candidate(&self, at: usize, end: usize, offsets: Range<u64>) -> Option<Candidate> {
        let head = self.bytes.get(at..at + RECORD_HEAD)?;
        let (size, distance) = (u32_at(head, 4) as usize, u32_at(head, 12) as usize);
        let offset = self.segment.first.checked_add(u32_at(head, 8).into())?;
        let frame = at.checked_sub(distance)?;
        let record_end = at.checked_add(size).filter(|&record_end| record_end <= end)?;
        let may_be = size > RECORD_HEAD
            && distance >= FRAME_HEAD
            && frame >= SEGMENT_HEAD
            && frame.is_multiple_of(8)
            && offsets.contains(&offset);
        if !may_be {
            return None;
        }
        let body = check_record(self.bytes, at, offset, self.segment.first).ok()?;
        let event = RawEvent::from_body(self.bytes.slice_ref(body)).ok()?;
        Some(Candidate { offset, position: at, end: record_end.next_multiple_of(8), frame, event })
    }

    /// Returns whether a record's offset agrees with what is directly before it, or else directly behind it.
    fn agrees(&self, candidate: &Candidate) -> bool {
        let Candidate { offset, position, end, frame, .. } = *candidate;
        let is_next = position == self.at;
        let begins_next_frame = frame == self.at && position == frame + FRAME_HEAD;
        if is_next || begins_next_frame {
            return offset == self.next_offset;
        }
        let rest = self.bytes.get(end..).unwrap_or_default();
        if let Some(head) = FrameHead::probe(rest, self.segment.seed) {
            return offset + 1 == head.first;
        }
        let next = self.candidate(end, self.bytes.len(), 0..u64::MAX);
        next.is_none_or(|next| next.frame != frame || next.offset == offset + 1)
    }

    /// Returns whether a frame with this offset, but without a whole head, may begin at this position. A payload may
    /// contain the bytes of another segment, whose frames are whole except for the seed. Their events are not of this
    /// log.
    fn may_be_a_frame(&self, position: usize, offset: u64) -> bool {
        let bytes = &self.bytes[position..];
        let Some(head) = FrameHead::of_any_seed(bytes) else { return true };
        let Some(end) = head.first.checked_add(head.count.into()) else { return false };
        if !(head.first..end).contains(&offset) {
            return false;
        }
        let Some(frame) = bytes.get(..head.size()) else { return true };
        let mut frame = frame.to_vec();
        head.write(&mut frame, self.segment.seed);
        let first = head.first.checked_sub(u32_at(&frame, FRAME_HEAD + 8).into());
        let is_whole = |first| check_frame(&frame, 0, self.segment.seed, first, |_| {}).is_ok();
        !first.is_some_and(is_whole)
    }

    fn take(&mut self, candidate: Candidate, time_ms: Option<u64>) {
        let Candidate { offset, position, end, event, .. } = candidate;
        self.lose(position, offset);
        self.scan.found.push(Found { offset, time_ms, event });
        (self.at, self.next_offset) = (end.min(self.bytes.len()), offset + 1);
    }

    /// Notes the bytes before the position `end` as lost if offsets below `below` are missing.
    fn lose(&mut self, end: usize, below: u64) {
        let end = end.max(self.at);
        if self.next_offset < below {
            let found = self.problem_at(self.at, end);
            let (offsets, bytes) = (self.next_offset..below, self.at..end);
            let is_blank = self.bytes[bytes.clone()].iter().all(|&byte| byte == 0);
            self.scan.lost.push(Lost { offsets, bytes, found, is_blank });
        }
        (self.at, self.next_offset) = (end, below);
    }

    /// Describes what is wrong with the frame or record at a position.
    fn problem_at(&self, position: usize, end: usize) -> String {
        let bytes = &self.bytes[position..end];
        if bytes.iter().all(|&byte| byte == 0) {
            return match bytes.len() {
                0 if position == self.bytes.len() => "the end of the file".to_owned(),
                0 => "nothing".to_owned(),
                size => format!("{size} zeroes"),
            };
        }
        let (seed, first) = (self.segment.seed, self.segment.first);
        let head = FrameHead::of_any_seed(&self.bytes[position..]);
        if head.is_none()
            && let Err(fault) = check_record(self.bytes, position, self.next_offset, first)
            && u32_at(bytes, 4) as usize > RECORD_HEAD
        {
            return format!(
                "at byte {}, {} instead of {}",
                fault.position, fault.found, fault.expected
            );
        }
        match check_frame(&self.bytes[position..], position, seed, first, |_| {}) {
            Err(fault) => {
                format!("at byte {}, {} instead of {}", fault.position, fault.found, fault.expected)
            }
            Ok(head) => format!("the frame of {}..{}", head.first, head.end()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::backend::encode::Encoded;
    use crate::event::name::Hasher;
    use crate::journal::segment::file::seed;

    const STORE: [u8; 16] = [7; 16];

    fn event(n: u64) -> RawEvent {
        let event = RawEvent::builder("noted").tag(format!("number:{n}"));
        event.data(format!("payload {n} {}", "x".repeat(60))).build().unwrap()
    }

    /// Encodes a frame of these events as the writer does.
    fn frame(store_id: &[u8; 16], segment: u64, first: u64, events: &[RawEvent]) -> Vec<u8> {
        let Encoded { mut records, starts, .. } =
            Encoded::records(events, &Hasher::new(store_id)).unwrap();
        let mut heads_crc = 0;
        for (offset, &start) in (first..).zip(&starts) {
            let head = &mut records[start as usize..][..RECORD_HEAD];
            head[8..12].copy_from_slice(&u32::try_from(offset - segment).unwrap().to_le_bytes());
            head[12..16].copy_from_slice(&start.to_le_bytes());
            heads_crc = crc32c_append(heads_crc, head);
        }
        let head = FrameHead {
            records_crc: heads_crc,
            records_size: u32::try_from(records.len() - FRAME_HEAD).unwrap(),
            count: u32::try_from(events.len()).unwrap(),
            first,
            time_ms: 1_000 + first,
            durable: first,
        };
        head.write(&mut records, seed(store_id, segment));
        records
    }

    /// Returns a segment from offset 100 on: frames of 1, 3, 1 and 2 events, and zeroes at the end.
    fn segment() -> (Vec<u8>, Vec<Range<usize>>) {
        let mut bytes = vec![0; SEGMENT_HEAD];
        let (mut offset, mut records) = (100, Vec::new());
        for count in [1, 3, 1, 2] {
            let events: Vec<_> = (offset..offset + count).map(event).collect();
            let base = bytes.len();
            bytes.extend(frame(&STORE, 100, offset, &events));
            let starts = Encoded::records(&events, &Hasher::new(&STORE)).unwrap().starts;
            records.extend(starts.iter().map(|&start| {
                let start = base + start as usize;
                start..start + u32_at(&bytes, start + 4) as usize
            }));
            offset += count;
        }
        bytes.extend([0; 256]);
        (bytes, records)
    }

    fn scan_of(bytes: &[u8]) -> Scan {
        let bytes = Bytes::copy_from_slice(bytes);
        scan(&SegmentFile::new(PathBuf::new(), &STORE, 100, bytes))
    }

    /// Checks that the events found are right, and that all others are reported as lost.
    fn check(scan: &Scan, note: &str) {
        let mut next = 100;
        let mut lost = scan.lost.iter();
        for found in &scan.found {
            assert_eq!(found.event, event(found.offset), "{note}");
            assert!(found.offset >= next, "{note}: {} after {next}", found.offset);
            while next < found.offset {
                let missing = lost.next().unwrap().offsets.clone();
                assert!(missing.start == next && missing.end <= found.offset, "{note}: {scan:?}");
                next = missing.end;
            }
            next = found.offset + 1;
        }
        for lost in lost {
            assert_eq!(lost.offsets.start, next, "{note}: {scan:?}");
            next = lost.offsets.end;
        }
        assert_eq!(next, u64::MAX, "{note}");
    }

    #[test]
    fn a_whole_segment_has_all_its_events_with_their_times() {
        let scan = scan_of(&segment().0);
        check(&scan, "whole");
        assert_eq!((scan.found.len(), scan.durable), (7, 105));
        let times: Vec<_> = scan.found.iter().map(|found| found.time_ms.unwrap()).collect();
        assert_eq!(times, [1_100, 1_101, 1_101, 1_101, 1_104, 1_105, 1_105]);
    }

    #[test]
    fn every_event_whose_record_is_untouched_is_found_whatever_bytes_are_changed() {
        let (whole, records) = segment();
        let end = whole.len() - 256;
        let saves = |bytes: &[u8], touched: Range<usize>, note: &str| {
            let scan = scan_of(bytes);
            check(&scan, note);
            for (offset, record) in (100..).zip(&records) {
                let untouched = record.end <= touched.start || touched.end <= record.start;
                let found = scan.found.iter().any(|found| found.offset == offset);
                assert!(found || !untouched, "{note}: {offset} of {record:?} is not found");
            }
        };
        for at in SEGMENT_HEAD..end {
            for mask in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= mask;
                saves(&bytes, at..at + 1, &format!("byte {at} ^ {mask}"));
            }
        }
        for size in [8, 100, 300] {
            for start in (SEGMENT_HEAD..end).step_by(7) {
                for fill in [0, 0xff] {
                    let mut bytes = whole.clone();
                    let stop = (start + size).min(end);
                    bytes[start..stop].fill(fill);
                    saves(&bytes, start..stop, &format!("{start}..{stop} = {fill}"));
                }
            }
        }
        for cut in 0..end {
            saves(&whole[..cut], cut..whole.len(), &format!("cut at {cut}"));
        }
    }

    #[test]
    fn the_events_of_another_segment_in_a_payload_are_not_of_this_log() {
        let others: Vec<_> = (100..104).map(|n| event(n + 1_000)).collect();
        let theirs = frame(&[8; 16], 100, 100, &others);
        // At each shift within 8 bytes: the scan looks for records at multiples of 8.
        for shift in 0..8 {
            let payload = [vec![b'x'; shift], theirs.clone()].concat();
            let holder = RawEvent::builder("backed-up").data(payload).build().unwrap();
            let mut bytes = vec![0; SEGMENT_HEAD];
            bytes.extend(frame(&STORE, 100, 100, &[holder]));
            let record = SEGMENT_HEAD + FRAME_HEAD;
            for harm in [SEGMENT_HEAD, record + 4, record + 8, record + 12, record + 20] {
                let mut bytes = bytes.clone();
                bytes[harm] ^= 0x55;
                if harm > SEGMENT_HEAD {
                    bytes[SEGMENT_HEAD + 5] ^= 1;
                }
                let scan = scan_of(&bytes);
                let types = scan.found.iter().map(|found| found.event.event_type());
                assert!(
                    types.clone().all(|found| found == "backed-up"),
                    "{shift} {harm}: {scan:?}"
                );
            }
        }
    }
}
