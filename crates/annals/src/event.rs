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

use crate::{CodecError, RawEvent};

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
pub trait Event: Sized + Send + Sync + 'static {
    /// The event's type, its name in the log: 1 to 255 bytes of UTF-8 without control characters.
    fn event_type(&self) -> &str;

    /// Adds what the event is about: up to 64 tags of 1 to 255 bytes each. No tags by default.
    fn tags(&self, tags: &mut Tags) {
        let _ = tags;
    }

    /// The event's own id, 1 to 255 bytes, if it has one. Appending an id that the log already has answers the
    /// offset it has and appends nothing.
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

    /// The event that `raw` holds.
    ///
    /// # Errors
    /// When the type is none of this event's, or the payload does not fit it.
    fn decode(raw: &RawEvent) -> Result<Self, CodecError>;
}

/// A place to put an event's tags, in order; one given twice counts once.
#[derive(Debug, Default, Clone)]
pub struct Tags {
    text: String,
    ends: Vec<usize>,
}

impl Tags {
    /// Adds `name:value`, for example `seat:12A`.
    pub fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        use std::fmt::Write as _;
        self.text.push_str(name);
        self.text.push(':');
        // Writing into a String does not fail; a Display that gives up half-way leaves what it wrote.
        let _ = write!(self.text, "{value}");
        self.end();
    }

    /// Adds a tag as it is.
    pub fn push(&mut self, tag: &str) {
        self.text.push_str(tag);
        self.end();
    }

    /// The tags, in the order they were added.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|at| &self.text[self.start(at)..self.ends[at]])
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets them all and keeps the room they took.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.ends[at - 1] }
    }

    fn end(&mut self) {
        let tag = &self.text[self.ends.last().copied().unwrap_or(0)..];
        if self.iter().any(|known| known == tag) {
            self.text.truncate(self.ends.last().copied().unwrap_or(0));
        } else {
            self.ends.push(self.text.len());
        }
    }
}

/// A place to put an event's metadata: names and values, both text, kept sorted by name.
///
/// At most 64 entries; a name is 1 to 255 bytes, a value at most 65,535.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Metadata(std::collections::BTreeMap<String, String>);

impl Metadata {
    /// Sets `name` to `value`; a name set twice keeps the later value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and values, sorted by name.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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

/// An event read from the log: a reference where the home can lend (memory), the event itself elsewhere.
///
/// In the manner of [`Cow`]; use it as a `&Recorded<E>`.
#[derive(Debug)]
pub enum EventRef<'a, E> {
    /// Lent by the home: the event stays where it is for as long as the store lives.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_given_twice_counts_once() {
        let mut tags = Tags::default();
        tags.add("seat", "12A");
        tags.push("row:12");
        tags.add("seat", "12A");
        assert_eq!(tags.iter().collect::<Vec<_>>(), ["seat:12A", "row:12"]);
    }
}
