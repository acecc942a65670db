//! The staged commit: its frames are built in memory, indexed, written and synced.

use std::io;

use super::state::{JournalTarget, SMALL_COMMIT};
use crate::backend::encode::{Encoded, RECORD_HEAD};
use crate::event::event::{Event, Recorded};
use crate::journal::fs::tools::erase;
use crate::journal::options::Durability;
use crate::journal::segment::frame::{FRAME_HEAD, FrameHead};
use crate::util::crc32c::crc32c;
use crate::util::local_offset::{local_offset, local_size};

/// The most bytes of a larger commit that are written with one call (whole pages), so that the disk can begin with the
/// first piece.
const PIECE: usize = 256 << 10;

impl<E: Event> JournalTarget<E> {
    /// Returns the size of the commit that is being built, in bytes; 0 if it has no batch.
    pub(crate) fn staged_bytes(&self) -> usize {
        self.staged.bytes.len()
    }

    /// Adds a batch to the commit that is being built.
    pub(super) fn stage_batch(&mut self, events: Vec<E>, batch: Encoded, time_ms: u64) {
        let Encoded { labels, records, starts, .. } = batch;
        let base = self.put_in_frame(records, time_ms);
        let Some((frame, head)) = &mut self.staged.frame else { return };
        let local = |offset| local_offset(offset, self.segment.first);
        if events.is_empty() {
            let types = (0..labels.len()).map(|index| labels.event(index).event_type.into());
            self.staged.foreign.extend((self.next_offset..).zip(types));
        }
        self.staged.unindexed.push((local(self.next_offset), labels));
        let mut events = events.into_iter();
        for start in starts {
            let at = base + start as usize;
            let local = local(self.next_offset);
            let distance = local_size(at - *frame);
            let record = &mut self.staged.bytes[at..at + RECORD_HEAD];
            record[8..12].copy_from_slice(&local.to_le_bytes());
            record[12..16].copy_from_slice(&distance.to_le_bytes());
            self.staged.record_heads.extend_from_slice(record);
            head.count += 1;
            self.index.positions.stage(local_size(self.end + at));
            if let Some(event) = events.next() {
                self.staged.events.push(Recorded { offset: self.next_offset, time_ms, event });
            }
            self.next_offset += 1;
        }
        self.last_time_ms = time_ms;
    }

    /// Puts a batch's records behind the staged ones: into the last frame if it has the same time, else into a new
    /// frame. Returns the position in `bytes` from which the starts of the records are counted.
    fn put_in_frame(&mut self, records: Vec<u8>, time_ms: u64) -> usize {
        if self.staged.frame.as_ref().is_some_and(|(_, head)| head.time_ms == time_ms) {
            let base = self.staged.bytes.len() - FRAME_HEAD;
            self.staged.bytes.extend_from_slice(&records[FRAME_HEAD..]);
            return base;
        }
        self.finish_frame();
        let start = self.staged.bytes.len();
        if start == 0 && records.len() > SMALL_COMMIT {
            self.staged.bytes = records;
        } else {
            self.staged.bytes.extend_from_slice(&records);
        }
        let (first, durable) = (self.next_offset, self.durable);
        let head = FrameHead { records_crc: 0, records_size: 0, count: 0, first, time_ms, durable };
        self.staged.frame = Some((start, head));
        start
    }

    /// Writes the head of the last staged frame, which gets no more records.
    pub(super) fn finish_frame(&mut self) {
        if let Some((start, mut head)) = self.staged.frame.take() {
            let records = self.staged.bytes.len() - start - FRAME_HEAD;
            head.records_size = local_size(records);
            head.records_crc = crc32c(&self.staged.record_heads);
            self.staged.record_heads.clear();
            let frame = &mut self.staged.bytes[start..];
            head.write(frame, self.segment.seed);
            self.index.add_frame(frame);
        }
    }

    /// Puts the staged events into the index.
    pub(super) fn index_staged(&mut self) {
        for (first, labels) in self.staged.unindexed.drain(..) {
            for (index, local) in (0..labels.len()).zip(first..) {
                self.index.names.add_event(local, &labels.event(index));
            }
        }
    }

    /// Writes and indexes the staged frames, and syncs them unless the durability is `Buffered`. If that fails, erases
    /// the frames from the file as far as possible.
    pub(super) fn write_staged(&mut self) -> io::Result<()> {
        let sync = self.options.durability == Durability::Sync;
        let written = self.write_pieces(sync).and_then(|()| {
            self.index_staged();
            if sync {
                self.file.sync()?;
            }
            // Without a sync, this check would cost as much as the write, so it is made once a millisecond. The effect
            // is the same as if the file had been removed up to a millisecond later.
            if !sync && self.last_time_ms == self.seen_ms {
                return Ok(());
            }
            self.seen_ms = self.last_time_ms;
            self.check_file()
        });
        if written.is_err()
            && let Err(error) = erase(&*self.file, self.end, self.end + self.staged.bytes.len())
        {
            tracing::error!(%error, "cannot erase a failed commit; it may be in the log when the store is reopened");
        }
        written
    }

    /// Writes the staged frames. A large commit that will be synced is written in pieces, and the system is told to
    /// write each of them to disk at once.
    fn write_pieces(&self, sync: bool) -> io::Result<()> {
        let bytes = &self.staged.bytes;
        if !sync || bytes.len() <= SMALL_COMMIT {
            return self.file.write_at(bytes, self.end as u64);
        }
        let (mut rest, mut position) = (&bytes[..], self.end);
        while !rest.is_empty() {
            // A piece ends where a page ends, so that no page is written twice.
            let piece = rest.split_off(..(PIECE - position % PIECE).min(rest.len()));
            let piece = piece.unwrap_or_default();
            self.file.write_at(piece, position as u64)?;
            self.file.start_sync(position as u64, piece.len() as u64)?;
            position += piece.len();
        }
        Ok(())
    }
}
