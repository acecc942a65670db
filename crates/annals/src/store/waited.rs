//! The result of a wait with a time limit.

/// The result of a wait for an event up to a time limit. Distinguishes a log without a new event from the
/// end. `Subscription::next_timeout` returns it, and so do the consumers and workers of `annals-consumer`.
/// [`Subscription::next_timeout`](crate::Subscription::next_timeout) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited<T> {
    /// The next event.
    Event(T),
    /// No event came in time. The next call waits again.
    TimedOut,
    /// No event will come, and the next call does not wait. The type that returned it says what ends it.
    Ended,
}

impl<T> Waited<T> {
    /// Returns the event, or `None` if none came.
    #[must_use]
    pub fn event(self) -> Option<T> {
        match self {
            Self::Event(event) => Some(event),
            Self::TimedOut | Self::Ended => None,
        }
    }
}
