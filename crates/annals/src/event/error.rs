//! The errors of an event: a limit that it exceeds, or a payload that cannot be encoded or decoded.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::limits::{
    MAX_DATA_BYTES, MAX_METADATA, MAX_METADATA_VALUE_BYTES, MAX_NAME_BYTES, MAX_TAGS,
};

/// Why a payload could not be encoded or decoded.
///
/// ```
/// use annals::{CodecError, Event, RawEvent};
///
/// #[derive(Event, Debug)]
/// enum Booking {
///     SeatSold { seat: String },
/// }
///
/// let decode = |event_type: &str, data: &str| -> Result<_, annals::InvalidEvent> {
///     Ok(Booking::decode(&RawEvent::builder(event_type).data(data.to_owned()).build()?))
/// };
/// assert!(matches!(decode("seat-upgraded", "{}")?, Err(CodecError::UnknownType { .. })));
/// let Err(error @ CodecError::Payload(_)) = decode("seat-sold", "{}")? else { panic!("the seat is missing") };
/// assert!(error.to_string().contains("missing field `seat`"));
/// # Ok::<(), annals::InvalidEvent>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CodecError {
    /// The log contains an event of a type that this program's event type does not have.
    UnknownType {
        /// The type in the log.
        found: String,
        /// The known types, separated by commas.
        expected: String,
    },
    /// The payload cannot be encoded, or the bytes cannot be decoded to it.
    Payload(Arc<dyn std::error::Error + Send + Sync>),
    /// The codec could write the value, but nothing could read it back.
    Unreadable {
        /// The path of the field in the payload, for example `days[2].rain`; `.` is the payload itself.
        at: String,
        /// The problem with the value, and what to write instead.
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
///
/// ```
/// use annals::{AppendError, Event, EventStore, InvalidEvent};
///
/// #[derive(Event)]
/// enum Booking {
///     SeatSold { #[event(tag = "seat")] seat: String },
/// }
///
/// let store = EventStore::in_memory();
/// let sold = |seat: &str| store.append(Booking::SeatSold { seat: seat.into() });
/// let Err(AppendError::Invalid { source, .. }) = sold("12A\n") else { panic!("a tag has no line end") };
/// assert!(matches!(source, InvalidEvent::ControlCharacter { what: "tag", at: 8, .. }));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum InvalidEvent {
    /// An empty event type, tag, id or metadata name.
    EmptyName {
        /// The kind of name: `event type`, `tag`, `id` or `metadata name`.
        what: &'static str,
    },
    /// An event type, tag, id or metadata name that is too long.
    NameTooLong {
        /// The kind of name: `event type`, `tag`, `id` or `metadata name`.
        what: &'static str,
        /// The first 24 characters of the name.
        start: String,
        /// The length of the name, in bytes.
        bytes: usize,
    },
    /// A control character in an event type, tag, id or metadata name.
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
    TooManyTags {
        /// The number of tags.
        count: usize,
    },
    /// More metadata than an event may have.
    TooMuchMetadata {
        /// The number of metadata entries.
        count: usize,
    },
    /// A metadata value that is too long.
    MetadataValueTooLong {
        /// The name of the metadata entry.
        name: String,
        /// The length of the value, in bytes.
        bytes: usize,
    },
    /// A payload that is too large.
    DataTooLarge {
        /// The size of the payload, in bytes.
        bytes: usize,
    },
    /// The payload cannot be encoded, or its encoding could not be read back.
    Encode(CodecError),
    /// The payload was encoded, but the encoding cannot be decoded to the same type. Debug builds find all such
    /// events. Release builds find those with values that not every type reads back, such as integers of 128 bits.
    NotReadBack {
        /// The event's type.
        event_type: String,
        /// Why the encoding cannot be decoded.
        source: CodecError,
    },
    /// The payload was encoded, but its encoding decodes to a different event. Builds check this under the same
    /// conditions as [`NotReadBack`](Self::NotReadBack).
    ReadBackChanged {
        /// The event's type.
        event_type: String,
        /// The first difference: the path of a field, the event's type, or the payload as a whole.
        at: String,
    },
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType { found, expected } => {
                write!(f, "unknown event type {found:?}; expected {expected}")
            }
            Self::Payload(error) => write!(f, "the payload does not fit: {error}"),
            Self::Unreadable { at, problem } => write!(f, "{at}: {problem}"),
        }
    }
}

impl Error for CodecError {}

impl fmt::Display for InvalidEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyName { what } => {
                write!(f, "the {what} is empty; it must have 1 to {MAX_NAME_BYTES} bytes")
            }
            Self::NameTooLong { what, start, bytes } => {
                write!(f, "the {what} {start:?}… has {bytes} bytes; the limit is {MAX_NAME_BYTES}")
            }
            Self::ControlCharacter { what, name, character, at } => write!(
                f,
                "the {what} {name:?} has the control character {character:?} at byte {at}; names are text \
                     without control characters"
            ),
            Self::TooManyTags { count } => {
                write!(f, "the event has {count} tags; the limit is {MAX_TAGS}")
            }
            Self::TooMuchMetadata { count } => {
                write!(f, "the event has {count} metadata entries; the limit is {MAX_METADATA}")
            }
            Self::MetadataValueTooLong { name, bytes } => write!(
                f,
                "the metadata value of {name:?} has {bytes} bytes; the limit is {MAX_METADATA_VALUE_BYTES}"
            ),
            Self::DataTooLarge { bytes } => write!(
                f,
                "the event's data has {bytes} bytes; the limit is {MAX_DATA_BYTES} (16 MiB)"
            ),
            Self::Encode(error) => fmt::Display::fmt(error, f),
            Self::NotReadBack { event_type, source } => write!(
                f,
                "the event of type {event_type:?} cannot be read back from its encoding: {source}; change its \
                     Rust type so that its encoding can be decoded (docs/EVOLUTION.md lists the usual causes)"
            ),
            Self::ReadBackChanged { event_type, at } => write!(
                f,
                "the event of type {event_type:?} is read back as a different event: {at} differs; change its \
                     Rust type so that its encoding decodes to the same event (docs/EVOLUTION.md lists the usual \
                     causes)"
            ),
        }
    }
}

impl Error for InvalidEvent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Encode(error) => error.source(),
            Self::NotReadBack { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<CodecError> for InvalidEvent {
    fn from(error: CodecError) -> Self {
        Self::Encode(error)
    }
}
