//! Where the cursors of a log are, so that also one that does not move is seen to lag.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Meters;

/// The positions of a log's cursors.
#[derive(Default)]
pub(super) struct Cursors(Mutex<Vec<Arc<AtomicU64>>>);

impl Cursors {
    /// One more cursor, at `offset`.
    pub(super) fn enter(&self, offset: u64) -> Arc<AtomicU64> {
        let position = Arc::new(AtomicU64::new(offset));
        self.0.lock().push(Arc::clone(&position));
        position
    }

    /// One less.
    pub(super) fn leave(&self, position: &Arc<AtomicU64>) {
        self.0.lock().retain(|known| !Arc::ptr_eq(known, position));
    }

    /// The position that is furthest behind, if there are any.
    pub(super) fn last(&self) -> Option<u64> {
        // Relaxed: numbers to look at, which order nothing.
        self.0.lock().iter().map(|position| position.load(Ordering::Relaxed)).min()
    }
}

/// A cursor as it is seen from outside: where it is, for as long as there is this.
pub(crate) struct CursorPosition {
    meters: Arc<Meters>,
    position: Arc<AtomicU64>,
}

impl CursorPosition {
    /// That of a cursor that begins at `offset`.
    pub(crate) fn new(meters: &Arc<Meters>, offset: u64) -> Self {
        Self { meters: Arc::clone(meters), position: meters.cursors.enter(offset) }
    }

    /// The cursor is at `offset` now.
    #[inline]
    pub(crate) fn moved(&self, offset: u64) {
        // Relaxed: a number to look at, which orders nothing.
        self.position.store(offset, Ordering::Relaxed);
    }

    /// The cursor is about to read on, with so many events in front of it.
    pub(crate) fn reads_on(&self, events: u64) {
        if events > 0 {
            self.meters.lag.record_count(events);
        }
    }
}

impl Drop for CursorPosition {
    fn drop(&mut self) {
        self.meters.cursors.leave(&self.position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stats;

    #[test]
    fn a_cursor_that_stands_still_lags_until_it_is_gone() {
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
