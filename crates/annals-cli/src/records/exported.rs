//! Rows of CSV that `annals export` wrote.

use std::collections::HashSet;

use annals::{InvalidEvent, RawEvent};
use annals_cli::{TimeError, parse_time, time_of_number};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;

use crate::csv::cell;
use crate::csv::error::{CsvError, CsvReason};
use crate::csv::reader::{Place, Row};
use crate::csv::titles::field_of;

/// What a column is.
enum Column {
    Time,
    Type,
    Tags,
    Id,
    Metadata,
    Data,
    DataBase64,
    /// A field of the data; its name as JSON.
    Field(String),
}

const KNOWN: &str =
    "time, type, tags, id, metadata, data, data_base64, and /NAME for the field NAME of the data";

/// Returns the error for a title that no column of an export has.
fn unknown(title: &str, place: Place) -> CsvError {
    if title.contains('\0') {
        return place.error(CsvReason::ZeroInTitle);
    }
    let mut advice = format!(
        "the titles are {KNOWN}\nfor a file of another program, give its events a type with --type"
    );
    if title.contains([';', '\t', '|']) {
        advice += "\nif cells are separated by another character, give it with --delimiter";
    }
    place.error(CsvReason::content(format!("unknown title {title:?}"), advice))
}

/// The columns of a file.
pub(crate) struct Exported {
    columns: Vec<Column>,
}

impl Exported {
    /// Returns the columns with these titles.
    pub(crate) fn of(titles: Row<'_>) -> Result<Self, CsvError> {
        let mut seen = HashSet::new();
        let mut columns = Vec::new();
        for (at, title) in titles.iter().enumerate() {
            let error = |message: String, advice: &str| {
                titles.place(at).error(CsvReason::content(message, advice))
            };
            if !seen.insert(title) {
                return Err(error(
                    format!("the title {title:?} is given twice"),
                    "give each title once",
                ));
            }
            columns.push(match title {
                "time" => Column::Time,
                "type" => Column::Type,
                "tags" => Column::Tags,
                "id" => Column::Id,
                "metadata" => Column::Metadata,
                "data" => Column::Data,
                "data_base64" => Column::DataBase64,
                _ => {
                    let unknown = || unknown(title, titles.place(at));
                    let name = field_of(title).ok_or_else(unknown)?;
                    Column::Field(serde_json::Value::from(name).to_string())
                }
            });
        }
        if !columns.iter().any(|column| matches!(column, Column::Type)) {
            let reason = CsvReason::content(
                "there is no title \"type\"",
                format!("the titles are {KNOWN}\nif all events have one type, give it with --type"),
            );
            return Err(titles.place(0).error(reason));
        }
        Ok(Self { columns })
    }

    /// Returns the number of columns.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Returns the event of a row, and its time if it has one.
    pub(crate) fn event(&self, row: Row<'_>) -> Result<(RawEvent, Option<u64>), CsvError> {
        let mut time_ms = None;
        let mut builder = RawEvent::builder(self.cell_of(row, &Column::Type));
        let (mut data, mut whole) = (String::new(), None);
        for (at, (column, cell)) in self.columns.iter().zip(row.iter()).enumerate() {
            let place = row.place(at);
            if cell.is_empty() {
                continue;
            }
            match column {
                Column::Type => {}
                Column::Time => time_ms = Some(parse_time_cell(cell, place)?),
                Column::Tags => {
                    for tag in tags(cell, place)? {
                        builder = builder.tag(tag);
                    }
                }
                Column::Id => builder = builder.id(cell),
                Column::Metadata => {
                    for (name, value) in metadata(cell, place)? {
                        builder = builder.metadata(name, value);
                    }
                }
                Column::Data => {
                    check_json(cell, place)?;
                    set_data(&mut whole, cell.as_bytes().to_vec(), place)?;
                }
                Column::DataBase64 => {
                    let bytes = STANDARD.decode(cell).map_err(|problem| {
                        let advice = "use the characters A-Z a-z 0-9 + / and pad with =";
                        place.error(CsvReason::content(
                            format!("not valid base64: {problem}"),
                            advice,
                        ))
                    })?;
                    set_data(&mut whole, bytes, place)?;
                }
                Column::Field(name) => {
                    let value = cell::to_json(cell).map_err(|problem| not_json(&problem, place))?;
                    data.push(if data.is_empty() { '{' } else { ',' });
                    data.push_str(name);
                    data.push(':');
                    data.push_str(&value);
                }
            }
        }
        if !data.is_empty() {
            data.push('}');
            set_data(&mut whole, data.into_bytes(), row.place(0))?;
        }
        if let Some(data) = whole {
            builder = builder.data(data);
        }
        let invalid = |problem: InvalidEvent| row.place(self.at(&problem)).error(invalid(&problem));
        builder.build().map(|event| (event, time_ms)).map_err(invalid)
    }

    fn cell_of<'r>(&self, row: Row<'r>, column: &Column) -> &'r str {
        self.position(column).map_or("", |at| row.cell(at))
    }

    fn position(&self, column: &Column) -> Option<usize> {
        let wanted = std::mem::discriminant(column);
        self.columns.iter().position(|column| std::mem::discriminant(column) == wanted)
    }

    /// Returns the column that an event's limit is about.
    fn at(&self, problem: &InvalidEvent) -> usize {
        let column = match problem {
            InvalidEvent::EmptyName { what }
            | InvalidEvent::NameTooLong { what, .. }
            | InvalidEvent::ControlCharacter { what, .. } => match *what {
                "tag" => Column::Tags,
                "id" => Column::Id,
                "metadata name" => Column::Metadata,
                _ => Column::Type,
            },
            InvalidEvent::TooManyTags { .. } => Column::Tags,
            InvalidEvent::TooMuchMetadata { .. } | InvalidEvent::MetadataValueTooLong { .. } => {
                Column::Metadata
            }
            _ => Column::Data,
        };
        self.position(&column).unwrap_or(0)
    }
}

/// Returns the reason for an event that breaks a limit.
pub(super) fn invalid(problem: &InvalidEvent) -> CsvReason {
    CsvReason::Content { message: problem.to_string(), advice: None }
}

const BEFORE_1970: &str = "import without the times, and put the earlier ones into the data: a log counts time from 1970 on";

/// Parses a time: RFC 3339, a date, or a number of milliseconds if it is after the year 9999.
pub(super) fn parse_time_cell(cell: &str, place: Place) -> Result<u64, CsvError> {
    let is_number = cell.bytes().all(|byte| byte.is_ascii_digit());
    let time = if is_number {
        cell.parse().ok().and_then(time_of_number).ok_or(TimeError::Malformed)
    } else {
        parse_time(cell)
    };
    time.map_err(|problem| {
        let advice = match problem {
            TimeError::Before1970 => BEFORE_1970,
            _ => {
                "expected a time of RFC 3339, such as 2026-11-01T09:30:00Z, or a date, such as 2026-11-01"
            }
        };
        place.error(CsvReason::content(format!("{cell:?} is {problem}"), advice))
    })
}

/// Sets the data, unless there is other data already.
fn set_data(whole: &mut Option<Vec<u8>>, data: Vec<u8>, place: Place) -> Result<(), CsvError> {
    if whole.replace(data).is_some() {
        let advice = "fill either the column data, or data_base64, or the columns of fields";
        return Err(place.error(CsvReason::content("the event has data in several forms", advice)));
    }
    Ok(())
}

fn tags(cell: &str, place: Place) -> Result<Vec<String>, CsvError> {
    if cell.starts_with('[') {
        return serde_json::from_str(cell).map_err(|problem| {
            let advice = "expected tags separated by spaces, or a JSON array of strings";
            place.error(CsvReason::content(format!("not a list of tags: {problem}"), advice))
        });
    }
    Ok(cell.split(' ').filter(|tag| !tag.is_empty()).map(str::to_owned).collect())
}

fn metadata(cell: &str, place: Place) -> Result<Vec<(String, String)>, CsvError> {
    let parsed = serde_json::from_str::<std::collections::BTreeMap<String, String>>(cell);
    parsed.map(|metadata| metadata.into_iter().collect()).map_err(|problem| {
        let advice = r#"expected a JSON object of strings, such as {"user":"anna"}"#;
        place.error(CsvReason::content(format!("not metadata: {problem}"), advice))
    })
}

fn check_json(cell: &str, place: Place) -> Result<(), CsvError> {
    match serde_json::from_str::<IgnoredAny>(cell) {
        Ok(_) => Ok(()),
        Err(problem) => Err(not_json(&problem.to_string(), place)),
    }
}

fn not_json(problem: &str, place: Place) -> CsvError {
    let advice =
        "a cell that begins with {, [ or a quote is JSON; write such text as a JSON string";
    place.error(CsvReason::content(format!("not valid JSON: {problem}"), advice))
}
