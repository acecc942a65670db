//! A line for each field of an event; nothing is cut.
//!
//! ```text
//!   offset    7
//!   time      2026-01-05T09:30:00.000Z
//!   type      book-lent
//!   tags      book:17
//!             reader:anna
//!   data      {"days":28}
//! ```

use std::io::{self, Write};

use annals::{RawEvent, Recorded};
use annals_cli::Data;

use super::text::printable;
use crate::console::style::Style;
use crate::human::time;

/// Writes an event, and an empty line after it.
pub(crate) fn write(
    recorded: &Recorded<RawEvent>,
    is_colored: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let event = &recorded.event;
    let mut field = |name: &str, value: &str, style: Option<Style>| {
        let name =
            Style::Heading.paint(name, is_colored).into_owned() + &" ".repeat(10 - name.len());
        let value = printable(value);
        let value = style.map_or(value.as_str().into(), |style| style.paint(&value, is_colored));
        writeln!(out, "{name}{value}")
    };
    field("offset", &recorded.offset.to_string(), None)?;
    field("time", &time(recorded.time_ms), None)?;
    field("type", event.event_type(), Some(Style::Type))?;
    for (at, tag) in event.tags().enumerate() {
        field(if at == 0 { "tags" } else { "" }, tag, Some(Style::Tag))?;
    }
    if let Some(id) = event.id() {
        field("id", id, Some(Style::Tag))?;
    }
    for (at, (name, value)) in event.metadata().into_iter().enumerate() {
        field(if at == 0 { "metadata" } else { "" }, &format!("{name}={value}"), None)?;
    }
    match Data::of(event.data_bytes()) {
        Data::Absent => {}
        Data::Json(json) => field("data", &json, None)?,
        Data::Bytes(bytes) => field("data", &format!("({} bytes, not JSON)", bytes.len()), None)?,
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_line() {
        let event = RawEvent::builder("book-lent")
            .tag("book:17")
            .tag("reader:anna")
            .id("i")
            .metadata("user", "eve");
        let event = event.data("{\"days\":28}").build().unwrap();
        let mut out = Vec::new();
        write(&Recorded { offset: 7, time_ms: 0, event }, false, &mut out).unwrap();
        let expected = "offset    7\ntime      1970-01-01T00:00:00.000Z\ntype      book-lent\ntags      book:17\n          \
                        reader:anna\nid        i\nmetadata  user=eve\ndata      {\"days\":28}\n\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
