//! Allocating room in the active segment's file ahead of the frames.

use std::io;

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
        if needed <= self.ready {
            return Ok(());
        }
        let small = size <= SMALL_COMMIT && self.last_commit <= SMALL_COMMIT;
        let step = if small { READY_ZEROED } else { READY_ALLOCATED };
        let segment = usize::try_from(self.options.segment_bytes).unwrap_or(usize::MAX);
        let wanted = needed.max((self.ready + step).min(segment));
        match self.allocate(wanted, small) {
            Err(error) if wanted > needed && is_full(&error) => self.allocate(needed, small),
            made => made,
        }
    }

    /// Allocates room up to the position `end`, and fills it with zeroes if it is for small commits.
    fn allocate(&mut self, end: usize, small: bool) -> io::Result<()> {
        let (start, size) = (self.ready as u64, end - self.ready);
        self.file.allocate(start, size as u64)?;
        if small {
            self.file.write_at(&vec![0; size], start)?;
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
