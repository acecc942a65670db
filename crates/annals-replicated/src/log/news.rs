//! The news that the callers of an engine and its connection share: the last slot that is known, and hints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use crate::chain::slot::Slot;

/// The messages between writers beside the record: new slots, and hints. For authors of engines.
///
/// An engine has a channel for short texts that reaches the other writers, and may lose them. It sends
/// [`slot_text`](Self::slot_text) after an append and [`hint_text`](Self::hint_text) for a hint, and hands over
/// [`heard`](Self::heard) what arrives. [`wait`](Self::wait) is its [`CommitLog::wait`](crate::CommitLog::wait).
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// use annals_replicated::{News, Slot};
///
/// let (here, there) = (News::default(), News::default());
/// there.heard("7");
/// assert_eq!(there.seen(), Slot(7));
///
/// let hinted = Arc::new(AtomicBool::new(false));
/// let flag = Arc::clone(&hinted);
/// there.on_hint(Box::new(move || flag.store(true, Ordering::Relaxed)));
/// there.heard(&here.hint_text());
/// assert!(hinted.load(Ordering::Relaxed));
/// ```
pub struct News {
    /// The last slot that is known.
    seen: Mutex<Slot>,
    grown: Condvar,
    /// Whether a poll is under way.
    is_polling: AtomicBool,
    hints: Mutex<Vec<Arc<dyn Fn() + Send + Sync>>>,
    /// Tells this connection's hints from those of others.
    id: Uuid,
}

impl Default for News {
    /// Returns the news of a new connection, which knows no slot.
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            grown: Condvar::new(),
            is_polling: AtomicBool::new(false),
            hints: Mutex::default(),
            id: Uuid::new_v4(),
        }
    }
}

impl std::fmt::Debug for News {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("News").field("seen", &self.seen().0).finish_non_exhaustive()
    }
}

impl News {
    /// Returns the last slot that is known.
    #[must_use]
    pub fn seen(&self) -> Slot {
        *self.seen.lock()
    }

    /// Takes note of an entry.
    pub fn saw(&self, slot: Slot) {
        let mut seen = self.seen.lock();
        *seen = slot.max(*seen);
        self.grown.notify_all();
    }

    /// Notes the last slot of the record. It is lower than the known one if the record lost its end.
    pub fn found_end(&self, last: Slot) {
        *self.seen.lock() = last;
        self.grown.notify_all();
    }

    /// Takes a text that another writer has sent: a slot or a hint. Texts of another kind are left out.
    pub fn heard(&self, text: &str) {
        if let Ok(slot) = text.parse() {
            self.saw(Slot(slot));
        } else if text.starts_with(HINT) && text != self.hint_text() {
            let hints = self.hints.lock().clone();
            for hint in hints {
                hint();
            }
        }
    }

    /// Returns the text to send after an append.
    #[must_use]
    pub fn slot_text(&self) -> String {
        self.seen().to_string()
    }

    /// Returns the text to send as a hint.
    #[must_use]
    pub fn hint_text(&self) -> String {
        format!("{HINT}{}", self.id)
    }

    /// Adds a function that is called when another writer sends a hint.
    pub fn on_hint(&self, see: Box<dyn Fn() + Send + Sync>) {
        self.hints.lock().push(see.into());
    }

    /// Blocks until a slot behind `after` is known, or until `until`. Calls `poll` after each time `every`, in case
    /// that a text was lost, but not before the last poll has [ended](Self::poll_ended).
    pub fn wait(&self, after: Slot, until: Instant, every: Duration, poll: impl Fn()) {
        let mut seen = self.seen.lock();
        while *seen <= after && Instant::now() < until {
            let step = until.min(Instant::now() + every);
            let waited = self.grown.wait_until(&mut seen, step);
            // Relaxed: the flag guards nothing but itself. The lock of `seen` guards the result of a poll.
            let may_poll = || !self.is_polling.swap(true, Ordering::Relaxed);
            if waited.timed_out() && step < until && may_poll() {
                poll();
            }
        }
    }

    /// Notes that a poll has ended.
    pub fn poll_ended(&self) {
        // Relaxed: as in `wait`.
        self.is_polling.store(false, Ordering::Relaxed);
    }
}

const HINT: &str = "wait ";
