//! Conversions between the system's times and the log's, which are milliseconds since 1970-01-01 UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The end of the year 9999, in seconds since 1970 UTC.
const END_OF_9999: u64 = 253_402_300_799;

/// Returns the milliseconds since 1970 of `time`, rounded down; 0 for a time before 1970.
pub(crate) fn to_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    // Not `as_millis`, which divides 128 bits.
    since.as_secs().saturating_mul(1_000).saturating_add(u64::from(since.subsec_millis()))
}

/// Returns the time that is `ms` milliseconds after the beginning of 1970. A time that the system cannot represent
/// becomes the end of the year 9999. (Linux represents all of them, Windows those before the year 30828.)
pub(crate) fn from_ms(ms: u64) -> SystemTime {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    time.unwrap_or_else(|| UNIX_EPOCH + Duration::from_secs(END_OF_9999))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_converted_both_ways() {
        for ms in [0, 1, 999, 1_700_000_000_123, 1 << 45] {
            assert_eq!(to_ms(from_ms(ms)), ms);
        }
        let exact = UNIX_EPOCH + Duration::from_micros(1_999);
        assert_eq!(to_ms(exact), 1);
        assert_eq!(to_ms(UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert!(from_ms(u64::MAX) > from_ms(1 << 45));
    }
}
