//! A segmented list behind a reader-writer lock: what the memory backend is measured against.

use parking_lot::RwLock;

const FIRST: usize = 1_024;

/// Segments of 1,024 items, then twice as many each, as in the other lists; every access takes the lock.
pub struct LockedList<T>(RwLock<Vec<Vec<T>>>);

impl<T: Clone> LockedList<T> {
    pub fn new() -> Self {
        Self(RwLock::new(Vec::new()))
    }

    pub fn push(&self, item: T) {
        let mut segments = self.0.write();
        if segments.last().is_none_or(|last| last.len() == last.capacity()) {
            let size = FIRST << segments.len();
            segments.push(Vec::with_capacity(size));
        }
        if let Some(last) = segments.last_mut() {
            last.push(item);
        }
    }

    pub fn with<R>(&self, index: usize, see: impl FnOnce(&T) -> R) -> R {
        let place = index + FIRST;
        let segment = (place / FIRST).ilog2() as usize;
        see(&self.0.read()[segment][place - (FIRST << segment)])
    }
}
