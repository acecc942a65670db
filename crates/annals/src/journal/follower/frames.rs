//! Taking new frames: they are read, checked, indexed, copied and published.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::state::Follow;
use crate::backend::follower::FollowStop;
use crate::event::event::Event;
use crate::journal::published::published;
use crate::journal::segment::frame::{FRAME_HEAD, FrameHead, check_frame};

/// The number of bytes that are read at once.
const BUFFER: usize = 1 << 20;

impl<E: Event> Follow<E> {
    /// Reads the bytes behind the last frame into the buffer. Returns their number, or 0 if no frame starts there.
    fn read_ahead(&mut self) -> io::Result<usize> {
        self.buffer.resize(BUFFER, 0);
        let position = self.end as u64;
        let size = self.file.read_at(&mut self.buffer[..FRAME_HEAD], position)?;
        let Ok(head) = FrameHead::read(&self.buffer[..size], 0, self.segment.seed) else {
            return Ok(0);
        };
        // Only large frames are checked against the file's size: on some systems, asking for the size slows down the
        // writer's next sync.
        if head.size() > BUFFER && (self.end + head.size()) as u64 > self.file.size()? {
            return Ok(0);
        }
        self.buffer.resize(head.size().max(BUFFER), 0);
        self.file.read_at(&mut self.buffer, position)
    }

    /// Indexes and publishes the new whole frames that fit into the buffer. Returns false if it found none.
    pub(super) fn take_frames(&mut self) -> Result<bool, FollowStop> {
        let size = self.read_ahead()?;
        let mut at = 0;
        let mut frames = Vec::new();
        loop {
            let mut records = Vec::new();
            let (frame, seed) = (&self.buffer[at..size], self.segment.seed);
            let (position, segment_first) = (self.end, self.segment.first);
            match check_frame(frame, position, seed, segment_first, |record| records.push(record)) {
                Ok(head) if head.first == self.next_offset => {
                    for record in records {
                        self.index.add_record(&self.segment, record, &self.log.hasher)?;
                    }
                    self.index.add_frame(frame);
                    self.anchor = (position, frame[..FRAME_HEAD].to_vec());
                    self.durable = self.durable.max(head.durable);
                    frames.push((at, head.first..head.end()));
                    at += head.size();
                    (self.end, self.next_offset) = (self.end + head.size(), head.end());
                }
                _ => break,
            }
        }
        if at > 0 {
            self.copy(at, &frames);
            self.publish()?;
        }
        Ok(at > 0)
    }

    /// Publishes the events that are indexed and were not published yet.
    pub(super) fn publish(&mut self) -> Result<(), FollowStop> {
        self.settle()?;
        self.index.positions.publish();
        // Relaxed: a number for statistics, which orders nothing.
        self.log.active_bytes.store(self.end as u64, Ordering::Relaxed);
        let new = self.published..self.next_offset;
        self.published = self.next_offset;
        self.head.publish_with(new.end, || published(Arc::clone(&self.log), new));
        Ok(())
    }
}
