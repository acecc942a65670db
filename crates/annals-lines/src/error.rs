//! The errors of a line, each with its column.

use annals::InvalidEvent;

/// The reason why a line is not an event, and its column.
#[derive(Debug, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct LineError {
    /// The column at which the error begins or was detected, in characters from 1.
    pub column: usize,
    /// The error at this column.
    #[source]
    pub reason: LineReason,
}

/// The reason why a line is not an event.
///
/// Its text states the error; [`LineReason::advice`] states what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineReason {
    /// The line is not UTF-8.
    #[error("byte {byte:#04x} is not valid UTF-8")]
    NotUtf8 {
        /// The first byte that is not valid.
        byte: u8,
    },
    /// The line begins with U+FEFF, which some editors write at the start of a file.
    #[error("the line begins with a byte order mark")]
    ByteOrderMark,
    /// The line begins with a UTF-16 byte order mark.
    #[error("the line begins with a UTF-16 byte order mark")]
    Utf16,
    /// The line is not JSON.
    #[error("not valid JSON: {message}")]
    Syntax {
        /// The parser's message.
        message: String,
    },
    /// The line is JSON, but not an event.
    #[error("{message}")]
    Shape {
        /// A description of the error.
        message: String,
        /// The correct form, if the message does not state it.
        advice: Option<String>,
    },
    /// The line contains an unpaired surrogate escape, which stands for half a character. Text cannot hold it.
    #[error("the escape {escape} is half a character (an unpaired surrogate)")]
    LoneSurrogate {
        /// The escape as the line contains it.
        escape: String,
    },
    /// The field `data_base64` is not base64.
    #[error("\"data_base64\" is not valid base64: {message}")]
    Base64 {
        /// The decoder's message.
        message: String,
    },
    /// The event breaks a limit of the log.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
}

impl LineReason {
    /// Returns what would be right, in one sentence, if the error's own text does not state it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::NotUtf8 { .. } => Some("lines must be UTF-8 text"),
            Self::ByteOrderMark => Some("save the file as UTF-8 without a byte order mark"),
            Self::Utf16 => Some("save the file as UTF-8"),
            Self::Syntax { .. } => Some(
                r#"each line must be one JSON object, such as {"type":"seat-sold","tags":["seat:12A"],"data":{"price":90}}"#,
            ),
            Self::Shape { advice, .. } => advice.as_deref(),
            Self::LoneSurrogate { .. } => {
                Some("write both halves, as in \\ud83d\\ude00, or the character itself")
            }
            Self::Base64 { .. } => Some("use the characters A-Z a-z 0-9 + / and pad with ="),
            Self::Invalid(_) => None,
        }
    }
}

/// Returns the column, in characters from 1, of the byte at index `at` of a line.
pub(crate) fn column(line: &[u8], at: usize) -> usize {
    let before = &line[..at.min(line.len())];
    1 + before.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}
