//! Checks the values of arguments. Each error states which values are valid.

#[cfg(feature = "serve")]
use std::time::Duration;

use annals::{InvalidQuery, MAX_BATCH_EVENTS, Query, RawEvent};
#[cfg(feature = "channels")]
use annals_channels::{Hash, InvalidField};

use crate::csv::template::Template;

/// Parses an offset or a number of events.
pub(super) fn whole_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// Parses a number of seconds.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "expected a number of seconds from 0.01 to 3600".to_owned())
}

/// Parses the size of a payload, in bytes.
pub(super) fn payload_bytes(text: &str) -> Result<usize, String> {
    let bytes = text.parse().ok().filter(|bytes| *bytes <= 1 << 20);
    bytes.ok_or_else(|| "expected a whole number of bytes from 0 to 1048576".to_owned())
}

/// Parses the size of a segment: a number of bytes, or a number with its unit.
#[cfg(feature = "serve")]
pub(super) fn segment_bytes(text: &str) -> Result<u64, String> {
    let size = size(text).filter(|bytes| (4 << 10..=2 << 30).contains(bytes));
    size.ok_or_else(|| "expected a size from 4KiB to 2GiB, such as 16MiB or 1048576".to_owned())
}

/// Parses the time after which a connection ends whose client takes nothing. The system takes no longer one.
#[cfg(feature = "serve")]
pub(super) fn unread_time(text: &str) -> Result<Duration, String> {
    let is_possible = |time: &Duration| (1..=24 * 86_400_000).contains(&time.as_millis());
    let time = humantime::parse_duration(text).ok().filter(is_possible);
    time.ok_or_else(|| "expected a time from 1ms to 24days, such as 30s or 5min".to_owned())
}

/// Parses the memory for requests: a number of bytes, or a number with its unit.
#[cfg(feature = "serve")]
pub(super) fn request_memory(text: &str) -> Result<usize, String> {
    let size = size(text).filter(|bytes| *bytes >= 40 << 20).and_then(|size| size.try_into().ok());
    size.ok_or_else(|| "expected a size of 40MiB or more, such as 256MiB or 1GiB".to_owned())
}

/// Returns the number of bytes of a size such as `512`, `4KiB`, `64MiB` or `2GiB`.
#[cfg(feature = "serve")]
fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let with_unit = |(unit, shift)| text.strip_suffix(unit).map(|number| (number, shift));
    let (number, shift) = units.into_iter().find_map(with_unit).unwrap_or((text, 0));
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Parses a number of concurrent writers.
pub(super) fn writer_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (2..=256).contains(count));
    count.ok_or_else(|| {
        "expected whole numbers from 2 to 256; a single writer is always measured".to_owned()
    })
}

/// Parses a number of events in one batch.
pub(super) fn batch_size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| (1..=MAX_BATCH_EVENTS).contains(size));
    size.ok_or_else(|| format!("expected a whole number from 1 to {MAX_BATCH_EVENTS}"))
}

/// Checks that an event can have this tag.
pub(super) fn tag(text: &str) -> Result<String, String> {
    Query::tag(text).check().map(|()| text.to_owned()).map_err(problem)
}

/// Checks that an event can have this type.
pub(super) fn event_type(text: &str) -> Result<String, String> {
    Query::event_type(text).check().map(|()| text.to_owned()).map_err(problem)
}

/// Checks that an event can have this id. Ids follow the rules of tags.
pub(super) fn id(text: &str) -> Result<String, String> {
    tag(text).map_err(|problem| problem.replacen("tag", "id", 1))
}

/// Returns what is wrong with a name, without a query: the name may be that of an event to append.
fn problem(problem: InvalidQuery) -> String {
    match problem {
        InvalidQuery::Name { source } => source.to_string(),
        other => other.to_string(),
    }
}

/// Checks that a text to look for is not empty, since every event contains the empty text.
pub(super) fn text(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("expected a text to look for".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// Parses a name and a text for an event's metadata.
pub(super) fn metadata(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=TEXT, as in user=anna")?;
    let event = RawEvent::builder("a").metadata(name, value).build();
    event.map(|_| (name.to_owned(), value.to_owned())).map_err(|problem| problem.to_string())
}

/// Checks that a template for tags or ids is not empty and closes its braces.
pub(super) fn template(text: &str) -> Result<String, String> {
    match Template::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(problem) => Err(problem),
    }
}

/// Parses the character between the cells of a CSV file.
pub(super) fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        _ => Err(
            "expected one ASCII character other than a quote or a line end, such as ';', or tab"
                .to_owned(),
        ),
    }
}

#[cfg(feature = "channels")]
/// Parses the id of a channel, with or without the prefix that it has in tags.
pub(super) fn channel_id(text: &str) -> Result<Hash, String> {
    let expected = |problem: InvalidField| {
        format!("{problem}; expected a channel's id: 0x and 64 hex digits (32 bytes)")
    };
    text.strip_prefix("channel:").unwrap_or(text).parse().map_err(expected)
}
