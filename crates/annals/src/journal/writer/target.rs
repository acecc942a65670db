//! The Journal as the target of the commit path.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::state::{JournalTarget, Staged};
use crate::backend::commit::target::CommitTarget;
use crate::backend::encode::Encoded;
use crate::backend::head::callbacks::Published;
use crate::error::ReadError;
use crate::event::event::Event;
use crate::event::name::Name;
use crate::journal::options::Durability;
use crate::journal::published::published;
use crate::query::Condition;

/// The most bytes of the staging buffer that are kept for the next commit.
const BUFFER_KEPT: usize = 1 << 20;

impl<E: Event> CommitTarget<E> for JournalTarget<E> {
    fn next_offset(&self) -> u64 {
        self.next_offset
    }

    fn last_time_ms(&self) -> u64 {
        self.last_time_ms
    }

    fn reserve(&mut self, size: usize, _labels: usize) -> io::Result<()> {
        if self.staged.bytes.is_empty() && self.is_complete() {
            self.roll()?;
        }
        self.make_ready(self.staged.bytes.len() + size)
    }

    fn conflict(&mut self, condition: &Condition) -> Result<Option<u64>, ReadError> {
        self.index_staged();
        self.log.conflict(condition, self.next_offset)
    }

    fn find_id(&mut self, id: Name<'_>) -> Result<Option<u64>, ReadError> {
        self.index_staged();
        self.log.find_id(id)
    }

    fn event_type(&self, offset: u64) -> Result<Cow<'_, str>, ReadError> {
        let Staged { events, foreign, .. } = &self.staged;
        let committed = self.next_offset - (events.len() + foreign.len()) as u64;
        if offset < committed {
            return Ok(self.log.get_raw(offset)?.0.event_type().to_owned().into());
        }
        if let Ok(at) = foreign.binary_search_by_key(&offset, |(offset, _)| *offset) {
            return Ok((&*foreign[at].1).into());
        }
        let at = events.binary_search_by_key(&offset, |event| event.offset);
        let at = at.expect("an id is found only where an event is");
        Ok(events[at].event.event_type().into())
    }

    fn stage(&mut self, events: Vec<E>, batch: Encoded, time_ms: u64) {
        self.stage_batch(events, batch, time_ms);
    }

    fn commit(&mut self) -> io::Result<Published<E>> {
        self.finish_frame();
        self.write_staged()?;
        if self.options.durability == Durability::Sync {
            self.durable = self.next_offset;
        }
        self.end += self.staged.bytes.len();
        self.last_commit = self.staged.bytes.len();
        self.staged.bytes.clear();
        self.staged.bytes.shrink_to(BUFFER_KEPT);
        self.index.positions.publish();
        // Relaxed: a number for statistics, which orders nothing.
        self.log.active_bytes.store(self.end as u64, Ordering::Relaxed);
        self.make_ready_ahead();
        let events = std::mem::take(&mut self.staged.events);
        if self.staged.foreign.is_empty() {
            return Ok(Published::events(events));
        }
        let count = (events.len() + self.staged.foreign.len()) as u64;
        self.staged.foreign.clear();
        Ok(published(Arc::clone(&self.log), self.next_offset - count..self.next_offset))
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.durable < self.next_offset {
            self.file.sync()?;
            self.durable = self.next_offset;
        }
        self.check_file()
    }

    /// Cuts the active file to its frames and writes the head to `closed.json`.
    fn close(&mut self) -> io::Result<()> {
        self.ready = self.ahead.take_or_wait().unwrap_or(self.ready);
        // Cutting only gives back unused room, so a failure is logged. Some systems cannot cut a file that is mapped.
        if let Err(error) = self.file.set_size(self.end as u64).and_then(|()| self.file.sync()) {
            let segment = self.segment.path.display();
            tracing::warn!(%error, %segment, "cannot cut a segment's file to its size; it keeps unused room");
        }
        self.directory().set_closed_head(self.next_offset)
    }

    /// Releases the lock, so that another process can write to the store. Nothing is written after that.
    fn release(&mut self) {
        self.ahead.take_or_wait();
        self.lock = None;
    }
}
