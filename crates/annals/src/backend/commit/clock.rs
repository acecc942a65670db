//! The clock that gives events their times: the system's, one that a program provides, or one that a test moves.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use annals_base::MsClock;

use crate::util::time::{from_ms, to_ms};

/// The clock that gives events their times: the system's by default. A log in memory takes another one with
/// [`Memory::clock`](crate::Memory::clock), a Journal with [`JournalOptions::clock`](crate::JournalOptions::clock).
///
/// It is read once for each commit. A clock that goes back is no problem: an event never gets a time before that of the
/// event before it.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use annals::{Clock, EventStore, Memory, RawEvent};
///
/// let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
/// let store = EventStore::<RawEvent, _>::on(Memory::new().clock(Clock::new(move || start)));
/// store.append(RawEvent::builder("seat-sold").build()?)?;
/// assert_eq!(store.get(0)?.unwrap().time(), start);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Clock(Option<Custom>);

/// A clock that a program provides.
type Custom = Arc<dyn Fn() -> SystemTime + Send + Sync>;

impl Clock {
    /// Returns a clock that calls `now` for the time. Times before 1970 count as 1970.
    #[must_use]
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(now)))
    }

    /// Returns the time in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        to_ms(self.0.as_ref().map_or_else(SystemTime::now, |now| now()))
    }

    /// Returns the time as [`now_ms`](Self::now_ms) does. Reads the system's clock by way of `system`, which is cheaper
    /// for a caller that reads it many times in a millisecond.
    #[inline]
    pub(crate) fn now_ms_by(&self, system: &mut MsClock) -> u64 {
        match &self.0 {
            None => system.now_ms(),
            Some(now) => to_ms(now()),
        }
    }
}

impl Default for Clock {
    /// Returns the system's clock.
    fn default() -> Self {
        Self(None)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

/// A clock for tests, which stands still until the test moves it. It has milliseconds. Clones are the same clock.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use annals::testing::TestClock;
/// use annals::{EventStore, Memory, RawEvent};
///
/// let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
/// let clock = TestClock::at(start);
/// let store = EventStore::<RawEvent, _>::on(Memory::encoded().clock(&clock));
/// store.append(RawEvent::builder("seat-sold").build()?)?;
/// clock.advance(Duration::from_secs(60));
/// store.append(RawEvent::builder("seat-freed").build()?)?;
/// assert_eq!(store.get(1)?.unwrap().time(), start + Duration::from_secs(60));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// Returns a clock that stands at `time`.
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        Self(Arc::new(AtomicU64::new(to_ms(time))))
    }

    /// Returns the clock's time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        // Acquire: pairs with the Release in `set` and `advance`.
        from_ms(self.0.load(Ordering::Acquire))
    }

    /// Sets the clock to `time`, which may be before its current time.
    pub fn set(&self, time: SystemTime) {
        // Release: pairs with the Acquire in `now`, so that the new time is read after what the test did before.
        self.0.store(to_ms(time), Ordering::Release);
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        // AcqRel: pairs with the Acquire in `now`, as in `set`, and with the Release of another thread's move.
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(now.saturating_add(ms)));
    }
}

impl From<&TestClock> for Clock {
    fn from(clock: &TestClock) -> Self {
        let clock = clock.clone();
        Self::new(move || clock.now())
    }
}

impl From<TestClock> for Clock {
    fn from(clock: TestClock) -> Self {
        Self::from(&clock)
    }
}
