//! Where the cursors of a log are, so that also one that does not move is seen to lag.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Meters;

/// The positions of a log's cursors. To enter and to leave take the same time however many there are.
#[derive(Default)]
pub(super) struct Cursors(Mutex<Positions>);

#[derive(Default)]
struct Positions {
    next: u64,
    by_number: HashMap<u64, Arc<AtomicU64>>,
}

impl Cursors {
    /// Adds a cursor at `offset`; returns its number and its position.
    fn enter(&self, offset: u64) -> (u64, Arc<AtomicU64>) {
        let position = Arc::new(AtomicU64::new(offset));
        let mut positions = self.0.lock();
        let number = positions.next;
        positions.next += 1;
        positions.by_number.insert(number, Arc::clone(&position));
        (number, position)
    }

    /// Removes the cursor of this number.
    fn leave(&self, number: u64) {
        self.0.lock().by_number.remove(&number);
    }

    /// The position that is furthest behind, if there are any.
    pub(super) fn last(&self) -> Option<u64> {
        // Relaxed: numbers to look at, which order nothing.
        self.0.lock().by_number.values().map(|position| position.load(Ordering::Relaxed)).min()
    }
}

/// A cursor as it is seen from outside: where it is, for as long as there is this.
pub(crate) struct CursorPosition {
    meters: Arc<Meters>,
    number: u64,
    position: Arc<AtomicU64>,
}

impl CursorPosition {
    /// That of a cursor that begins at `offset`.
    pub(crate) fn new(meters: &Arc<Meters>, offset: u64) -> Self {
        let (number, position) = meters.cursors.enter(offset);
        Self { meters: Arc::clone(meters), number, position }
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
        self.meters.cursors.leave(self.number);
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
