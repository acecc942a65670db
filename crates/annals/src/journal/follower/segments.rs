//! Going on in the next segment, once the writer has created it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::state::{Follow, exists};
use crate::backend::follower::FollowStop;
use crate::event::event::Event;
use crate::journal::map::map_all;
use crate::journal::recovery::segments::check_frames;
use crate::journal::segment::file::{SEGMENT_HEAD, SegmentFile};
use crate::journal::segment::file_names::{index_name, log_name};
use crate::journal::segment::index_file::SealedIndex;
use crate::journal::segment::memory_index::IndexWriter;
use crate::journal::segment::segment::{Segment, SegmentIndex, is_index_of};

/// The most rounds that the thread waits for a segment's index file.
const INDEX_ROUNDS: u32 = 50;

impl<E: Event> Follow<E> {
    /// Goes on in the next segment if it exists, or takes the last frames of this one. Returns whether it did either.
    pub(super) fn take_segment(&mut self) -> Result<bool, FollowStop> {
        let directory = &*self.log.directory.handle;
        if !exists(directory, &log_name(self.next_offset))? {
            return Ok(false);
        }
        // The writer seals a segment just after it created the next one. The index file is worth a short wait: without
        // it, this process has to hold its own index in memory.
        if self.waited < INDEX_ROUNDS && !exists(directory, &index_name(self.segment.first))? {
            self.waited += 1;
            return Ok(false);
        }
        // Once there is a next segment, this one is complete. Frames that were missing a moment ago are there now.
        if !self.take_frames()? {
            self.roll()?;
        }
        Ok(true)
    }

    /// Puts this segment on the list of sealed ones and opens the next. Since there is a next segment, all of this one
    /// is durable. Fails if the next segment was begun after other frames than those that were read.
    fn roll(&mut self) -> Result<(), FollowStop> {
        self.durable = self.next_offset;
        self.settle()?;
        let directory = &self.log.directory;
        let name = log_name(self.next_offset);
        let file = directory.handle.open_read_only(&name)?;
        let (path, mapped) = (directory.at(&name), map_all(&*file)?);
        let segment = SegmentFile::new(path, &directory.store_id, self.next_offset, mapped);
        let crc_before = segment.check_head(&directory.store_id)?.crc_before;
        let read = self.index.frames_crc;
        if let Err(damage) = check_frames(&self.segment.file, self.next_offset, read, crc_before) {
            // If this segment's file was replaced as well, the log is not damaged: it is another one.
            self.check_anchor()?;
            return Err(damage.into());
        }
        let anchor = (0, segment.bytes.slice(..SEGMENT_HEAD).to_vec());
        let index = IndexWriter::new();
        let next = Arc::new(Segment::new(segment, SegmentIndex::Mem(index.reader())));
        let in_memory = SegmentIndex::Mem(self.index.reader());
        let bytes = self.segment.bytes.slice(..self.end);
        let sealed = SegmentFile { bytes, tail: None, ..self.segment.file.clone() };
        let sealed_index = self.sealed_index(&sealed).map_or(in_memory, SegmentIndex::sealed);
        self.sealed.push(Segment::new(sealed, sealed_index));
        // Relaxed: a number for statistics, which orders nothing.
        self.log.active_bytes.store(SEGMENT_HEAD as u64, Ordering::Relaxed);
        self.log.active.store(Arc::clone(&next));
        (self.segment, self.file, self.index, self.end) = (next, file, index, SEGMENT_HEAD);
        (self.anchor, self.waited) = (anchor, 0);
        Ok(())
    }

    /// Opens the index file of a segment that just became complete. Returns `None` if it has no valid one, for
    /// example because the writer is still writing it.
    fn sealed_index(&self, segment: &SegmentFile) -> Option<SealedIndex> {
        let (directory, first) = (&self.log.directory, segment.first);
        let file = directory.handle.open_read_only(&index_name(first)).ok()?;
        let mapped = map_all(&*file).ok()?;
        let count = self.next_offset - first;
        let index = SealedIndex::open(mapped, &directory.store_id, first, count)?;
        // The last position is checked first: a wrong one may be any number.
        let last = u32::try_from(count.saturating_sub(1)).ok()?;
        let is_own = index.position(last).is_some()
            && is_index_of(&index, segment, self.next_offset, self.index.frames_crc);
        is_own.then_some(index)
    }
}
