//! Numbers and times as text for people.

use std::time::{Duration, UNIX_EPOCH};

use indicatif::HumanCount;

/// Returns a count with its noun: `1 event`, `2,000 events`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// Returns a time of a log, in milliseconds since 1970 UTC, as RFC 3339 text with milliseconds.
pub(crate) fn time(time_ms: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(time_ms));
    let mut text = String::new();
    let written = time.map(|time| {
        std::fmt::Write::write_fmt(
            &mut text,
            format_args!("{}", humantime::format_rfc3339_millis(time)),
        )
    });
    // RFC 3339 ends with the year 9999.
    if let Some(Ok(())) = written { text } else { format!("{time_ms} ms") }
}
