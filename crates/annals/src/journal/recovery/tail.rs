//! Classifying the bytes behind the last whole frame of a log.

use std::io;

use crate::error::{Corruption, OpenError};
use crate::journal::fs::StoreFile;
use crate::journal::fs::tools::last_data;
use crate::journal::segment::file::SegmentFile;
use crate::journal::segment::frame::{FRAME_HEAD, Fault, FrameHead, check_frame};

/// The content behind the last whole frame of a log.
pub(crate) enum End {
    /// Nothing.
    Clean,
    /// A commit that a crash interrupted or that is being written, up to this position.
    Unfinished(usize),
    /// Events that were durable once and are damaged.
    Damaged(Corruption),
}

/// Distinguishes a clean end from an interrupted commit and from damage. The whole frames end at the position `end`;
/// `next_offset` is the offset after their last event, and `closed` is the head at the last clean close.
pub(crate) fn classify_tail(
    file: &dyn StoreFile,
    segment: &SegmentFile,
    end: usize,
    next_offset: u64,
    closed: u64,
) -> Result<End, OpenError> {
    let read_error = || OpenError::io("read", &segment.path);
    let left = last_data(file, end as u64).map_err(read_error())?;
    let mut tail = vec![0; left.map_or(0, |left| left.next_multiple_of(8) - end)];
    let size = file.read_at(&mut tail, end as u64).map_err(read_error())?;
    tail.truncate(size);
    let damaged = |expected: String| {
        let faulty = check_frame(&tail, end, segment.seed, segment.first, |_| {}).err();
        let found = match faulty {
            Some(fault) if tail.iter().any(|&byte| byte != 0) => {
                format!("{} instead of {} at byte {}", fault.found, fault.expected, fault.position)
            }
            _ => format!("no event from offset {next_offset} on"),
        };
        let fault = Fault { position: end, expected, found };
        // A read is not atomic. If the missing frame is there now, a writer wrote it in the meantime.
        if is_whole_now(file, segment, end, next_offset).map_err(read_error())? {
            return Ok(End::Clean);
        }
        Ok(End::Damaged(segment.corruption(fault, next_offset)))
    };
    if closed > next_offset {
        return damaged(format!("events up to offset {closed}, the head at the last close"));
    }
    let Some(left) = left else { return Ok(End::Clean) };
    if segment.was_durable(&tail, end, next_offset) {
        return damaged("a whole frame, since a later frame says that it was durable".to_owned());
    }
    Ok(End::Unfinished(left))
}

/// Returns whether the file has a whole frame of `next_offset` at the position `end` by now.
fn is_whole_now(
    file: &dyn StoreFile,
    segment: &SegmentFile,
    end: usize,
    next_offset: u64,
) -> io::Result<bool> {
    let mut frame = vec![0; FRAME_HEAD];
    file.read_at(&mut frame, end as u64)?;
    let Ok(head) = FrameHead::read(&frame, 0, segment.seed) else { return Ok(false) };
    if (end + head.size()) as u64 > file.size()? {
        return Ok(false);
    }
    frame.resize(head.size(), 0);
    file.read_at(&mut frame, end as u64)?;
    let checked = check_frame(&frame, end, segment.seed, segment.first, |_| {});
    Ok(checked.is_ok_and(|head| head.first == next_offset))
}
