//! The state that the callers and the thread of the connections share.

use std::sync::atomic::{AtomicBool, Ordering};

use annals_replicated::News;
use tokio::sync::Notify;

/// The state that the callers and the thread share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) news: News,
    /// Whether an append ended without a known outcome since the last read that took note of it.
    is_doubtful: AtomicBool,
    /// Tells the thread that an append landed.
    pub(crate) landed: Notify,
}

impl Shared {
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
}
