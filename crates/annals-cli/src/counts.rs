//! Rows of names and numbers, with a bar for each row on a terminal.
//!
//! ```text
//!         EVENTS  TYPE
//!         45,687  book-lent        ████████████████████████████████████
//!          9,137  book-returned    ███████
//! ```

use indicatif::HumanCount;
use serde_json::json;

use crate::args::Format;
use crate::console::settings::settings;
use crate::console::style::Style;
use crate::failure::Failure;
use crate::out::{Out, terminal_width};
use crate::table::text::{cut, printable, text_width};

/// The width of the numbers and the gap behind them.
const NUMBERS: usize = 14;
/// A bar has at least this width; with less room, the table has no bars.
const MIN_BAR: usize = 8;

/// A name, its number of events, and more numbers about it.
pub(crate) struct Count {
    pub(crate) name: String,
    pub(crate) events: u64,
    /// The number of tags of a group of tags.
    pub(crate) tags: Option<u64>,
}

impl Count {
    /// Returns a row.
    pub(crate) fn new(name: impl Into<String>, events: u64) -> Self {
        Self { name: name.into(), events, tags: None }
    }
}

/// Prints the rows. `kind` is what the names are: the title of their column, and their field in JSON.
pub(crate) fn show(kind: &str, rows: &[Count], format: Option<Format>) -> Result<(), Failure> {
    let mut out = Out::new(format);
    if out.format() == Format::Table {
        show_table(kind, rows, terminal_width(), &mut out)?;
    } else {
        for Count { name, events, tags } in rows {
            let tags = tags.map(|tags| ("tags", json!(tags)));
            out.object([(kind, json!(name)), ("count", json!(events))].into_iter().chain(tags))?;
        }
    }
    out.flush()
}

fn show_table(
    kind: &str,
    rows: &[Count],
    terminal: Option<usize>,
    out: &mut Out,
) -> Result<(), Failure> {
    let is_colored = settings().colors_results;
    let title = format!("{:>12}  {}", "EVENTS", kind.to_uppercase());
    out.text(format_args!("{}", Style::Heading.paint(&title, is_colored)))?;
    let longest = rows.iter().map(|row| text_width(&shown(row))).max().unwrap_or(0);
    let most = rows.iter().map(|row| row.events).max().unwrap_or(0);
    for row in rows {
        let name = shown(row);
        let count = HumanCount(row.events).to_string();
        let Some(terminal) = terminal else {
            out.text(format_args!("{count:>12}  {name}"))?;
            continue;
        };
        let room = terminal.saturating_sub(NUMBERS);
        let width = longest.min((room * 2 / 3).max(1));
        let name = cut(&name, width);
        let bar = bar(row.events, most, room.saturating_sub(width + 2));
        let gap = if bar.is_empty() { 0 } else { width + 2 - text_width(&name) };
        let bar = Style::Bar.paint(&bar, is_colored);
        out.text(format_args!("{count:>12}  {name}{:gap$}{bar}", ""))?;
    }
    Ok(())
}

fn shown(row: &Count) -> String {
    let name = if row.name.is_empty() { "(no colon)".to_owned() } else { printable(&row.name) };
    match row.tags {
        Some(1) => format!("{name} (1 tag)"),
        Some(tags) => format!("{name} ({} tags)", HumanCount(tags)),
        None => name,
    }
}

/// Returns a bar for this part of the greatest count, which fills `width`.
fn bar(count: u64, most: u64, width: usize) -> String {
    if count == 0 || width < MIN_BAR {
        return String::new();
    }
    let eighths = u128::from(count) * (width as u128 * 8) / u128::from(most.max(1));
    let (whole, rest) = (eighths / 8, eighths % 8);
    let mut bar = "█".repeat(usize::try_from(whole).unwrap_or(width));
    let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let rest = usize::try_from(rest).unwrap_or(0);
    // A row with any event has a bar that can be seen.
    bar.push_str(parts[if whole == 0 { rest.max(1) } else { rest }]);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_count_fills_the_width() {
        assert_eq!(bar(10, 10, 8), "████████");
        assert_eq!(bar(5, 10, 9), "████▌");
        assert_eq!(bar(1, 1_000_000, 10), "▏");
        assert_eq!(bar(0, 10, 10), "");
        assert_eq!(bar(5, 10, 7), "");
        assert_eq!(bar(u64::MAX, u64::MAX, 10).chars().count(), 10);
    }
}
