//! Allocating room in the active segment's file ahead of the frames.

use std::io;

use super::ahead::fill;
use super::state::{JournalTarget, SMALL_COMMIT};
use crate::event::event::Event;

/// The number of bytes that are allocated at once for small commits, and filled with zeroes.
const READY_ZEROED: usize = 256 << 10;
/// The number of bytes that are allocated at once for larger commits.
const READY_ALLOCATED: usize = 8 << 20;

impl<E: Event> JournalTarget<E> {
    /// Makes sure that `size` more bytes can be written to the segment. Where the disk has room, also allocates some
    /// for the next commits.
    pub(super) fn make_ready(&mut self, size: usize) -> io::Result<()> {
        let needed = self.end + size;
        if needed > self.ready {
            self.ready = self.ahead.take_or_wait().unwrap_or(self.ready);
        }
        if needed <= self.ready {
            return Ok(());
        }
        let small = size <= SMALL_COMMIT && self.last_commit <= SMALL_COMMIT;
        let step = if small { READY_ZEROED } else { READY_ALLOCATED };
        let wanted = needed.max((self.ready + step).min(self.segment_bytes()));
        match self.allocate(wanted, small) {
            Err(error) if wanted > needed && is_full(&error) => self.allocate(needed, small),
            made => made,
        }
    }

    /// After a small commit that leaves less than half of the room, asks the thread beside the log for more, so that
    /// the next commits need not wait for it.
    pub(super) fn make_ready_ahead(&mut self) {
        let is_enough = |end: usize, ready: usize| ready - end > READY_ZEROED / 2;
        if self.last_commit > SMALL_COMMIT
            || is_enough(self.end, self.ready)
            || !self.file.may_be_filled_beside()
        {
            return;
        }
        self.ready = self.ahead.take().unwrap_or(self.ready);
        let end = (self.ready + READY_ZEROED).min(self.segment_bytes());
        if end > self.ready && !is_enough(self.end, self.ready) {
            self.ahead.ask(&self.file, self.ready..end);
        }
    }

    fn segment_bytes(&self) -> usize {
        usize::try_from(self.options.segment_bytes).unwrap_or(usize::MAX)
    }

    /// Allocates room up to the position `end`, and fills it with zeroes if it is for small commits.
    fn allocate(&mut self, end: usize, small: bool) -> io::Result<()> {
        if small {
            fill(&*self.file, self.ready..end)?;
        } else {
            self.file.allocate(self.ready as u64, (end - self.ready) as u64)?;
        }
        self.ready = end;
        Ok(())
    }
}

/// Returns whether an error says that the disk or the quota is full.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}
