//! The clock that gives events their times.

use std::time::{SystemTime, UNIX_EPOCH};

/// A clock that returns milliseconds since 1970-01-01 UTC.
pub(crate) struct Clock(Box<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// Creates a clock from a function that returns milliseconds since 1970-01-01 UTC.
    #[cfg(test)]
    pub(crate) fn new(now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Box::new(now_ms))
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.0)()
    }
}

impl Default for Clock {
    /// Returns the system's clock.
    fn default() -> Self {
        Self(Box::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.map_or(0, |since| {
                u64::try_from(since.as_millis()).expect("the year is below 584 million")
            })
        }))
    }
}
