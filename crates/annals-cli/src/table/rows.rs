//! A row for each event, under a line for each day.
//!
//! ```text
//!   OFFSET  TIME      TYPE       TAGS                DATA
//!   2026-01-05
//!        0  09:30:00  book-lent  book:17 reader:a…   {"days":28,"desk":"north","by":"self-ser…
//! ```
//! The first rows determine the widths of the columns, so they are buffered until there are enough of them, or until
//! [`EventTable::flush`]. On a terminal, a row is never longer than a line; elsewhere, and in the wide form, nothing is
//! cut.

use std::io::{self, Write};

use annals::{RawEvent, Recorded};
use annals_cli::Data;

use super::layout::{COLUMNS, DATA, GAP, ID, Layout, TITLES};
use super::text::{cut, printable, text_width};
use crate::console::style::Style;
use crate::human::time;

/// The number of rows that determine the widths of the columns.
const FIRST_ROWS: usize = 100;

/// A table that is written row by row.
pub(crate) struct EventTable {
    terminal: Option<usize>,
    /// Whether each row has its whole time, so that the table has no lines for days.
    has_whole_times: bool,
    is_colored: bool,
    buffered: Vec<Row>,
    layout: Option<Layout>,
    /// The day of the last row that was written.
    day: String,
}

struct Row {
    day: String,
    columns: [String; COLUMNS],
}

impl EventTable {
    /// Returns a table for a terminal with this number of columns, or for another output if `None`.
    pub(crate) fn new(terminal: Option<usize>, is_colored: bool) -> Self {
        Self {
            terminal,
            has_whole_times: false,
            is_colored,
            buffered: Vec::new(),
            layout: None,
            day: String::new(),
        }
    }

    /// Returns a table with whole times, in which nothing is cut.
    pub(crate) fn wide(is_colored: bool) -> Self {
        Self { has_whole_times: true, ..Self::new(None, is_colored) }
    }

    /// Adds a row.
    pub(crate) fn add(
        &mut self,
        recorded: &Recorded<RawEvent>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let row = Row::of(recorded, self.terminal, self.has_whole_times);
        let lacks_ids = |layout: &Layout| layout.lacks_ids(self.terminal);
        if !row.columns[ID].is_empty() && self.layout.as_ref().is_some_and(lacks_ids) {
            // From here on the table has ids, under new titles.
            self.layout = None;
        }
        if self.layout.is_some() {
            return self.write(&row, out);
        }
        self.buffered.push(row);
        if self.buffered.len() < FIRST_ROWS { Ok(()) } else { self.flush(out) }
    }

    /// Writes the buffered rows.
    pub(crate) fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.layout.is_none() && !self.buffered.is_empty() {
            let layout = Layout::of(self.buffered.iter().map(|row| &row.columns), self.terminal);
            self.layout = Some(layout);
            self.write_cells(&TITLES.map(str::to_owned), Some(Style::Heading), out)?;
            for row in std::mem::take(&mut self.buffered) {
                self.write(&row, out)?;
            }
        }
        Ok(())
    }

    /// Writes a row, and a line for its day before the first row of the day.
    fn write(&mut self, row: &Row, out: &mut impl Write) -> io::Result<()> {
        if row.day != self.day {
            self.day.clone_from(&row.day);
            let day = cut(&row.day, self.terminal.unwrap_or(usize::MAX));
            writeln!(out, "{}", Style::Heading.paint(&day, self.is_colored))?;
        }
        self.write_cells(&row.columns, None, out)
    }

    fn write_cells(
        &self,
        cells: &[String; COLUMNS],
        style: Option<Style>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Some(layout) = &self.layout else { return Ok(()) };
        let mut line = String::new();
        let mut left = self.terminal.unwrap_or(usize::MAX);
        // The spaces that go before the next cell with text.
        let mut spaces = 0;
        for (at, (text, width)) in cells.iter().zip(layout.widths).enumerate() {
            let Some(width) = width else { continue };
            let width = if at == DATA { left } else { width.min(left) };
            if width == 0 {
                break;
            }
            let text = if layout.cuts { cut(text, width) } else { printable(text).into() };
            let padding = if at == DATA { 0 } else { width.saturating_sub(text_width(&text)) };
            // Offsets are numbers, so they are aligned to the right.
            spaces += if at == 0 { padding } else { 0 };
            if !text.is_empty() {
                line.extend(std::iter::repeat_n(' ', std::mem::take(&mut spaces)));
                let style = style.or(STYLES[at]);
                line.push_str(
                    &style.map_or(text.clone(), |style| style.paint(&text, self.is_colored)),
                );
            }
            let gap = GAP.min(left - width);
            spaces += if at == 0 { 0 } else { padding } + gap;
            left -= width + gap;
        }
        writeln!(out, "{line}")
    }
}

/// The styles of the columns.
const STYLES: [Option<Style>; COLUMNS] = [
    Some(Style::Dim),
    Some(Style::Dim),
    Some(Style::Type),
    Some(Style::Tag),
    Some(Style::Tag),
    None,
];

impl Row {
    fn of(recorded: &Recorded<RawEvent>, terminal: Option<usize>, has_whole_times: bool) -> Self {
        let event = &recorded.event;
        let data = match Data::of(event.data_bytes()) {
            Data::Absent => String::new(),
            Data::Json(json) => cut(&json, terminal.unwrap_or(usize::MAX)).into_owned(),
            Data::Bytes(bytes) => format!("({} bytes, not JSON)", bytes.len()),
        };
        let time = time(recorded.time_ms);
        // RFC 3339: 2026-01-05T09:30:00.000Z
        let (day, time) = match time.split_once('T') {
            Some((day, rest)) if !has_whole_times => {
                (day.to_owned(), rest.chars().take(8).collect())
            }
            _ => (String::new(), time),
        };
        let columns = [
            recorded.offset.to_string(),
            time,
            event.event_type().to_owned(),
            event.tags().collect::<Vec<_>>().join(" "),
            event.id().unwrap_or_default().to_owned(),
            data,
        ];
        Self { day, columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(
        mut table: EventTable,
        events: impl Iterator<Item = Recorded<RawEvent>>,
    ) -> Vec<String> {
        let mut out = Vec::new();
        for event in events {
            table.add(&event, &mut out).unwrap();
        }
        table.flush(&mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    fn event(offset: u64) -> Recorded<RawEvent> {
        let event = RawEvent::builder("book-lent")
            .tag("book:17")
            .tag(format!("reader:{}", "日".repeat(20)))
            .data(format!("{{\"days\":{offset},\"by\":\"{}\"}}", "x\u{9b}".repeat(100)))
            .build()
            .unwrap();
        Recorded { offset, time_ms: 60_000 * offset, event }
    }

    #[test]
    fn rows_fit_any_terminal() {
        for terminal in [1, 2, 7, 20, 40, 59, 60, 80, 100, 200] {
            let rows = written(EventTable::new(Some(terminal), false), (0..120).map(event));
            assert_eq!(rows.len(), 122);
            for row in &rows {
                assert!(text_width(row) <= terminal, "{terminal}: {row}");
                assert!(!row.chars().any(char::is_control), "{row:?}");
            }
        }
    }

    #[test]
    fn at_80_columns_tags_come_before_data() {
        let rows = written(EventTable::new(Some(80), false), (0..3).map(event));
        assert_eq!(
            rows[0],
            "OFFSET  TIME      TYPE       TAGS                                   DATA"
        );
        assert_eq!(rows[1], "1970-01-01");
        assert!(
            rows[3]
                .starts_with("     1  00:01:00  book-lent  book:17 reader:日日日日日日日日日日…"),
            "{}",
            rows[3]
        );
        assert!(rows[3].ends_with("{\"days\":1,\"…"), "{}", rows[3]);
        assert_eq!(text_width(&rows[3]), 80);
    }

    #[test]
    fn each_day_has_a_line() {
        let day = |offset| Recorded { time_ms: 50_000_000 * offset, ..event(offset) };
        let rows = written(EventTable::new(Some(80), false), (0..4).map(day));
        let days: Vec<&String> = rows.iter().filter(|row| row.starts_with("1970")).collect();
        assert_eq!(days, ["1970-01-01", "1970-01-02"]);
        assert!(rows[4].starts_with("1970-01-02"), "{rows:?}");
    }

    #[test]
    fn ids_have_a_column_once_there_are_some_and_room() {
        let with_id = |offset| {
            let event = RawEvent::builder("a").id(format!("id-{offset}")).build().unwrap();
            Recorded { offset, time_ms: 0, event }
        };
        for (terminal, titles) in [(Some(80), 0), (Some(100), 1), (None, 1)] {
            let events = (0..100).map(event).chain([with_id(100)]);
            let rows = written(EventTable::new(terminal, false), events);
            assert!(!rows[0].contains(" ID "), "{}", rows[0]);
            assert_eq!(
                rows.iter().filter(|row| row.contains(" ID ")).count(),
                titles,
                "{terminal:?}"
            );
            assert_eq!(rows.last().unwrap().contains("id-100"), titles == 1, "{terminal:?}");
        }
    }

    #[test]
    fn without_a_terminal_and_in_the_wide_form_everything_is_whole() {
        for table in [EventTable::new(None, false), EventTable::wide(false)] {
            let rows = written(table, (1..2).map(event));
            let row = rows.last().unwrap();
            assert!(row.ends_with("\"}") && row.contains(&"日".repeat(20)), "{row}");
        }
        let wide = written(EventTable::wide(false), (1..2).map(event));
        assert!(wide[1].contains("1970-01-01T00:01:00.000Z"), "{}", wide[1]);
    }

    #[test]
    fn colours_do_not_change_the_widths() {
        let plain = written(EventTable::new(Some(80), false), (0..3).map(event));
        let colored = written(EventTable::new(Some(80), true), (0..3).map(event));
        for (plain, colored) in plain.iter().zip(&colored) {
            let mut stripped = String::new();
            for part in colored.split('\u{1b}') {
                stripped += part
                    .split_once('m')
                    .map_or(part, |(code, rest)| if code.starts_with('[') { rest } else { part });
            }
            assert_ne!(plain, colored);
            assert_eq!(*plain, stripped);
        }
    }
}
