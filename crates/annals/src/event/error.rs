//! Why an event is refused: the limit that it breaks, or a payload that has no encoding.

use std::sync::Arc;

use super::limits::{
    MAX_DATA_BYTES, MAX_METADATA, MAX_METADATA_VALUE_BYTES, MAX_NAME_BYTES, MAX_TAGS,
};

/// Why a payload could not be encoded or decoded.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The log holds an event of a type that this program's events do not have.
    #[error("the event type {found:?} is none of {expected}")]
    UnknownType {
        /// The type in the log.
        found: String,
        /// The types that would have been right.
        expected: String,
    },
    /// The bytes do not fit the payload, or the payload has no encoding.
    #[error("the payload does not fit: {0}")]
    Payload(Arc<dyn std::error::Error + Send + Sync>),
    /// The codec can write the value, but nothing could read it back.
    #[error("{at}: {problem}")]
    Unreadable {
        /// The path of the field in the payload, for example `days[2].rain`; `.` is the payload itself.
        at: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

impl CodecError {
    /// An error of a codec, as this enum.
    pub fn payload(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Payload(Arc::new(error))
    }
}

/// Why an event cannot be in the log: the limit it breaks, and by how much.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEvent {
    /// An empty event type, tag, id or metadata name.
    #[error("the {what} is empty; it must have 1 to {MAX_NAME_BYTES} bytes")]
    EmptyName {
        /// Which of them.
        what: &'static str,
    },
    /// An event type, tag, id or metadata name that is too long.
    #[error("the {what} {start:?}… has {bytes} bytes; the limit is {MAX_NAME_BYTES}")]
    NameTooLong {
        /// Which of them.
        what: &'static str,
        /// How it begins.
        start: String,
        /// Its length.
        bytes: usize,
    },
    /// A control character in an event type, tag, id or metadata name.
    #[error(
        "the {what} {name:?} has the control character {character:?} at byte {at}; names are text without control characters"
    )]
    ControlCharacter {
        /// Which of them.
        what: &'static str,
        /// The whole name.
        name: String,
        /// The character.
        character: char,
        /// Where it stands, in bytes.
        at: usize,
    },
    /// More tags than an event may have.
    #[error("the event has {count} tags; the limit is {MAX_TAGS}")]
    TooManyTags {
        /// How many it has.
        count: usize,
    },
    /// More metadata than an event may have.
    #[error("the event has {count} metadata entries; the limit is {MAX_METADATA}")]
    TooMuchMetadata {
        /// How many it has.
        count: usize,
    },
    /// A metadata value that is too long.
    #[error(
        "the metadata value of {name:?} has {bytes} bytes; the limit is {MAX_METADATA_VALUE_BYTES}"
    )]
    MetadataValueTooLong {
        /// The value's name.
        name: String,
        /// The value's length.
        bytes: usize,
    },
    /// A payload that is too large.
    #[error("the event's data has {bytes} bytes; the limit is {MAX_DATA_BYTES} (16 MiB)")]
    DataTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The payload has no encoding, or one that could not be read back.
    #[error(transparent)]
    Encode(#[from] CodecError),
    /// The payload was encoded, but its own type cannot be decoded from that. Debug builds find all such events; release
    /// builds find those with values that not every type reads back, such as integers of 128 bits.
    #[error(
        "the event of type {event_type:?} cannot be read back from what it encodes to: {source}; \
         change its type so that it can (docs/EVOLUTION.md names what to look for)"
    )]
    NotReadBack {
        /// The event's type.
        event_type: String,
        /// What does not fit.
        source: CodecError,
    },
    /// The payload was encoded, but another event comes back from that. Found as [`NotReadBack`](Self::NotReadBack) is.
    #[error(
        "the event of type {event_type:?} is read back as another: {at} differs; change its type so that it is the \
         same (docs/EVOLUTION.md names what to look for)"
    )]
    ReadBackChanged {
        /// The event's type.
        event_type: String,
        /// The path of the first field that differs, or what else does.
        at: String,
    },
}
