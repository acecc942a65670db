//! The state that the callers and the thread of the connection share.

use std::sync::atomic::{AtomicBool, Ordering};

use annals_replicated::News;
use tokio::sync::Notify;

use crate::connection::EngineClock;

/// The state that the callers and the thread share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) news: News,
    pub(crate) clock: EngineClock,
    /// Tells the thread that an append landed.
    pub(crate) landed: Notify,
    /// Whether the stream did not exist when it was last looked for.
    is_missing: AtomicBool,
}

impl Shared {
    /// Notes whether the stream exists.
    pub(crate) fn note_stream(&self, exists: bool) {
        // Relaxed: the flag guards no other data. It decides only how an append is answered that was not stored.
        self.is_missing.store(!exists, Ordering::Relaxed);
    }

    /// Returns whether the stream did not exist when it was last looked for.
    pub(crate) fn is_missing(&self) -> bool {
        // Relaxed: as in `note_stream`.
        self.is_missing.load(Ordering::Relaxed)
    }
}
