//! Writes an event as a line, or as indented JSON with the same content.

use std::io::{self, Write};

use annals::{RawEvent, Recorded};
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use crate::data::Data;
use crate::json::write_indented;
use crate::time::write_time;

/// Writes an event as a line, with a line feed at its end.
///
/// The line has the fields that [`parse_line`](crate::parse_line) takes, after `"offset"` and `"time"`. The time is
/// RFC 3339 in UTC with milliseconds; after the year 9999, which RFC 3339 cannot express, it is the number of
/// milliseconds since 1970. Data that is not JSON is written in base64, as `"data_base64"`. Fields that the event does
/// not have are left out.
///
/// ```
/// use annals::{RawEvent, Recorded};
/// let event = RawEvent::builder("seat-sold").tag("seat:12A").data(r#"{"price":90}"#).build()?;
/// let mut line = Vec::new();
/// annals_lines::write_line(&Recorded { offset: 7, time_ms: 0, event }, &mut line)?;
/// let expected =
///     r#"{"offset":7,"time":"1970-01-01T00:00:00.000Z","type":"seat-sold","tags":["seat:12A"],"data":{"price":90}}"#;
/// assert_eq!(String::from_utf8(line)?, format!("{expected}\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The errors of `out`.
pub fn write_line(recorded: &Recorded<RawEvent>, out: &mut impl Write) -> io::Result<()> {
    let Recorded { offset, time_ms, event } = recorded;
    write!(out, "{{\"offset\":{offset},\"time\":")?;
    write_rest(*time_ms, event, &Data::of(event.data_bytes()), out)
}

/// Writes an event as a line that [`parse_exported`](crate::parse_exported) turns into the same event, byte for byte.
///
/// The line is that of [`write_line`] without `"offset"`. JSON with white space between its tokens is written in
/// base64, because a line of JSON does not keep it.
///
/// # Errors
/// The errors of `out`.
pub fn write_exported(recorded: &Recorded<RawEvent>, out: &mut impl Write) -> io::Result<()> {
    let payload = recorded.event.data_bytes();
    let data = match Data::of(payload) {
        Data::Json(json) if json.as_bytes() != payload => Data::Bytes(payload),
        data => data,
    };
    out.write_all(b"{\"time\":")?;
    write_rest(recorded.time_ms, &recorded.event, &data, out)
}

/// Writes the fields from the value of `"time"` on.
fn write_rest(
    time_ms: u64,
    event: &RawEvent,
    data: &Data<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    write_time(time_ms, out)?;
    out.write_all(b",\"type\":")?;
    write_text(event.event_type(), out)?;
    write_list(",\"tags\":[", event.tags(), "]", out, |tag, out| write_text(tag, out))?;
    match data {
        Data::Absent => {}
        Data::Json(json) => {
            out.write_all(b",\"data\":")?;
            out.write_all(json.as_bytes())?;
        }
        Data::Bytes(bytes) => {
            write!(out, ",\"data_base64\":\"{}\"", Base64Display::new(bytes, &STANDARD))?;
        }
    }
    if let Some(id) = event.id() {
        out.write_all(b",\"id\":")?;
        write_text(id, out)?;
    }
    let metadata = event.metadata().into_iter();
    write_list(",\"metadata\":{", metadata, "}", out, |(name, value), out| {
        write_text(name, out)?;
        out.write_all(b":")?;
        write_text(value, out)
    })?;
    out.write_all(b"}\n")
}

/// Writes the same fields as [`write_line`], indented over several lines. Values nested deeper than 32 levels stay on
/// one line.
///
/// # Errors
/// The errors of `out`.
pub fn write_pretty(recorded: &Recorded<RawEvent>, out: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    write_line(recorded, &mut line)?;
    let line = std::str::from_utf8(&line).map_err(io::Error::other)?;
    write_indented(line.trim_end(), out)?;
    out.write_all(b"\n")
}

fn write_text(text: &str, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// Writes items between `open` and `close`, separated by commas; writes nothing without items.
fn write_list<T, W: Write>(
    open: &str,
    items: impl Iterator<Item = T>,
    close: &str,
    out: &mut W,
    mut write: impl FnMut(T, &mut W) -> io::Result<()>,
) -> io::Result<()> {
    let mut any = false;
    for item in items {
        out.write_all(if any { "," } else { open }.as_bytes())?;
        any = true;
        write(item, out)?;
    }
    if any { out.write_all(close.as_bytes()) } else { Ok(()) }
}
