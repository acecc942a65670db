//! A moment in time on the command line: a duration before now, a date, or a date with a time.
//!
//! Dates and times without an offset from UTC are in UTC, as annals prints them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annals_cli::{TimeError, parse_time};

/// A moment, in milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) ms: u64,
}

/// What would be right.
const EXPECTED: &str = "expected a time before now such as 90s, 15m, 1h, 2days or 3weeks; a date such as 2026-11-01; \
                        or a time such as 2026-11-01T09:30:00Z or 2026-11-01T10:30:00+01:00";

impl Moment {
    /// Parses an argument.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_at(text, SystemTime::now())
    }

    fn parse_at(text: &str, now: SystemTime) -> Result<Self, String> {
        if text == "now" {
            return Self::of(now);
        }
        if let Ok(before) = humantime::parse_duration(text) {
            // A time before 1970 is before every event.
            return Self::of(now.checked_sub(before).unwrap_or(UNIX_EPOCH).max(UNIX_EPOCH));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("a duration needs a unit, as in {text}s or {text}h; {EXPECTED}"));
        }
        match parse_time(text) {
            Ok(ms) => Ok(Self { ms }),
            Err(TimeError::Before1970) => Ok(Self { ms: 0 }),
            Err(_) => Err(EXPECTED.to_owned()),
        }
    }

    fn of(time: SystemTime) -> Result<Self, String> {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let ms = u64::try_from(since.as_millis()).map_err(|_| EXPECTED.to_owned())?;
        Ok(Self { ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_utc_unless_they_say_otherwise() {
        const DAY: u64 = 1_793_491_200_000; // 2026-11-01
        for (text, ms) in [
            ("2026-11-01", DAY),
            ("2026-11-01T00:00:00Z", DAY),
            ("2026-11-01 00:00", DAY),
            ("2026-11-01T00:00:00.25", DAY + 250),
            ("2026-11-01T01:30:00+01:30", DAY),
            ("2026-10-31T23:00:00.001-01:00", DAY + 1),
            ("1970-01-01", 0),
            // Every event is after these.
            ("1969-12-31", 0),
            ("1960-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00+01:00", 0),
        ] {
            assert_eq!(Moment::parse(text), Ok(Moment { ms }), "{text}");
        }
    }

    #[test]
    fn a_duration_is_before_now() {
        let now = UNIX_EPOCH + Duration::from_secs(10_000);
        let parse = |text| Moment::parse_at(text, now).map(|moment| moment.ms);
        assert_eq!(parse("1h"), Ok(6_400_000));
        assert_eq!(parse("1h 30m"), Ok(4_600_000));
        assert_eq!(parse("0s"), Ok(10_000_000));
        assert_eq!(parse("now"), Ok(10_000_000));
        assert_eq!(parse("90years"), Ok(0));
    }

    #[test]
    fn anything_else_is_refused_with_what_is_right() {
        for wrong in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-02-30",
            "2026-11-01T25:00",
            "2026-11-01T00:00+1:00",
            "1969-02-29",
            "2026-11-01T00:00:00+24:00",
            "2026-11-01x",
            "01.11.2026",
            "2026-11-0é",
            "1e3",
            "-1h",
        ] {
            let problem = Moment::parse(wrong).unwrap_err();
            assert!(problem.contains("2026-11-01T09:30:00Z"), "{wrong}: {problem}");
        }
        assert!(Moment::parse("15").unwrap_err().contains("15s or 15h"));
    }
}
