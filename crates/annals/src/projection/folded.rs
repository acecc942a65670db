//! The state of a fold, and its progress through the log.

/// The state of a fold, and its progress.
#[derive(Clone)]
pub(super) struct Folded<S> {
    pub(super) state: S,
    /// Every event below it is in the state.
    pub(super) head: u64,
    /// The offset of the last event in the state.
    pub(super) last: Option<u64>,
    /// The number of events folded since a snapshot was last due.
    pub(super) since: u64,
    /// The number of events of unknown types that were skipped.
    pub(super) passed_over: u64,
}
