//! Rows of CSV of other programs: every row is an event of one type, and every column a field of its data.

use std::collections::HashSet;

use annals::RawEvent;

use super::exported::{invalid, parse_time_cell};
use crate::args::import::CsvOptions;
use crate::csv::cell::is_number;
use crate::csv::error::{CsvError, CsvReason};
use crate::csv::reader::{Place, Row};
use crate::csv::template::Template;

/// The most titles that an error lists.
const MOST_TITLES: usize = 30;

/// What the options say about the columns.
pub(crate) struct Foreign {
    event_type: String,
    titles: Vec<String>,
    /// The titles as JSON.
    names: Vec<String>,
    are_numbers: Vec<bool>,
    tags: Vec<Template>,
    id: Option<Template>,
    /// The index of the column with times.
    time: Option<usize>,
}

impl Foreign {
    /// Checks the options against the titles.
    pub(crate) fn of(row: Row<'_>, options: &CsvOptions) -> Result<Self, CsvError> {
        let titles: Vec<String> = row.iter().map(str::to_owned).collect();
        let mut seen = HashSet::new();
        for (at, title) in titles.iter().enumerate() {
            let error = |message: String, advice: &str| {
                row.place(at).error(CsvReason::content(message, advice))
            };
            if title.contains('\0') {
                return Err(row.place(at).error(CsvReason::ZeroInTitle));
            }
            if title.is_empty() {
                return Err(error(
                    "a column has no title".to_owned(),
                    "give each column a title in the first row",
                ));
            }
            if !seen.insert(title) {
                return Err(error(
                    format!("the title {title:?} is given twice"),
                    "give each title once",
                ));
            }
        }
        let position = |option: &str, title: &str| {
            titles.iter().position(|known| known == title).ok_or_else(|| {
                let listed = titles[..titles.len().min(MOST_TITLES)].join(", ");
                let mut advice = match titles.len() - titles.len().min(MOST_TITLES) {
                    0 => format!("the titles are {listed}"),
                    more => format!("the titles are {listed}, and {more} more"),
                };
                if titles.len() == 1 && titles[0].contains([';', '\t', '|']) {
                    advice +=
                        "; if cells are separated by another character, give it with --delimiter";
                }
                let message =
                    format!("{option} names a column {title:?}, which the file does not have");
                row.place(0).error(CsvReason::content(message, advice))
            })
        };
        let mut are_numbers = vec![false; titles.len()];
        for title in &options.numbers {
            are_numbers[position("--number", title)?] = true;
        }
        let template = |option: &str, text: &String| {
            // The text was checked with the other arguments.
            let template = Template::parse(text)
                .map_err(|problem| row.place(0).error(CsvReason::content(problem, "")))?;
            template.columns().try_for_each(|title| position(option, title).map(drop))?;
            Ok(template)
        };
        Ok(Self {
            event_type: options.event_type.clone().unwrap_or_default(),
            names: titles
                .iter()
                .map(|title| serde_json::Value::from(title.as_str()).to_string())
                .collect(),
            are_numbers,
            tags: options
                .tags
                .iter()
                .map(|tag| template("--tag", tag))
                .collect::<Result<_, _>>()?,
            id: options.id.as_ref().map(|id| template("--id", id)).transpose()?,
            time: options.time.as_ref().map(|title| position("--time", title)).transpose()?,
            titles,
        })
    }

    /// Returns the number of columns.
    pub(crate) fn len(&self) -> usize {
        self.titles.len()
    }

    /// Returns the event of a row, and its time if a column has times.
    pub(crate) fn event(&self, row: Row<'_>) -> Result<(RawEvent, Option<u64>), CsvError> {
        let mut builder = RawEvent::builder(&*self.event_type);
        for tag in self.tags.iter().filter_map(|tag| tag.fill(&self.titles, row)) {
            builder = builder.tag(tag);
        }
        if let Some(id) = self.id.as_ref().and_then(|id| id.fill(&self.titles, row)) {
            builder = builder.id(id);
        }
        let mut data = "{".to_owned();
        for (at, (name, cell)) in self.names.iter().zip(row.iter()).enumerate() {
            if cell.is_empty() {
                continue;
            }
            if data.len() > 1 {
                data.push(',');
            }
            data.push_str(name);
            data.push(':');
            if !self.are_numbers[at] {
                data.push_str(&serde_json::Value::from(cell).to_string());
            } else if is_number(cell) {
                data.push_str(cell);
            } else {
                let message = format!("{cell:?} is not a number");
                let advice = "write numbers as in JSON, such as 1250.5; or leave --number out for this column";
                return Err(row.place(at).error(CsvReason::content(message, advice)));
            }
        }
        data.push('}');
        let time = self.time.map(|at| time(row.cell(at), row.place(at))).transpose()?;
        let event = builder.data(data).build();
        event.map(|event| (event, time)).map_err(|problem| row.place(0).error(invalid(&problem)))
    }
}

/// Parses a time: RFC 3339, or a date. A bare number may be of seconds or of milliseconds, so it is refused.
fn time(cell: &str, place: Place) -> Result<u64, CsvError> {
    if !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("{cell:?} is a number, and its unit is not known");
        let advice = "write times as in RFC 3339, such as 2026-11-01T09:30:00Z, or as dates";
        return Err(place.error(CsvReason::content(message, advice)));
    }
    parse_time_cell(cell, place)
}
