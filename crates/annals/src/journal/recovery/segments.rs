//! The sealed segments: listing them, checking them against each other, and opening them with their indexes.

use std::io;

use bytes::Bytes;

use crate::error::{Corruption, OpenError};
use crate::journal::directory::Directory;
use crate::journal::map::map_all;
use crate::journal::segment::file::{SEGMENT_HEAD, SegmentFile, SegmentHead, check_head};
use crate::journal::segment::file_names::{index_name, log_name};
use crate::journal::segment::frame::Fault;
use crate::journal::segment::index_file::{SealedIndex, index_count};
use crate::journal::segment::memory_index::rebuild_index;
use crate::journal::segment::segment::{Segment, SegmentIndex, is_index_of};
use crate::util::little_endian::u32_at;

/// Maps a file of the store.
pub(crate) fn map(directory: &Directory, name: &str) -> Result<Bytes, OpenError> {
    let mapped = directory.handle.open_read_only(name).and_then(|file| map_all(&*file));
    mapped.map_err(OpenError::io("open", directory.at(name)))
}

/// Returns the first offsets of all segments. Fails unless the first is 0 and the last segment was never sealed.
pub(crate) fn check_starts(directory: &Directory) -> Result<Vec<u64>, OpenError> {
    let missing = |first| {
        OpenError::Corrupt(Corruption {
            file: directory.at(&log_name(first)),
            position: 0,
            offset: first,
            expected: "a segment".into(),
            found: "no such file".into(),
        })
    };
    let (mut logs, mut indexes) = directory.segments()?;
    if indexes.last() >= logs.last() {
        // A listing is not atomic: a writer may just have created a segment and sealed the one before it.
        (logs, indexes) = directory.segments()?;
    }
    if logs.first() != Some(&0) {
        return Err(missing(0));
    }
    match (logs.last(), indexes.last()) {
        // The writer writes an index only once the next segment exists.
        (Some(&last), Some(&sealed)) if sealed >= last => {
            let index = map(directory, &index_name(sealed))?;
            Err(missing(sealed + index_count(&index).max(1)))
        }
        _ => Ok(logs),
    }
}

/// Returns the head of the segment that begins at `first`, with its statements about the segment before it. Returns the
/// default, which states nothing, if the head cannot be read: opening that segment reports the reason.
pub(crate) fn read_head(directory: &Directory, first: u64) -> SegmentHead {
    let mut head = [0; SEGMENT_HEAD];
    let read = directory
        .handle
        .open_read_only(&log_name(first))
        .and_then(|file| file.read_at(&mut head, 0));
    let size = read.unwrap_or(0);
    check_head(&head[..size], &directory.store_id, first).unwrap_or_default()
}

/// Opens the sealed segment of the offsets `first..end`. Its index is rebuilt in memory if the index file is missing or
/// not valid.
pub(super) fn open_sealed(
    directory: &Directory,
    first: u64,
    end: u64,
) -> Result<Segment, OpenError> {
    let name = log_name(first);
    let bytes = map(directory, &name)?;
    let file = SegmentFile::new(directory.at(&name), &directory.store_id, first, bytes);
    file.check_head(&directory.store_id)?;
    let sealed = match map(directory, &index_name(first)) {
        Ok(bytes) => SealedIndex::open(bytes, &directory.store_id, first, end - first),
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let crc = read_head(directory, end).crc_before;
    let sealed = match sealed {
        Some(index) if is_index_of(&index, &file, end, crc) => {
            match check_last(&file, &index, end) {
                Ok(()) if !index.is_damaged() => Some(index),
                // The position of the last event is wrong, not the segment.
                Ok(()) => None,
                Err(_) if index.position(0).is_none() => None,
                Err(damage) => return Err(damage.into()),
            }
        }
        Some(_) => {
            tracing::warn!(
                segment = %file.path.display(),
                "the index file of a segment is of another segment; rebuilding the index"
            );
            None
        }
        None => None,
    };
    let index = if let Some(index) = sealed {
        SegmentIndex::sealed(index)
    } else {
        let index = rebuild_index(&file, &directory.hasher(), end)?;
        check_frames(&file, end, index.frames_crc, crc)?;
        SegmentIndex::Mem(index)
    };
    Ok(Segment::new(file, index))
}

/// Refuses a segment whose frames are not those that the next segment's head has the checksum of. It belongs to another
/// history of the log.
pub(crate) fn check_frames(
    file: &SegmentFile,
    end: u64,
    found: u32,
    expected: u32,
) -> Result<(), Corruption> {
    if expected == 0 || found == expected {
        return Ok(());
    }
    let expected = format!(
        "the frames after which {} was begun, with the checksum {expected:08x}",
        log_name(end)
    );
    let found = format!("other frames, with the checksum {found:08x}");
    Err(file.corruption(Fault { position: SEGMENT_HEAD, expected, found }, file.first))
}

/// Refuses a sealed segment whose file is too short for its events. Events further inside are checked when they are
/// read.
fn check_last(file: &SegmentFile, index: &SealedIndex, end: u64) -> Result<(), Corruption> {
    let count = u32::try_from(end - file.first).unwrap_or(u32::MAX);
    // If the index file is damaged there, the caller does not use it.
    let Some(last) = index.likely_position(count.saturating_sub(1)) else { return Ok(()) };
    let size =
        if last + 8 <= file.bytes.len() { u32_at(&file.bytes, last + 4) as usize } else { 8 };
    if last + size <= file.bytes.len() {
        return Ok(());
    }
    let expected = format!("events up to offset {end}, where the next segment begins");
    let found = format!("a file of {} bytes, cut short", file.bytes.len());
    Err(file.corruption(Fault { position: file.bytes.len(), expected, found }, file.first))
}
