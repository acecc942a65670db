//! What the callers and the thread of the connection share.

use annals_replicated::News;
use tokio::sync::Notify;

use crate::connection::EngineClock;

/// What the callers and the thread share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) news: News,
    pub(crate) clock: EngineClock,
    /// Tells the thread that an append landed.
    pub(crate) landed: Notify,
}
