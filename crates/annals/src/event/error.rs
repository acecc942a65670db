//! The errors of an event: a limit that it exceeds, or a payload that cannot be encoded or decoded.

use std::sync::Arc;

use super::limits::{
    MAX_DATA_BYTES, MAX_METADATA, MAX_METADATA_VALUE_BYTES, MAX_NAME_BYTES, MAX_TAGS,
};

/// Why a payload could not be encoded or decoded.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The log contains an event of a type that this program's event type does not have.
    #[error("unknown event type {found:?}; expected {expected}")]
    UnknownType {
        /// The type in the log.
        found: String,
        /// The known types, separated by commas.
        expected: String,
    },
    /// The payload cannot be encoded, or the bytes cannot be decoded to it.
    #[error("the payload does not fit: {0}")]
    Payload(Arc<dyn std::error::Error + Send + Sync>),
    /// The codec could write the value, but nothing could read it back.
    #[error("{at}: {problem}")]
    Unreadable {
        /// The path of the field in the payload, for example `days[2].rain`; `.` is the payload itself.
        at: String,
        /// What is wrong with the value, and what to write instead.
        problem: String,
    },
}

impl CodecError {
    /// Wraps an error of a codec in [`CodecError::Payload`].
    pub fn payload(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Payload(Arc::new(error))
    }
}

/// Why an event cannot be appended: a limit that it exceeds, or a payload that could not be read back.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEvent {
    /// An empty event type, tag, id or metadata name.
    #[error("the {what} is empty; it must have 1 to {MAX_NAME_BYTES} bytes")]
    EmptyName {
        /// The kind of name: `event type`, `tag`, `id` or `metadata name`.
        what: &'static str,
    },
    /// An event type, tag, id or metadata name that is too long.
    #[error("the {what} {start:?}… has {bytes} bytes; the limit is {MAX_NAME_BYTES}")]
    NameTooLong {
        /// The kind of name: `event type`, `tag`, `id` or `metadata name`.
        what: &'static str,
        /// The first 24 characters of the name.
        start: String,
        /// The length of the name, in bytes.
        bytes: usize,
    },
    /// A control character in an event type, tag, id or metadata name.
    #[error(
        "the {what} {name:?} has the control character {character:?} at byte {at}; names are text without control \
         characters"
    )]
    ControlCharacter {
        /// The kind of name: `event type`, `tag`, `id` or `metadata name`.
        what: &'static str,
        /// The whole name.
        name: String,
        /// The first control character in it.
        character: char,
        /// The position of that character in the name, in bytes.
        at: usize,
    },
    /// More tags than an event may have.
    #[error("the event has {count} tags; the limit is {MAX_TAGS}")]
    TooManyTags {
        /// The number of tags.
        count: usize,
    },
    /// More metadata than an event may have.
    #[error("the event has {count} metadata entries; the limit is {MAX_METADATA}")]
    TooMuchMetadata {
        /// The number of metadata entries.
        count: usize,
    },
    /// A metadata value that is too long.
    #[error(
        "the metadata value of {name:?} has {bytes} bytes; the limit is {MAX_METADATA_VALUE_BYTES}"
    )]
    MetadataValueTooLong {
        /// The name of the metadata entry.
        name: String,
        /// The length of the value, in bytes.
        bytes: usize,
    },
    /// A payload that is too large.
    #[error("the event's data has {bytes} bytes; the limit is {MAX_DATA_BYTES} (16 MiB)")]
    DataTooLarge {
        /// The size of the payload, in bytes.
        bytes: usize,
    },
    /// The payload cannot be encoded, or its encoding could not be read back.
    #[error(transparent)]
    Encode(#[from] CodecError),
    /// The payload was encoded, but the encoding cannot be decoded to the same type. Debug builds find all such
    /// events. Release builds find those with values that not every type reads back, such as integers of 128 bits.
    #[error(
        "the event of type {event_type:?} cannot be read back from its encoding: {source}; change its Rust type so \
         that its encoding can be decoded (docs/EVOLUTION.md lists the usual causes)"
    )]
    NotReadBack {
        /// The event's type.
        event_type: String,
        /// Why the encoding cannot be decoded.
        source: CodecError,
    },
    /// The payload was encoded, but its encoding decodes to a different event. Builds check this under the same
    /// conditions as [`NotReadBack`](Self::NotReadBack).
    #[error(
        "the event of type {event_type:?} is read back as a different event: {at} differs; change its Rust type so \
         that its encoding decodes to the same event (docs/EVOLUTION.md lists the usual causes)"
    )]
    ReadBackChanged {
        /// The event's type.
        event_type: String,
        /// The first difference: the path of a field, the event's type, or the payload as a whole.
        at: String,
    },
}
