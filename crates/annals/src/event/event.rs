//! What an event is: the trait a user's type implements, the labels it shows, and an event in the log.
//!
//! ```text
//!   E: Event ──event_type()──▶ "state-signed"          what happened
//!            ──tags()────────▶ "channel:0xab…", …       what it is about
//!            ──id()──────────▶ "0x5f…"                  optional: makes an append idempotent
//!            ──encode()──────▶ payload bytes            what the log keeps
//! ```

use std::borrow::Cow;
use std::ops::Deref;

use super::codec::Codec;
use super::raw::RawEvent;
use super::tags::{Metadata, Tags};
use crate::event::error::CodecError;

/// Something that happened: implemented by the user's own type, usually with `#[derive(Event)]`.
///
/// The derive makes an enum of serde structs an event: a type name from each variant (kebab-case), tags from the
/// fields marked `#[event(tag = "…")]`, JSON for the payload.
///
/// ```
/// # use annals::Event;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Event, Debug, Clone, PartialEq)]
/// enum Booking {
///     SeatSold {
///         #[event(tag = "seat")]
///         seat: String,
///         price: u32,
///     },
///     SeatFreed {
///         #[event(tag = "seat")]
///         seat: String,
///     },
/// }
/// let event = Booking::SeatSold { seat: "12A".into(), price: 90 };
/// assert_eq!(event.event_type(), "seat-sold");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event",
    note = "derive it: `#[derive(annals::Event, serde::Serialize, serde::Deserialize)]` on a struct, \
            `#[derive(annals::Event)]` on an enum"
)]
pub trait Event: Sized + Send + Sync + 'static {
    /// The event's type, its name in the log: 1 to 255 bytes of UTF-8 without control characters.
    fn event_type(&self) -> &str;

    /// Adds what the event is about: up to 64 tags of 1 to 255 bytes each. No tags by default.
    fn tags(&self, tags: &mut Tags) {
        let _ = tags;
    }

    /// Returns the event's own id, 1 to 255 bytes, if it has one: it makes an append safe to repeat.
    ///
    /// An id means "this event, once". Appending an id that the log has already appends nothing and returns the offset that
    /// the log has it at, whatever the payload, the tags and the metadata are now: a retry may encode a map in another
    /// order, have another trace id, or come from a version of the program that writes one more field. Only an event of
    /// another type under the same id is an error, [`AppendError::IdConflict`](crate::AppendError::IdConflict); an older
    /// name of the same type ([`aliases`](Self::aliases)) is the same type.
    ///
    /// A batch is known as a whole: if the log has one of its ids, it must have all of its events, each with its id, next to
    /// each other in this order. A batch of which the log has a part, or that has an event without an id beside a known one,
    /// is an `IdConflict` too, since appending the rest would tear it apart; and one id twice in a batch is
    /// [`AppendError::IdTwice`](crate::AppendError::IdTwice).
    fn id(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// Adds what is to be kept beside the payload (a trace id, who asked for it): none by default.
    fn metadata(&self, metadata: &mut Metadata) {
        let _ = metadata;
    }

    /// Appends the payload's bytes to `data`: up to 16 MiB.
    ///
    /// # Errors
    /// When the payload has no encoding, for example a JSON map whose keys are no strings.
    fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Whether [`encode_as`](Self::encode_as) encodes with any codec. The derive sets it.
    #[doc(hidden)]
    const ANY_CODEC: bool = false;

    /// Encodes with the codec `C` in place of the event's own. The derive writes it.
    #[doc(hidden)]
    fn encode_as<C: Codec>(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
        self.encode(data)
    }

    /// Other names under which the log may have events whose type is now `event_type`: what they were called
    /// before they were renamed. None by default.
    ///
    /// Whoever asks the store for `event_type` gets those as well.
    #[must_use]
    fn aliases(event_type: &str) -> &'static [&'static str] {
        let _ = event_type;
        &[]
    }

    /// Returns all event types that events of this type may have in the log, with the older names of each; `None`, the
    /// default, if they may have any. The derive lists them.
    ///
    /// A query or a condition with another event type is refused, for it would find nothing.
    #[must_use]
    fn event_types() -> Option<&'static [&'static str]> {
        None
    }

    /// The event that `raw` holds.
    ///
    /// # Errors
    /// When the type is none of this event's, or the payload does not fit it.
    fn decode(raw: &RawEvent) -> Result<Self, CodecError>;

    /// The same of an event that nobody needs afterwards: what is in it may be taken rather than copied.
    ///
    /// # Errors
    /// As [`decode`](Self::decode); then it is as it was.
    fn decode_taking(raw: &mut RawEvent) -> Result<Self, CodecError> {
        Self::decode(raw)
    }
}

impl Event for RawEvent {
    fn event_type(&self) -> &str {
        Self::event_type(self)
    }

    fn tags(&self, tags: &mut Tags) {
        Self::tags(self).for_each(|tag| tags.push(tag));
    }

    fn id(&self) -> Option<Cow<'_, str>> {
        Self::id(self).map(Cow::Borrowed)
    }

    fn metadata(&self, metadata: &mut Metadata) {
        for (name, value) in Self::metadata(self) {
            metadata.set(name, value);
        }
    }

    fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
        data.extend_from_slice(self.data_bytes());
        Ok(())
    }

    fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
        Ok(raw.clone())
    }

    fn decode_taking(raw: &mut RawEvent) -> Result<Self, CodecError> {
        Ok(raw.take())
    }
}

/// An event in the log: the event, its place, and when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded<E> {
    /// Its place in the log, from 0, gapless.
    pub offset: u64,
    /// When it was recorded: milliseconds since 1970-01-01 UTC, never less than the event's before it.
    pub time_ms: u64,
    /// What happened.
    pub event: E,
}

/// An event read from the log: a reference where the backend can lend (memory), the event itself elsewhere.
///
/// In the manner of [`Cow`]; use it as a `&Recorded<E>`.
#[derive(Debug)]
pub enum EventRef<'a, E> {
    /// Lent by the backend: the event stays where it is for as long as the store lives.
    Borrowed(&'a Recorded<E>),
    /// Decoded for this reader.
    Owned(Recorded<E>),
}

impl<E> Deref for EventRef<'_, E> {
    type Target = Recorded<E>;

    fn deref(&self) -> &Recorded<E> {
        match self {
            Self::Borrowed(recorded) => recorded,
            Self::Owned(recorded) => recorded,
        }
    }
}

impl<E: Clone> EventRef<'_, E> {
    /// The recorded event itself, cloned if it was lent.
    #[must_use]
    pub fn into_owned(self) -> Recorded<E> {
        match self {
            Self::Borrowed(recorded) => recorded.clone(),
            Self::Owned(recorded) => recorded,
        }
    }
}
