//! The system's clock in whole milliseconds, for a caller that reads it many times in each.
//!
//! ```text
//!   SystemTime::now           the processor's counter has counted as many steps as ns were left
//!     │◀──── the same ms ────▶│
//!   ──┼───────────────────────┼──────────┼──▶
//!     read                    read again └ the end of the millisecond, at 1 GHz or more before that
//! ```
//! The system's clock takes about 22 ns to read, the counter of an x86-64 processor 9 ns, and the time of the last tick
//! of the system 3 ns. The counter of every x86-64 processor counts at least once in a nanosecond, so while it has
//! counted fewer steps than nanoseconds were left of the millisecond, the millisecond is the same. The tick bounds the
//! error on a machine whose processors' counters differ, and shows that the clock was set. On other systems each read
//! reads the system's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The system's clock, in milliseconds since 1970-01-01 UTC. It returns what the system's clock would return.
///
/// ```
/// let mut clock = annals_base::MsClock::default();
/// let first = clock.now_ms();
/// assert!(first > 1_700_000_000_000 && clock.now_ms() >= first);
/// ```
#[derive(Debug, Default)]
pub struct MsClock {
    ms: u64,
    /// The moment at which the system's clock was read.
    read: Moment,
    /// The number of steps of the counter from then on in which the millisecond is certainly the same.
    steps: u64,
}

impl MsClock {
    /// Returns the milliseconds since 1970-01-01 UTC; 0 before that.
    #[inline]
    pub fn now_ms(&mut self) -> u64 {
        let Some(moment) = Moment::now() else { return self.read_system(Moment::default()) };
        if moment.tick == self.read.tick
            && moment.counter.wrapping_sub(self.read.counter) < self.steps
        {
            return self.ms;
        }
        self.read_system(moment)
    }

    /// Reads the system's clock. `moment` was read before.
    #[cold]
    fn read_system(&mut self, moment: Moment) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.ms =
            now.as_secs().saturating_mul(1_000).saturating_add(u64::from(now.subsec_millis()));
        self.steps = u64::from(1_000_000 - now.subsec_nanos() % 1_000_000);
        self.read = moment;
        self.ms
    }
}

/// Readings that are cheap and change when time passes.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    /// The time of the system's last tick, in seconds and nanoseconds.
    tick: (i64, i64),
    counter: u64,
}

impl Moment {
    #[cfg(all(target_os = "linux", target_arch = "x86_64", not(any(miri, loom))))]
    #[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
    #[inline]
    fn now() -> Option<Self> {
        use rustix::time::{ClockId, clock_gettime};
        let tick = clock_gettime(ClockId::RealtimeCoarse);
        // SAFETY: every x86-64 processor has the instruction, and it only reads a register.
        let counter = unsafe { std::arch::x86_64::_rdtsc() };
        Some(Self { tick: (tick.tv_sec, tick.tv_nsec), counter })
    }

    #[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(any(miri, loom)))))]
    fn now() -> Option<Self> {
        None
    }
}

#[cfg(all(test, not(any(loom, miri))))]
mod tests {
    use super::*;

    fn system_ms() -> u128 {
        SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis()
    }

    #[test]
    fn it_returns_what_the_system_clock_returns() {
        let mut clock = MsClock::default();
        for _ in 0..200_000 {
            let before = system_ms();
            let now = u128::from(clock.now_ms());
            let after = system_ms();
            assert!(before <= now && now <= after, "{before} {now} {after}");
        }
    }
}
