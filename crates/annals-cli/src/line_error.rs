//! What can be wrong with a line, where in it, and what would be right.

use annals::InvalidEvent;

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct LineError {
    /// Where in the line, in characters from 1: where the fault begins, or where it was noticed.
    pub column: usize,
    /// What is wrong there.
    #[source]
    pub reason: LineReason,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineReason {
    /// The line is not text.
    #[error("the byte {byte:#04x} is not UTF-8; lines are UTF-8 text")]
    NotUtf8 {
        /// The first byte that does not fit.
        byte: u8,
    },
    /// The line begins with U+FEFF, as files of some editors do.
    #[error("the line begins with a byte order mark; save the file as UTF-8 without one")]
    ByteOrderMark,
    /// The line is UTF-16, as its first bytes say.
    #[error("the line begins with a UTF-16 byte order mark; save the file as UTF-8")]
    Utf16,
    /// The line is no JSON.
    #[error(
        "this is no JSON: {message}; a line is one object such as {}",
        r#"{"type":"seat-sold","tags":["seat:12A"],"data":{"price":90}}"#
    )]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// The line is JSON, but no event.
    #[error("{message}")]
    Shape {
        /// What is there and what would be right.
        message: String,
    },
    /// An escape of half a character, which no text can hold.
    #[error(
        "the escape {escape} is half a character; write both halves (as in \\ud83d\\ude00) or the character itself"
    )]
    LoneSurrogate {
        /// The escape as it stands there.
        escape: String,
    },
    /// The field `data_base64` is no base64.
    #[error(
        "the data is no base64: {message}; it is written with A-Z a-z 0-9 + / and padded with ="
    )]
    Base64 {
        /// What the decoder says.
        message: String,
    },
    /// The event breaks a limit of the log.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
}

/// The column, in characters from 1, of the byte `at` of a line.
pub(crate) fn column(line: &[u8], at: usize) -> usize {
    let before = &line[..at.min(line.len())];
    1 + before.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}
