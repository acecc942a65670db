//! What the callers and the thread of the connections share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_replicated::Slot;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;
use uuid::Uuid;

/// What the callers and the thread share.
pub(crate) struct Shared {
    /// The last slot that is known.
    pub(crate) seen: Mutex<Slot>,
    pub(crate) grown: Condvar,
    /// Whether an append ended without a known outcome since the last read that took note of it.
    is_doubtful: AtomicBool,
    /// Whether a poll is under way.
    is_polling: AtomicBool,
    /// Tells the thread that an append landed.
    pub(crate) landed: Notify,
    pub(crate) hints: Mutex<Vec<Arc<dyn Fn() + Send + Sync>>>,
    /// Tells this connection's hints from those of others.
    id: Uuid,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            seen: Mutex::default(),
            grown: Condvar::new(),
            is_doubtful: AtomicBool::new(false),
            is_polling: AtomicBool::new(false),
            landed: Notify::new(),
            hints: Mutex::default(),
            id: Uuid::new_v4(),
        }
    }

    pub(crate) fn seen(&self) -> Slot {
        *self.seen.lock()
    }

    /// Takes note of an entry.
    pub(crate) fn saw(&self, slot: Slot) {
        let mut seen = self.seen.lock();
        *seen = slot.max(*seen);
        self.grown.notify_all();
    }

    /// Notes the last slot of the record. It is lower than the known one if the record lost its end.
    pub(crate) fn found_end(&self, last: Slot) {
        *self.seen.lock() = last;
        self.grown.notify_all();
    }

    /// Takes a notification: the number of a slot, or the hint of a writer.
    pub(crate) fn notified(&self, text: &str) {
        if let Ok(slot) = text.parse() {
            self.saw(Slot(slot));
        } else if text.starts_with(HINT) && text != self.hint_text() {
            let hints = self.hints.lock().clone();
            for hint in hints {
                hint();
            }
        }
    }

    pub(crate) fn hint_text(&self) -> String {
        format!("{HINT}{}", self.id)
    }

    /// Notes that an append ended without a known outcome. Called before the append is answered.
    pub(crate) fn note_doubt(&self) {
        // Release: pairs with the swap in `take_doubt`. A read that follows the answer sees the doubt.
        self.is_doubtful.store(true, Ordering::Release);
    }

    /// Returns whether there is a doubt that no read has taken note of.
    pub(crate) fn is_doubtful(&self) -> bool {
        // Acquire: pairs with the store in `note_doubt`.
        self.is_doubtful.load(Ordering::Acquire)
    }

    /// Returns whether there was a doubt since the last call.
    pub(crate) fn take_doubt(&self) -> bool {
        // Acquire: pairs with the store in `note_doubt`.
        self.is_doubtful.swap(false, Ordering::Acquire)
    }

    /// Returns whether a poll may begin, which it may if none is under way.
    pub(crate) fn poll_begins(&self) -> bool {
        // Relaxed: the flag guards nothing but itself. The lock of `seen` guards the result of a poll.
        !self.is_polling.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn poll_ended(&self) {
        // Relaxed: as in `poll_begins`.
        self.is_polling.store(false, Ordering::Relaxed);
    }
}

const HINT: &str = "wait ";
