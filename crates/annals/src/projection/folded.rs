//! A state on its way through the log.

/// A state, and how it came about.
#[derive(Clone)]
pub(super) struct Folded<S> {
    pub(super) state: S,
    /// Everything below it is in the state.
    pub(super) head: u64,
    /// The offset of the last event in the state.
    pub(super) last: Option<u64>,
    /// Events folded since it was time for a snapshot.
    pub(super) since: u64,
    pub(super) passed_over: u64,
}
