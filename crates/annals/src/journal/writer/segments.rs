//! Sealing a full segment and beginning the next.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::state::JournalTarget;
use crate::event::event::Event;
use crate::journal::fs::StoreFile;
use crate::journal::fs::file_id::FileId;
use crate::journal::map::map;
use crate::journal::segment::file::{self, SEGMENT_HEAD, SegmentFile, SegmentHead};
use crate::journal::segment::file_names::log_name;
use crate::journal::segment::index_file::{most_bytes, seal};
use crate::journal::segment::memory_index::IndexWriter;
use crate::journal::segment::segment::{Segment, SegmentIndex};

/// The active segment's file and its identity.
type ActiveFile = (Arc<dyn StoreFile>, Option<FileId>);

impl<E: Event> JournalTarget<E> {
    /// Returns whether the active segment is to be sealed: it has the size of a segment, or its index could become too
    /// large with the next commit. The caller has nothing staged, so the index has all events.
    pub(super) fn is_complete(&self) -> bool {
        let events = self.next_offset - self.segment.first;
        let index_bytes = most_bytes(events, &self.index.names.totals());
        self.end as u64 >= self.options.segment_bytes
            || events > 0 && index_bytes >= self.options.index_limits.sealed_at
    }

    /// Seals the active segment and begins the next. If the next cannot be created, the active one stays.
    pub(super) fn roll(&mut self) -> io::Result<()> {
        // The error's kind is dropped: a sync that fails for lack of room is a failed sync, not a commit that waits for
        // room.
        self.file.sync().and_then(|()| self.check_file()).map_err(io::Error::other)?;
        self.durable = self.next_offset;
        // The file is cut when it is sealed, so nothing may make it grow after that. (Room is made up to the segment's
        // size only, so this waits only if the segment is sealed earlier, for its index.)
        self.ready = self.ahead.take_or_wait().unwrap_or(self.ready);
        let index = IndexWriter::new();
        let (file, next) = match self.begin_segment(&index) {
            Ok(begun) => begun,
            Err(error) => return Err(self.withdraw_segment().err().unwrap_or(error)),
        };
        self.seal_active();
        // Relaxed: a number for statistics, which orders nothing.
        self.log.active_bytes.store(SEGMENT_HEAD as u64, Ordering::Relaxed);
        self.log.active.store(Arc::clone(&next));
        self.name = log_name(next.first);
        self.segment = next;
        (self.file, self.id) = file;
        self.index = index;
        (self.end, self.ready) = (SEGMENT_HEAD, SEGMENT_HEAD);
        Ok(())
    }

    fn begin_segment(&self, index: &IndexWriter) -> io::Result<(ActiveFile, Arc<Segment>)> {
        let first = self.next_offset;
        let (name, directory) = (log_name(first), &self.log.directory);
        let before =
            SegmentHead { time_before_ms: self.last_time_ms, crc_before: self.index.frames_crc };
        let file = file::create(&*directory.handle, &directory.store_id, first, before)?;
        let size = SEGMENT_HEAD as u64 + self.options.capacity();
        file.set_size(size)?;
        let bytes = map(&*file, size)?;
        let id = file.id()?;
        let segment = SegmentFile::new(directory.at(&name), &directory.store_id, first, bytes);
        let index = SegmentIndex::Mem(index.reader());
        Ok(((file.into(), id), Arc::new(Segment::new(segment, index))))
    }

    /// Removes the file of a next segment that could not be begun. While that file exists, the active segment counts as
    /// complete.
    fn withdraw_segment(&self) -> io::Result<()> {
        let handle = &*self.directory().handle;
        match handle.remove(&log_name(self.next_offset)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| handle.sync()),
        }
    }

    /// Puts the active segment on the list of sealed ones. A failure to write its index file is only logged, since the
    /// file can be rebuilt at any time.
    fn seal_active(&mut self) {
        let in_memory = self.index.reader();
        let (first, count) = (self.segment.first, self.next_offset - self.segment.first);
        let most = self.options.index_limits.most;
        let directory = self.directory();
        let sealed = seal(&*directory.handle, &directory.store_id, first, count, &in_memory, most);
        let index = match sealed {
            Ok(index) => SegmentIndex::sealed(index),
            Err(error) => {
                let segment = self.segment.path.display();
                tracing::warn!(%error, %segment, "cannot write the index file of a segment; the index stays in memory");
                SegmentIndex::Mem(in_memory)
            }
        };
        if let Err(error) = self.file.set_size(self.end as u64) {
            let segment = self.segment.path.display();
            tracing::warn!(%error, %segment, "cannot cut a segment's file to its size; it keeps unused room");
        }
        let file = SegmentFile {
            bytes: self.segment.bytes.slice(..self.end),
            ..self.segment.file.clone()
        };
        self.sealed.push(Segment::new(file, index));
    }
}
