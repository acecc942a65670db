//! The time, in ms since 1970 UTC. It does not go back while the process runs.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that begins at the system's time and then follows the time that has passed, so a change of the system's time
/// does not end leases. It does not begin before the time at which the clock of the last process ended, so a system's
/// time that has gone back does not keep dead leases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    start_ms: u64,
}

impl Clock {
    /// Returns a clock that begins now, and not before `last_ms`.
    pub(crate) fn new(last_ms: u64) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_ms: ms(since).max(last_ms) }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.start_ms.saturating_add(ms(self.start.elapsed()))
    }

    /// Returns the instant at which the clock shows `time_ms`, or later. `None` if it is too far away.
    pub(crate) fn instant(&self, time_ms: u64) -> Option<Instant> {
        self.start.checked_add(Duration::from_millis(time_ms.saturating_sub(self.start_ms)))
    }
}

/// Returns a duration in ms, at most `u64::MAX`.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
