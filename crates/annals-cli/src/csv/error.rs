//! What can be wrong with a CSV file, and where.

use std::io;

/// The maximum number of bytes of a row.
pub(crate) const MAX_ROW_BYTES: usize = 64 << 20;

/// What is wrong, and where it begins.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub(crate) struct CsvError {
    /// The line, from 1.
    pub(crate) line: u64,
    /// The column in the line, in characters from 1.
    pub(crate) column: usize,
    #[source]
    pub(crate) reason: CsvReason,
}

/// What is wrong with a CSV file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CsvReason {
    #[error("the input cannot be read")]
    Read(#[source] io::Error),
    #[error("the quote that begins here is not closed")]
    OpenQuote,
    #[error("there is text after the closing quote")]
    AfterQuote,
    #[error("there is a quote inside a cell that does not begin with one")]
    InnerQuote,
    #[error("there is a carriage return without a line feed")]
    CarriageReturn,
    #[error("the row is longer than {MAX_ROW_BYTES} bytes ({} MiB)", MAX_ROW_BYTES >> 20)]
    TooLong,
    #[error("byte {byte:#04x} is not valid UTF-8")]
    NotUtf8 { byte: u8 },
    #[error("the file begins with a UTF-16 byte order mark")]
    Utf16,
    #[error("the title has a zero byte, as text in UTF-16 has")]
    ZeroInTitle,
    #[error("the row has {}, and the titles are {titles}", cells(*.count))]
    CellCount { count: usize, titles: usize },
    #[error("{message}")]
    Content { message: String, advice: Option<String> },
}

impl CsvReason {
    /// Returns a reason in words, and what would be right.
    pub(crate) fn content(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Content { message: message.into(), advice: Some(advice.into()) }
    }

    /// Returns what would be right, if the reason does not state it.
    pub(crate) fn advice(&self) -> Option<&str> {
        match self {
            Self::Read(_) => None,
            Self::OpenQuote => {
                Some("close the cell with a quote; a quote inside it is written twice")
            }
            Self::AfterQuote => Some(
                "write a quote inside a cell twice, and put a delimiter or a line end after the cell",
            ),
            Self::InnerQuote => {
                Some("put the whole cell in quotes, and write each quote inside it twice")
            }
            Self::CarriageReturn => {
                Some("end lines with a line feed, and put cells with other line ends in quotes")
            }
            Self::TooLong => {
                Some("an event has at most 16 MiB of data; look for a quote that is not closed")
            }
            Self::NotUtf8 { .. } | Self::Utf16 | Self::ZeroInTitle => {
                Some("save the file as UTF-8")
            }
            Self::CellCount { .. } => {
                Some("give every row one cell for each title, empty if there is no value")
            }
            Self::Content { advice, .. } => advice.as_deref(),
        }
    }
}

fn cells(count: usize) -> String {
    if count == 1 { "1 cell".to_owned() } else { format!("{count} cells") }
}
