//! The copied tail: the frames that readers must not get from the mapping yet.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use annals_base::segmented_list;
use bytes::Bytes;

use super::state::Follow;
use crate::backend::follower::FollowStop;
use crate::event::event::Event;
use crate::journal::fs::StoreFile;
use crate::journal::map::map_all;
use crate::journal::segment::file::{Piece, SEGMENT_HEAD, SegmentFile};
use crate::journal::segment::file_names::log_name;
use crate::journal::segment::segment::{Segment, SegmentIndex};

impl<E: Event> Follow<E> {
    /// Copies the `size` bytes of frames that were just taken: the durable ones as one piece, the others as another.
    pub(super) fn copy(&mut self, size: usize, frames: &[(usize, Range<u64>)]) {
        let durable = self.durable;
        let split = frames.iter().position(|(_, offsets)| offsets.end > durable);
        let (durable, others) = frames.split_at(split.unwrap_or(frames.len()));
        let middle = others.first().map_or(size, |(start, _)| *start);
        let start = self.end - size;
        for (frames, bytes) in [(durable, 0..middle), (others, middle..size)] {
            if let (Some((_, first)), Some((_, last))) = (frames.first(), frames.last()) {
                self.pieces.push(Piece {
                    start: start + bytes.start,
                    offsets: first.start..last.end,
                    bytes: Bytes::copy_from_slice(&self.buffer[bytes]),
                });
            }
        }
    }

    /// Drops the pieces that are durable, once the mapping shows their bytes, and gives readers the other pieces.
    pub(super) fn settle(&mut self) -> Result<(), FollowStop> {
        let durable =
            self.pieces.iter().take_while(|piece| piece.offsets.end <= self.durable).count();
        for number in 0..durable {
            if !shows(&self.segment.bytes, &self.pieces[number]) {
                // The file grew since it was mapped, or another file has its name now.
                self.map_again()?;
            }
            if !shows(&self.segment.bytes, &self.pieces[number]) {
                return Err(self.changed());
            }
        }
        if durable > 0 {
            self.pieces.drain(..durable);
            self.listed = 0;
            self.tail = segmented_list().0;
        }
        for piece in &self.pieces[self.listed..] {
            self.tail.push(piece.clone());
        }
        let is_new_tail = durable > 0 || self.listed == 0;
        self.listed = self.pieces.len();
        if is_new_tail {
            self.show_segment();
        }
        Ok(())
    }

    /// Opens and maps the file that has the segment's name now. It must have all the bytes that were read.
    pub(super) fn map_again(&mut self) -> Result<(), FollowStop> {
        let directory = &self.log.directory;
        let file = directory.handle.open_read_only(&log_name(self.segment.first))?;
        let bytes = map_all(&*file)?;
        let (position, anchor) = &self.anchor;
        let same = if self.next_offset == self.segment.first {
            // The writer may have created the segment again, with another time in its head.
            let head = SegmentFile { bytes: bytes.clone(), ..self.segment.file.clone() };
            head.check_head(&directory.store_id).is_ok()
        } else if file.id()? == self.file.id()? {
            true
        } else {
            let seen = self.pieces.first().map_or(self.end, |piece| piece.start);
            bytes.get(..seen) == self.segment.bytes.get(..seen)
                && file_shows(&*file, *position, anchor)?
        };
        if !same {
            return Err(self.replaced("its files were replaced by others"));
        }
        if self.next_offset == self.segment.first {
            self.anchor = (0, bytes.slice(..SEGMENT_HEAD).to_vec());
        }
        let file_now = SegmentFile { bytes, ..self.segment.file.clone() };
        let index = SegmentIndex::Mem(self.index.reader());
        self.segment = Arc::new(Segment::new(file_now, index));
        self.file = file;
        Ok(())
    }

    /// Gives readers the segment with its present mapping and tail.
    pub(super) fn show_segment(&mut self) {
        let tail = Some(self.tail.list().clone());
        let file = SegmentFile { tail, ..self.segment.file.clone() };
        let index = SegmentIndex::Mem(self.index.reader());
        self.segment = Arc::new(Segment::new(file, index));
        self.log.active.store(Arc::clone(&self.segment));
    }
}

/// Returns whether the mapped bytes contain a piece at its position.
fn shows(mapped: &Bytes, piece: &Piece) -> bool {
    mapped.get(piece.start..piece.start + piece.bytes.len()) == Some(&*piece.bytes)
}

/// Returns whether a file has these bytes at a position.
pub(super) fn file_shows(file: &dyn StoreFile, position: usize, bytes: &[u8]) -> io::Result<bool> {
    let mut found = vec![0; bytes.len()];
    let size = file.read_at(&mut found, position as u64)?;
    Ok(found[..size] == *bytes)
}
