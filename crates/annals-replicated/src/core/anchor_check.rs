//! A check that the record still has a commit.

use super::settings::LEAST_ABSENT_READS;
use crate::chain::chain::Position;

/// A check that the record still has the last valid commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnchorCheck {
    pub(super) position: Position,
    /// Whether the read is under way.
    pub(super) reading: bool,
    pub(super) absence: Absence,
    /// The steady time at which to read again, in ms.
    pub(super) again_ms: u64,
}

impl AnchorCheck {
    /// Returns a check that was not begun.
    pub(super) fn new(position: Position) -> Self {
        Self { position, reading: false, absence: Absence::default(), again_ms: 0 }
    }
}

/// Since when reads show less of the record than this replica has. A read may be stale, so only time and many reads
/// tell that something is lost. Time alone does not, since this process may have been paused between two reads.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Absence {
    /// The steady time of the first of these reads, in ms.
    since_ms: Option<u64>,
    reads: u32,
}

impl Absence {
    /// Returns the number of reads that were noted.
    pub(super) fn reads(&self) -> u32 {
        self.reads
    }

    /// Notes a read that showed too little. Returns whether something is lost.
    pub(super) fn note(&mut self, now_ms: u64, limit_ms: u64) -> bool {
        let since = *self.since_ms.get_or_insert(now_ms);
        self.reads += 1;
        now_ms.saturating_sub(since) >= limit_ms && self.reads >= LEAST_ABSENT_READS
    }
}
