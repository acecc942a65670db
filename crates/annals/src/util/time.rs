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

/// Returns a time, in ms since 1970 UTC, as RFC 3339 writes it, to the second: `2026-11-22T20:36:19Z`. Times after
/// the year 9999 become its end.
pub(crate) fn rfc3339(ms: u64) -> String {
    let seconds = (ms / 1_000).min(END_OF_9999);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Counted from 0000-03-01, so that a leap day is the last one of its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_is_written_as_the_crate_humantime_writes_it() {
        for day in (0..=END_OF_9999 / 86_400).step_by(13).chain(0..1_500) {
            let seconds = day * 86_400 + day * 7_919 % 86_400;
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            let expected = humantime::format_rfc3339_seconds(time).to_string();
            assert_eq!(rfc3339(seconds * 1_000 + 999), expected);
        }
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59Z");
    }

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
