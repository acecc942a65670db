//! The last segment of a log: opening it, and making its frames durable.

use std::collections::VecDeque;
use std::io;

use crate::error::OpenError;
use crate::journal::directory::Directory;
use crate::journal::fs::StoreFile;
use crate::journal::map::map_all;
use crate::journal::segment::file::{SEGMENT_HEAD, SegmentFile};
use crate::journal::segment::file_names::log_name;
use crate::journal::segment::memory_index::{IndexWriter, Indexed, index_frames};

/// The segment that is appended to or followed.
pub(crate) struct Active {
    pub(crate) segment: SegmentFile,
    pub(crate) file: Box<dyn StoreFile>,
    pub(crate) index: IndexWriter,
    /// The position of the next frame.
    pub(crate) end: usize,
    pub(crate) next_offset: u64,
    pub(crate) last_time_ms: u64,
    /// The first offset and the position of each frame that no later frame reports as durable.
    unsynced: VecDeque<(u64, usize)>,
}

/// Opens the last segment and indexes the whole frames at its start.
pub(super) fn open_active(
    directory: &Directory,
    first: u64,
    file: Box<dyn StoreFile>,
) -> Result<Active, OpenError> {
    let path = directory.at(&log_name(first));
    let bytes = map_all(&*file).map_err(OpenError::io("map", &path))?;
    let segment = SegmentFile::new(path, &directory.store_id, first, bytes);
    let mut last_time_ms = segment.check_head(&directory.store_id)?.time_before_ms;
    let mut unsynced = VecDeque::new();
    let indexed = index_frames(&segment, &directory.hasher(), u64::MAX, |position, frame| {
        last_time_ms = frame.time_ms;
        unsynced.push_back((frame.first, position));
        forget_below(&mut unsynced, frame.durable);
    })?;
    let Indexed { index, end, next_offset, .. } = indexed;
    Ok(Active { segment, file, index, end, next_offset, last_time_ms, unsynced })
}

/// Opens the segment that begins at `first` for a follower, without reading any frame.
pub(super) fn open_to_follow(directory: &Directory, first: u64) -> Result<Active, OpenError> {
    let path = directory.at(&log_name(first));
    let opened = directory.handle.open_read_only(&log_name(first));
    let file = opened.map_err(OpenError::io("open", &path))?;
    let mapped = map_all(&*file).map_err(OpenError::io("map", &path))?;
    let segment = SegmentFile::new(path, &directory.store_id, first, mapped);
    let last_time_ms = segment.check_head(&directory.store_id)?.time_before_ms;
    let (index, unsynced) = (IndexWriter::new(), VecDeque::new());
    let (end, next_offset) = (SEGMENT_HEAD, first);
    Ok(Active { segment, file, index, end, next_offset, last_time_ms, unsynced })
}

/// Lengthens the active file to `capacity` bytes if it is shorter, and maps all of it, including the part that is not
/// written yet.
pub(super) fn lengthen(active: &mut Active, capacity: u64) -> Result<(), OpenError> {
    let Active { file, segment, .. } = active;
    let size = file.size().map_err(OpenError::io("open", &segment.path))?;
    if size < capacity {
        file.set_size(capacity).map_err(OpenError::io("lengthen", &segment.path))?;
    }
    let mapped = map_all(&**file).map_err(OpenError::io("map", &segment.path))?;
    segment.bytes = mapped;
    Ok(())
}

/// Makes the frames durable that are not known to be: writes them again and syncs.
///
/// A sync alone is not enough. After a failed sync, a system may hold the bytes in memory, consider them written, and
/// not write them at the next sync either.
pub(super) fn write_again(active: &mut Active, closed: u64) -> io::Result<()> {
    forget_below(&mut active.unsynced, closed);
    if let Some(&(_, start)) = active.unsynced.front() {
        let unsynced = active.segment.bytes.slice(start..active.end);
        for (position, chunk) in (start..).step_by(1 << 20).zip(unsynced.chunks(1 << 20)) {
            // Copied first, since the mapped source is the file that is written to.
            let copy = chunk.to_vec();
            active.file.write_at(&copy, position as u64)?;
        }
    }
    active.file.sync()
}

fn forget_below(unsynced: &mut VecDeque<(u64, usize)>, durable: u64) {
    while unsynced.front().is_some_and(|&(first, _)| first < durable) {
        unsynced.pop_front();
    }
}
