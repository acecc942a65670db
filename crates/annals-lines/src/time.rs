//! Times as text.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

/// 9999-12-31T23:59:59.999Z, the last time that RFC 3339 can express.
const LAST_RFC3339_MS: u64 = 253_402_300_799_999;

/// Returns the time as RFC 3339 text in UTC with milliseconds; `None` after the year 9999.
pub(crate) fn rfc3339(time_ms: u64) -> Option<humantime::Rfc3339Timestamp> {
    let time = UNIX_EPOCH + Duration::from_millis(time_ms.min(LAST_RFC3339_MS));
    (time_ms <= LAST_RFC3339_MS).then(|| humantime::format_rfc3339_millis(time))
}

/// Writes a time as JSON: RFC 3339 text, or a number of milliseconds since 1970.
pub(crate) fn write_time(time_ms: u64, out: &mut impl Write) -> io::Result<()> {
    match rfc3339(time_ms) {
        Some(time) => write!(out, "\"{time}\""),
        None => write!(out, "{time_ms}"),
    }
}

/// Returns the time that a bare number stands for: milliseconds since 1970 UTC, as lines have them for times after the
/// year 9999. An earlier number is `None`, since its unit is not known: it may be of seconds.
///
/// ```
/// use annals_lines::time_of_number;
/// assert_eq!(time_of_number(253_402_300_800_000), Some(253_402_300_800_000));
/// assert_eq!(time_of_number(1_793_491_200), None);
/// ```
#[must_use]
pub fn time_of_number(ms: u64) -> Option<u64> {
    (ms > LAST_RFC3339_MS).then_some(ms)
}

/// Why a text is not the time of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The text is not a date, and not a date with a time.
    #[error("not a time")]
    Malformed,
    /// The time is before 1970.
    #[error("a time before 1970, which no event can have")]
    Before1970,
}

/// Returns the milliseconds since 1970 UTC of a date or of a date with a time, as in RFC 3339. A space may stand for
/// the T; the time may have no seconds; without an offset it is UTC.
///
/// # Errors
/// [`TimeError`] if the text is not a time, or one before 1970.
///
/// ```
/// use annals_lines::{TimeError, parse_time};
/// assert_eq!(parse_time("1970-01-02"), Ok(86_400_000));
/// assert_eq!(parse_time("1970-01-01T01:00:00.250+01:00"), Ok(250));
/// assert_eq!(parse_time("1969-12-31T23:59:59Z"), Err(TimeError::Before1970));
/// assert_eq!(parse_time("yesterday"), Err(TimeError::Malformed));
/// ```
pub fn parse_time(text: &str) -> Result<u64, TimeError> {
    let ms = ms_since_1970(text).ok_or(TimeError::Malformed)?;
    u64::try_from(ms).map_err(|_| TimeError::Before1970)
}

fn ms_since_1970(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let Some(rest) = rest.strip_prefix(['T', 't', ' ']) else {
        return if rest.is_empty() { at(date, "00:00:00", 0) } else { None };
    };
    if let Some(time) = rest.strip_suffix(['Z', 'z']) {
        return at(date, time, 0);
    }
    let Some((sign, offset)) = rest.rfind(['+', '-']).map(|start| rest.split_at(start)) else {
        return at(date, rest, 0);
    };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let (hours, minutes) = (two_digits(hours, 24)?, two_digits(minutes, 60)?);
    let minutes = hours * 60 + minutes;
    at(date, sign, if offset.starts_with('+') { minutes } else { -minutes })
}

/// Returns the milliseconds of a date and a time that are this number of minutes ahead of UTC.
fn at(date: &str, time: &str, minutes: i64) -> Option<i64> {
    let seconds = if time.len() == 5 { ":00" } else { "" };
    let (date, before) = on_or_after_1970(date)?;
    let time = humantime::parse_rfc3339(&format!("{date}T{time}{seconds}Z")).ok()?;
    let ms = i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
    Some(ms - before - minutes * 60_000)
}

/// Returns the date, or the same one a number of calendar cycles later, and the milliseconds of these cycles. The parser
/// knows years from 1970 on only, and the calendar repeats itself every 400 years.
fn on_or_after_1970(date: &str) -> Option<(String, i64)> {
    const CYCLE_MS: i64 = 146_097 * 86_400_000;
    let (year, rest) = date.split_at_checked(4)?;
    if !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let year: i64 = year.parse().ok()?;
    let cycles = (1970 - year + 399).max(0) / 400;
    Some((format!("{:04}{rest}", year + 400 * cycles), cycles * CYCLE_MS))
}

fn two_digits(text: &str, end: i64) -> Option<i64> {
    let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|value| is_number && *value < end)
}
