//! Events as a table, for people.
//!
//! ```text
//!   OFFSET  TIME                      TYPE       TAGS               ID  DATA
//!        0  2026-01-05T09:30:00.000Z  book-lent  book:17 reader:a…      {"days":28,"desk":"north","by":"self-ser…
//! ```
//! The first rows determine the widths of the columns, so they are buffered until there are enough of them, or until
//! [`EventTable::flush`]. Long values are cut with an ellipsis; unless the output is a terminal, the data is not cut.

use std::borrow::Cow;
use std::io::{self, Write};

use annals::{RawEvent, Recorded};
use annals_cli::Data;
use unicode_width::UnicodeWidthChar as _;

use crate::human::time;

/// The number of rows that determine the widths of the columns.
const FIRST_ROWS: usize = 100;
/// The minimum width of the data's column.
const MIN_DATA_WIDTH: usize = 20;

const TITLES: [&str; COLUMNS] = ["OFFSET", "TIME", "TYPE", "TAGS", "ID"];
/// The number of columns before the data.
const COLUMNS: usize = 5;
/// Their maximum widths.
const MAX_WIDTHS: [usize; COLUMNS] = [20, 24, 32, 48, 24];

/// A table that is written row by row.
pub(crate) struct EventTable {
    terminal: Option<usize>,
    buffered: Vec<Row>,
    widths: Option<[usize; COLUMNS]>,
}

struct Row {
    columns: [String; COLUMNS],
    data: String,
}

impl EventTable {
    /// Returns a table for a terminal with this number of columns, or for another output if `None`.
    pub(crate) fn new(terminal: Option<usize>) -> Self {
        Self { terminal, buffered: Vec::new(), widths: None }
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
        self.buffered.push(row);
        if self.buffered.len() < FIRST_ROWS { Ok(()) } else { self.flush(out) }
    }

    /// Writes the buffered rows.
    pub(crate) fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.widths.is_none() && !self.buffered.is_empty() {
            let widths = self.measure();
            let titles = Row { columns: TITLES.map(str::to_owned), data: "DATA".to_owned() };
            titles.write(&widths, self.terminal, out)?;
            for row in self.buffered.drain(..) {
                row.write(&widths, self.terminal, out)?;
            }
            self.widths = Some(widths);
        }
        Ok(())
    }

    /// Returns the widths of the columns for the buffered rows, reduced if the data would have no room otherwise.
    fn measure(&self) -> [usize; COLUMNS] {
        let mut widths = TITLES.map(str::len);
        for row in &self.buffered {
            for ((width, text), max) in widths.iter_mut().zip(&row.columns).zip(MAX_WIDTHS) {
                *width = (*width).max(text_width(text)).min(max);
            }
        }
        if let Some(terminal) = self.terminal {
            // Tags, id and type are reduced, in this order, each at most to the width of its title.
            for column in [3, 4, 2] {
                let taken = widths.iter().sum::<usize>() + 2 * COLUMNS + MIN_DATA_WIDTH;
                let min = TITLES[column].len();
                widths[column] =
                    widths[column].saturating_sub(taken.saturating_sub(terminal)).max(min);
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
            Data::Bytes(bytes) => format!("({} bytes, not JSON)", bytes.len()),
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
            // Offsets are numbers, so they are aligned to the right.
            let parts =
                if column == 0 { [&*padding, &*text, "  "] } else { [&*text, &*padding, "  "] };
            line.extend(parts);
        }
        let taken = widths.iter().sum::<usize>() + 2 * COLUMNS;
        let room = terminal
            .map_or(usize::MAX, |terminal| terminal.saturating_sub(taken).max(MIN_DATA_WIDTH));
        line.push_str(&cut(&self.data, room));
        writeln!(out, "{}", line.trim_end())
    }
}

/// Returns the number of terminal columns that a text takes.
fn text_width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(1)).sum()
}

/// Returns the text, cut with an ellipsis if it is wider than `width`. Characters that control the terminal are
/// replaced.
fn cut(text: &str, width: usize) -> Cow<'_, str> {
    let (mut taken, mut fits, mut is_plain) = (0, 0, true);
    for (at, character) in text.char_indices() {
        is_plain &= !is_control(character);
        taken += character.width().unwrap_or(1);
        if taken > width {
            return Cow::Owned(printable(&text[..fits]) + "…");
        }
        if taken < width {
            fits = at + character.len_utf8();
        }
    }
    if is_plain { Cow::Borrowed(text) } else { Cow::Owned(printable(text)) }
}

fn printable(text: &str) -> String {
    text.chars()
        .map(|character| if is_control(character) { '\u{fffd}' } else { character })
        .collect()
}

/// Returns whether a character controls the terminal instead of being shown: control characters, and characters that
/// change the direction of writing.
fn is_control(character: char) -> bool {
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
        table.flush(&mut out).unwrap();
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
    fn without_a_terminal_the_data_is_whole() {
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
