//! The positions of all cursors of a log. They show the lag of a cursor even if it does not move.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_base::Mutex;

/// The positions of a log's cursors. Adding and removing a cursor takes constant time.
#[derive(Default)]
pub(super) struct Cursors(Mutex<Positions>);

#[derive(Default)]
struct Positions {
    next: u64,
    by_number: HashMap<u64, Arc<AtomicU64>>,
}

impl Cursors {
    /// Adds a cursor at `offset`. Returns its number and its position.
    pub(super) fn enter(&self, offset: u64) -> (u64, Arc<AtomicU64>) {
        let position = Arc::new(AtomicU64::new(offset));
        let mut positions = self.0.lock();
        let number = positions.next;
        positions.next += 1;
        positions.by_number.insert(number, Arc::clone(&position));
        (number, position)
    }

    /// Removes the cursor with this number.
    pub(super) fn leave(&self, number: u64) {
        self.0.lock().by_number.remove(&number);
    }

    /// Returns the lowest position of all cursors, if there are any.
    pub(super) fn last(&self) -> Option<u64> {
        // Relaxed: statistics, which order nothing.
        self.0.lock().by_number.values().map(|position| position.load(Ordering::Relaxed)).min()
    }
}
