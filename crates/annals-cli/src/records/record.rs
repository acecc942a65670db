//! A record of an import, and the reader of either format.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use annals::RawEvent;
use annals_cli::parse_exported;

use super::exported::Exported;
use super::foreign::Foreign;
use crate::args::import::CsvOptions;
use crate::csv::error::{CsvError, CsvReason};
use crate::csv::reader::CsvReader;
use crate::failure::Failure;
use crate::stdin_lines::{Lines, Step};

/// An event of the input.
pub(crate) struct Record {
    /// The line at which it begins.
    pub(crate) line: u64,
    pub(crate) event: RawEvent,
    pub(crate) time_ms: Option<u64>,
    /// The number of bytes of its text.
    pub(crate) size: usize,
}

/// The records of an input.
pub(crate) enum Records {
    Lines(Lines),
    Csv { reader: CsvReader<BufReader<File>>, columns: Columns },
}

/// What the columns of a CSV file are.
pub(crate) enum Columns {
    Exported(Exported),
    Foreign(Foreign),
    /// The file is empty.
    None,
}

impl Records {
    /// Returns the records of a file. Reads the titles of a CSV file.
    pub(crate) fn of(file: File, options: &CsvOptions) -> Result<Self, Failure> {
        if !options.csv {
            return Ok(Self::Lines(Lines::of(file).map_err(Failure::Input)?));
        }
        let mut input = BufReader::with_capacity(128 << 10, file);
        // No title of an exported file begins like this.
        if options.event_type.is_none()
            && input.fill_buf().map_err(Failure::Input)?.trim_ascii_start().starts_with(b"{")
        {
            let reason = CsvReason::content(
                "the input begins with {, as lines of JSON do",
                "omit --csv; or give --type, if the input is CSV of another program",
            );
            return Err(CsvError { line: 1, column: 1, reason }.into());
        }
        let mut reader = CsvReader::new(input, options.delimiter);
        let columns = match reader.next()? {
            None => Columns::None,
            Some(titles) if options.event_type.is_some() => {
                Columns::Foreign(Foreign::of(titles, options)?)
            }
            Some(titles) => Columns::Exported(Exported::of(titles)?),
        };
        Ok(Self::Csv { reader, columns })
    }

    /// Returns the number of bytes that were read.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.bytes(),
            Self::Csv { reader, .. } => reader.bytes(),
        }
    }

    /// Returns the next record; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, Failure> {
        let (reader, columns) = match self {
            Self::Lines(lines) => return next_line(lines),
            Self::Csv { reader, columns } => (reader, columns),
        };
        let Some(row) = reader.next()? else { return Ok(None) };
        let titles = match columns {
            Columns::Exported(columns) => columns.len(),
            Columns::Foreign(columns) => columns.len(),
            Columns::None => 0,
        };
        if row.len() != titles {
            return Err(row
                .place(0)
                .error(CsvReason::CellCount { count: row.len(), titles })
                .into());
        }
        let (event, time_ms) = match columns {
            Columns::Exported(columns) => columns.event(row)?,
            Columns::Foreign(columns) => columns.event(row)?,
            Columns::None => return Ok(None),
        };
        Ok(Some(Record { line: row.place(0).line, event, time_ms, size: row.size() }))
    }
}

fn next_line(lines: &mut Lines) -> Result<Option<Record>, Failure> {
    while lines.next(true)? == Step::Line {
        let (bytes, line) = (lines.line(), lines.number());
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let size = bytes.len();
        let (event, time_ms) =
            parse_exported(bytes).map_err(|problem| Failure::of_line(line, bytes, problem))?;
        return Ok(Some(Record { line, event, time_ms, size }));
    }
    Ok(None)
}

impl From<CsvError> for Failure {
    fn from(problem: CsvError) -> Self {
        Self::Csv(problem)
    }
}
