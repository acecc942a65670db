//! The widths of the columns of a table of events.
//!
//! What matters most gets its room first: offset and time, then the type, then tags, then data. The id has a column
//! only if an event has an id and the terminal is wide enough.

use super::text::text_width;

/// The number of columns between two columns.
pub(super) const GAP: usize = 2;
/// The least and the most width that tags leave to the data. Between them, it is a fifth of the room behind the times.
const DATA_WIDTHS: [usize; 2] = [8, 16];
/// The smallest terminal with a column for ids.
const MIN_WIDTH_WITH_IDS: usize = 100;

pub(super) const TITLES: [&str; COLUMNS] = ["OFFSET", "TIME", "TYPE", "TAGS", "ID", "DATA"];
/// The number of columns. A layout leaves some out.
pub(super) const COLUMNS: usize = 6;
const TYPE: usize = 2;
const TAGS: usize = 3;
pub(super) const ID: usize = 4;
pub(super) const DATA: usize = 5;
/// The maximum widths of all columns but the data. Without a terminal, longer values are not cut.
const MAX_WIDTHS: [usize; COLUMNS] = [20, 24, 32, 48, 24, usize::MAX];

/// The widths of columns; `None` for a column that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) widths: [Option<usize>; COLUMNS],
    /// Whether longer values are cut to the width of their column.
    pub(super) cuts: bool,
}

impl Layout {
    /// Returns the layout for these rows, in a terminal with this number of columns, or elsewhere if `None`.
    pub(super) fn of<'r>(
        rows: impl Iterator<Item = &'r [String; COLUMNS]>,
        terminal: Option<usize>,
    ) -> Self {
        let mut natural = TITLES.map(str::len);
        let mut has_ids = false;
        for row in rows {
            for (width, text) in natural.iter_mut().zip(row) {
                *width = (*width).max(text_width(text));
            }
            has_ids |= !row[ID].is_empty();
        }
        let mut widths = [0; COLUMNS];
        for (at, width) in widths.iter_mut().enumerate() {
            *width = natural[at].min(MAX_WIDTHS[at]);
        }
        let with_ids = has_ids && terminal.is_none_or(|terminal| terminal >= MIN_WIDTH_WITH_IDS);
        if let Some(terminal) = terminal {
            let room = terminal.saturating_sub(widths[0] + widths[1] + 2 * GAP);
            widths[TYPE] = widths[TYPE].min((room * 3 / 10).max(12));
            let id = if with_ids { widths[ID] + GAP } else { 0 };
            let [least, most] = DATA_WIDTHS;
            let data = natural[DATA].min((room / 5).clamp(least, most));
            let room = room.saturating_sub(widths[TYPE] + GAP + id + GAP + data);
            widths[TAGS] = widths[TAGS].min(room.max(TITLES[TAGS].len()));
        }
        let mut widths = widths.map(Some);
        if !with_ids {
            widths[ID] = None;
        }
        Self { widths, cuts: terminal.is_some() }
    }

    /// Returns whether the layout has no column for ids, although this terminal has room for one.
    pub(super) fn lacks_ids(&self, terminal: Option<usize>) -> bool {
        self.widths[ID].is_none() && terminal.is_none_or(|terminal| terminal >= MIN_WIDTH_WITH_IDS)
    }
}
