//! Events in columns, for people.
//!
//! ```text
//!   OFFSET  TIME                      TYPE       TAGS               ID  DATA
//!        0  2026-01-05T09:30:00.000Z  book-lent  book:17 reader:a…      {"days":28,"desk":"north","by":"self-ser…
//! ```
//! The first rows decide how wide the columns are, so those are held back until there are enough, or until
//! [`EventTable::settle`]. What is too long is cut with an ellipsis; on what is no terminal the data is not.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use annals::{RawEvent, Recorded};
use annals_cli::Data;
use unicode_width::UnicodeWidthChar as _;

/// Rows that decide how wide the columns are.
const FIRST_ROWS: usize = 100;
/// The narrowest that the data's column gets.
const LEAST_DATA: usize = 20;

const TITLES: [&str; COLUMNS] = ["OFFSET", "TIME", "TYPE", "TAGS", "ID"];
/// Columns in front of the data.
const COLUMNS: usize = 5;
/// The widest that each of them gets.
const WIDEST: [usize; COLUMNS] = [20, 24, 32, 48, 24];

/// A table that is written as it grows.
pub(crate) struct EventTable {
    terminal: Option<usize>,
    held: Vec<Row>,
    widths: Option<[usize; COLUMNS]>,
}

struct Row {
    columns: [String; COLUMNS],
    data: String,
}

impl EventTable {
    /// A table for a terminal of so many columns, or for something else.
    pub(crate) fn new(terminal: Option<usize>) -> Self {
        Self { terminal, held: Vec::new(), widths: None }
    }

    /// Adds a row.
    pub(crate) fn add(
        &mut self,
        recorded: &Recorded<RawEvent>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let row = Row::of(recorded, self.terminal);
        if let Some(widths) = &self.widths {
            return row.write(widths, self.terminal, out);
        }
        self.held.push(row);
        if self.held.len() < FIRST_ROWS { Ok(()) } else { self.settle(out) }
    }

    /// Writes the rows that are held back.
    pub(crate) fn settle(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.widths.is_none() && !self.held.is_empty() {
            let widths = self.measure();
            let titles = Row { columns: TITLES.map(str::to_owned), data: "DATA".to_owned() };
            titles.write(&widths, self.terminal, out)?;
            for row in self.held.drain(..) {
                row.write(&widths, self.terminal, out)?;
            }
            self.widths = Some(widths);
        }
        Ok(())
    }

    /// How wide the columns must be for the rows held back; narrower if the data would have no room.
    fn measure(&self) -> [usize; COLUMNS] {
        let mut widths = TITLES.map(str::len);
        for row in &self.held {
            for ((width, text), widest) in widths.iter_mut().zip(&row.columns).zip(WIDEST) {
                *width = (*width).max(text_width(text)).min(widest);
            }
        }
        if let Some(terminal) = self.terminal {
            // Tags, id and type give way, in this order, each as far as its title.
            for column in [3, 4, 2] {
                let taken = widths.iter().sum::<usize>() + 2 * COLUMNS + LEAST_DATA;
                let least = TITLES[column].len();
                widths[column] =
                    widths[column].saturating_sub(taken.saturating_sub(terminal)).max(least);
            }
        }
        widths
    }
}

impl Row {
    fn of(recorded: &Recorded<RawEvent>, terminal: Option<usize>) -> Self {
        let event = &recorded.event;
        let data = match Data::of(event.data_bytes()) {
            Data::Absent => String::new(),
            Data::Json(json) => cut(&json, terminal.unwrap_or(usize::MAX)).into_owned(),
            Data::Bytes(bytes) => format!("({} bytes, no JSON)", bytes.len()),
        };
        Self {
            columns: [
                recorded.offset.to_string(),
                time(recorded.time_ms),
                event.event_type().to_owned(),
                event.tags().collect::<Vec<_>>().join(" "),
                event.id().unwrap_or_default().to_owned(),
            ],
            data,
        }
    }

    fn write(
        &self,
        widths: &[usize; COLUMNS],
        terminal: Option<usize>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let mut line = String::new();
        for (column, (text, &width)) in self.columns.iter().zip(widths).enumerate() {
            let text = cut(text, width);
            let padding = " ".repeat(width.saturating_sub(text_width(&text)));
            // Offsets stand to the right, as numbers do.
            let parts =
                if column == 0 { [&*padding, &*text, "  "] } else { [&*text, &*padding, "  "] };
            line.extend(parts);
        }
        let taken = widths.iter().sum::<usize>() + 2 * COLUMNS;
        let room =
            terminal.map_or(usize::MAX, |terminal| terminal.saturating_sub(taken).max(LEAST_DATA));
        line.push_str(&cut(&self.data, room));
        writeln!(out, "{}", line.trim_end())
    }
}

/// A time of a log, to the millisecond.
pub(crate) fn time(time_ms: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(time_ms));
    let mut text = String::new();
    let told = time.map(|time| {
        std::fmt::Write::write_fmt(
            &mut text,
            format_args!("{}", humantime::format_rfc3339_millis(time)),
        )
    });
    // RFC 3339 ends with the year 9999.
    if let Some(Ok(())) = told { text } else { format!("{time_ms} ms") }
}

/// How many columns of a terminal a text takes.
fn text_width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(1)).sum()
}

/// The text, or as much of it as fits before an ellipsis, with nothing in it that moves a terminal's cursor.
fn cut(text: &str, width: usize) -> Cow<'_, str> {
    let (mut taken, mut fits, mut plain) = (0, 0, true);
    for (at, character) in text.char_indices() {
        plain &= !moves(character);
        taken += character.width().unwrap_or(1);
        if taken > width {
            return Cow::Owned(shown(&text[..fits]) + "…");
        }
        if taken < width {
            fits = at + character.len_utf8();
        }
    }
    if plain { Cow::Borrowed(text) } else { Cow::Owned(shown(text)) }
}

fn shown(text: &str) -> String {
    text.chars().map(|character| if moves(character) { '\u{fffd}' } else { character }).collect()
}

/// Whether a terminal does something else with a character than to show it: control characters, and those that turn
/// the direction of writing.
fn moves(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(terminal: Option<usize>) -> Vec<String> {
        let mut table = EventTable::new(terminal);
        let mut out = Vec::new();
        for offset in 0..120 {
            let event = RawEvent::builder("book-lent")
                .tag("book:17")
                .tag(format!("reader:{}", "日".repeat(20)))
                .data(format!("{{\"days\":{offset},\"by\":\"{}\"}}", "x\u{9b}".repeat(100)))
                .build()
                .unwrap();
            table.add(&Recorded { offset, time_ms: 0, event }, &mut out).unwrap();
        }
        table.settle(&mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn rows_fit_a_terminal() {
        for terminal in [100, 120, 200] {
            let rows = rows(Some(terminal));
            assert_eq!(rows.len(), 121);
            for row in &rows {
                assert!(text_width(row) <= terminal, "{terminal}: {row}");
                assert!(!row.chars().any(char::is_control), "{row:?}");
            }
            assert!(rows[0].starts_with("OFFSET  TIME"), "{}", rows[0]);
            assert!(rows[120].starts_with("   119  1970-01-01T00:00:00.000Z  book-lent  book:17"));
        }
    }

    #[test]
    fn elsewhere_the_data_is_whole() {
        assert!(rows(None)[1].ends_with("\"}"));
    }

    #[test]
    fn cutting_leaves_room_for_the_ellipsis() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "…");
    }
}
