//! The registered position of a cursor, from which its lag is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::meters::Meters;

/// Registers the position of a cursor with the meters of its log until it is dropped.
pub(crate) struct CursorPosition {
    meters: Arc<Meters>,
    number: u64,
    position: Arc<AtomicU64>,
}

impl CursorPosition {
    /// Registers a cursor that begins at `offset`.
    pub(crate) fn new(meters: &Arc<Meters>, offset: u64) -> Self {
        let (number, position) = meters.cursors.enter(offset);
        Self { meters: Arc::clone(meters), number, position }
    }

    /// Returns the meters of the log.
    #[inline]
    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Notes that the cursor is at `offset` now.
    #[inline]
    pub(crate) fn moved(&self, offset: u64) {
        // Relaxed: a statistic, which orders nothing.
        self.position.store(offset, Ordering::Relaxed);
    }

    /// Records the lag of a cursor that is about to read: it is `events` events behind the head.
    pub(crate) fn reads_on(&self, events: u64) {
        if events > 0 {
            self.meters.lag.record_count(events);
        }
    }
}

impl Drop for CursorPosition {
    fn drop(&mut self) {
        self.meters.cursors.leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::super::stats::Stats;
    use super::*;

    #[test]
    fn a_cursor_that_does_not_move_lags_until_it_is_dropped() {
        let meters = Arc::new(Meters::new("memory", false));
        let lag = || {
            let mut stats = Stats { events: 100, ..Stats::default() };
            meters.add_to(&mut stats);
            stats.largest_subscriber_lag_events
        };
        let (still, moving) = (CursorPosition::new(&meters, 7), CursorPosition::new(&meters, 0));
        moving.moved(99);
        assert_eq!(lag(), 93);
        drop(still);
        assert_eq!(lag(), 1);
        drop(moving);
        assert_eq!(lag(), 0);
    }
}
