//! Events as bytes: the body, which every durable backend stores, and [`RawEvent`], which owns one body.
//!
//! ```text
//!   0        4         5         6       7   8
//!   ┌────────┬─────────┬─────────┬───────┬───┬──────────────┬──────┬──────┬────┬──────────┬──────┐
//!   │metadata│  type   │  tag    │  id   │ 0 │ tag lengths  │ type │ tags │ id │ metadata │ data │
//!   │  size  │  size   │  count  │ size  │   │ 1 byte each  │      │      │    │          │      │
//!   └────────┴─────────┴─────────┴───────┴───┴──────────────┴──────┴──────┴────┴──────────┴──────┘
//!   metadata: for each entry, sorted by name: name size (1 byte), value size (2 bytes), name, value
//! ```
//! Numbers are little-endian. The data is the rest of the body, so its size is not stored. Bodies are not parsed into
//! another form: a `RawEvent` from a Journal is a slice of the memory-mapped segment.

use bytes::Bytes;

use super::labels::Labels;
use super::limits::{MAX_METADATA, MAX_METADATA_VALUE_BYTES};
use super::tags::{Metadata, Tags};
use crate::event::error::{CodecError, InvalidEvent};

const HEAD: usize = 8;

/// An event of any type as the log stores it, with its payload as bytes. Tools use it to read and write logs whose
/// event types they do not know.
///
/// A clone is cheap and shares the bytes. An event from a Journal is not copied: it keeps the memory mapping of its
/// segment open until it is dropped.
///
/// ```
/// use annals::RawEvent;
///
/// let event = RawEvent::builder("seat-sold").tag("seat:12A").data(r#"{"price":90}"#).build()?;
/// assert_eq!(event.event_type(), "seat-sold");
/// assert_eq!(event.tags().collect::<Vec<_>>(), ["seat:12A"]);
/// assert_eq!(event.data_bytes(), br#"{"price":90}"#);
/// # Ok::<(), annals::InvalidEvent>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RawEvent {
    body: Bytes,
}

/// The positions in a body at which its parts begin.
#[derive(Clone, Copy)]
struct Parts {
    event_type: usize,
    tags: usize,
    id: usize,
    metadata: usize,
    data: usize,
}

impl Parts {
    fn of(body: &[u8]) -> Option<Self> {
        let head: &[u8; HEAD] = body.first_chunk()?;
        let tag_count = usize::from(head[5]);
        let tags_size: usize =
            body.get(HEAD..HEAD + tag_count)?.iter().map(|&size| usize::from(size)).sum();
        let event_type = HEAD + tag_count;
        let tags = event_type + usize::from(head[4]);
        let id = tags + tags_size;
        let metadata = id + usize::from(head[6]);
        let data = metadata
            .checked_add(u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize)?;
        (data <= body.len()).then_some(Self { event_type, tags, id, metadata, data })
    }
}

impl RawEvent {
    /// Returns a builder for an event of this type, without tags, id, metadata and payload.
    #[must_use]
    pub fn builder(event_type: impl Into<String>) -> RawEventBuilder {
        RawEventBuilder {
            event_type: event_type.into(),
            tags: Tags::default(),
            id: None,
            metadata: Metadata::default(),
            data: Bytes::new(),
        }
    }

    /// Checks `body` and returns it as an event.
    ///
    /// ```
    /// # use annals::RawEvent;
    /// let event = RawEvent::builder("seat-sold").tag("seat:12A").build()?;
    /// let sent: Vec<u8> = event.body().to_vec(); // a whole event in bytes, for another machine
    /// assert_eq!(RawEvent::from_body(sent.into()), Ok(event));
    /// assert!(RawEvent::from_body("no event".into()).is_err());
    /// # Ok::<(), annals::InvalidEvent>(())
    /// ```
    ///
    /// # Errors
    /// A sentence that says which part of the body is not valid.
    pub fn from_body(body: Bytes) -> Result<Self, &'static str> {
        Body::check(&body)?;
        Ok(Self { body })
    }

    /// Returns the event with this body, which was just encoded and so is valid.
    pub(super) fn from_encoded(body: Vec<u8>) -> Self {
        Self { body: body.into() }
    }

    /// Moves the event out of `self`. The caller must not use `self` again.
    pub(crate) fn take(&mut self) -> Self {
        Self { body: std::mem::take(&mut self.body) }
    }

    /// Returns the body, as docs/FORMAT.md specifies it.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the event's type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        self.view().event_type()
    }

    /// Returns the event's tags in the order in which they were added.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.view().tags()
    }

    /// Returns the event's own id, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.view().id()
    }

    /// Returns the names and values of the metadata, sorted by name.
    #[must_use]
    pub fn metadata(&self) -> Vec<(&str, &str)> {
        let Body { bytes, parts } = self.view();
        entries(&bytes[parts.metadata..parts.data])
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    /// Returns the part of the body before the metadata: all sizes, the type, the tags and the id. With
    /// [`content`](Self::content) it makes the whole body.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.body[..self.view().parts.metadata]
    }

    /// Returns the part of the body after the [`header`](Self::header): the metadata, and then the payload.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.body[self.view().parts.metadata..]
    }

    /// Returns the payload, which may be empty, as a slice that shares the event's memory.
    #[must_use]
    pub fn data(&self) -> Bytes {
        self.body.slice(self.view().parts.data..)
    }

    /// Returns the payload, which may be empty.
    #[must_use]
    pub fn data_bytes(&self) -> &[u8] {
        &self.body[self.view().parts.data..]
    }

    fn view(&self) -> Body<'_> {
        // The body was checked when this RawEvent was built. After `take` it is empty, and so are its parts.
        let parts = Parts::of(&self.body).unwrap_or(Parts {
            event_type: 0,
            tags: 0,
            id: 0,
            metadata: 0,
            data: 0,
        });
        Body { bytes: &self.body, parts }
    }
}

/// A borrowed body that was checked.
pub(crate) struct Body<'a> {
    bytes: &'a [u8],
    parts: Parts,
}

impl<'a> Body<'a> {
    /// Checks `bytes` and returns them as a body, or returns which part is not valid.
    pub(crate) fn check(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let parts = Parts::of(bytes).ok_or("its parts are longer than the whole")?;
        if bytes[7] != 0 {
            return Err("a reserved byte is not 0");
        }
        if bytes[4] == 0 {
            return Err("its type is empty");
        }
        let names = &bytes[parts.event_type..parts.metadata];
        let body = Self { bytes, parts };
        // Most names are ASCII, for which a look at the highest bits is enough. The check of UTF-8 takes five times as
        // long for 90 bytes.
        let are_whole = if is_ascii(names) {
            body.tag_sizes().iter().all(|&size| size > 0)
        } else {
            let Ok(names) = std::str::from_utf8(names) else {
                return Err("a name in it is not valid UTF-8");
            };
            body.names_are_whole(names)
        };
        if !are_whole {
            return Err("a name in it is empty or cut inside a character");
        }
        if !body.metadata_is_whole() {
            return Err("its metadata is not valid");
        }
        Ok(body)
    }

    pub(crate) fn event_type(&self) -> &'a str {
        text(&self.bytes[self.parts.event_type..self.parts.tags])
    }

    pub(crate) fn tags(&self) -> impl ExactSizeIterator<Item = &'a str> + Clone + use<'a> {
        let bytes = self.bytes;
        let mut at = self.parts.tags;
        self.tag_sizes().iter().map(move |&size| {
            let start = at;
            at += usize::from(size);
            text(&bytes[start..at])
        })
    }

    pub(crate) fn id(&self) -> Option<&'a str> {
        let Parts { id, metadata, .. } = self.parts;
        (id < metadata).then(|| text(&self.bytes[id..metadata]))
    }

    fn tag_sizes(&self) -> &'a [u8] {
        &self.bytes[HEAD..self.parts.event_type]
    }

    /// Returns whether every tag has at least 1 byte and every name ends at the end of a character. All names together
    /// are UTF-8 already, but a boundary between two names may lie inside a character.
    fn names_are_whole(&self, names: &str) -> bool {
        let mut at = self.parts.tags - self.parts.event_type;
        let mut whole = names.is_char_boundary(at)
            && names.is_char_boundary(self.parts.id - self.parts.event_type);
        for &size in self.tag_sizes() {
            at += usize::from(size);
            whole = whole && size > 0 && names.is_char_boundary(at);
        }
        whole
    }

    fn metadata_is_whole(&self) -> bool {
        let metadata = &self.bytes[self.parts.metadata..self.parts.data];
        let mut seen = 0;
        for (name, value) in entries(metadata) {
            if name.is_empty()
                || std::str::from_utf8(name).is_err()
                || std::str::from_utf8(value).is_err()
            {
                return false;
            }
            seen += 3 + name.len() + value.len();
        }
        seen == metadata.len()
    }
}

/// Returns whether all bytes are ASCII. Looks at 8 bytes at a time up to the end, where `<[u8]>::is_ascii` looks at
/// single bytes.
fn is_ascii(bytes: &[u8]) -> bool {
    let high_bits = |word: &[u8; 8]| u64::from_ne_bytes(*word) & 0x8080_8080_8080_8080;
    let Some(last) = bytes.last_chunk() else { return bytes.is_ascii() };
    let (words, _) = bytes.as_chunks();
    words.iter().fold(high_bits(last), |seen, word| seen | high_bits(word)) == 0
}

/// Returns `bytes` as text. The check of the body made sure that they are UTF-8.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Returns the metadata entries in order, up to the first that is cut off.
fn entries(mut metadata: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (&[name, low, high], rest) = metadata.split_first_chunk::<3>()?;
        let (name, rest) = rest.split_at_checked(usize::from(name))?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
        metadata = rest;
        Some((name, value))
    })
}

/// Appends to `out` the body of event `index` of `labels`, with `metadata`, and with the payload that `data` appends.
pub(crate) fn write_body(
    out: &mut Vec<u8>,
    labels: &Labels,
    index: usize,
    metadata: &Metadata,
    data: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
) -> Result<(), InvalidEvent> {
    check_metadata(metadata)?;
    let event = labels.event(index);
    let metadata_size: usize =
        metadata.iter().map(|(name, value)| 3 + name.len() + value.len()).sum();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "names and metadata are within their limits: `Labels::add` and `check_metadata` checked them"
    )]
    {
        out.extend_from_slice(&(metadata_size as u32).to_le_bytes());
        out.extend_from_slice(&[
            event.event_type.len() as u8,
            event.tag_count() as u8,
            event.id.map_or(0, str::len) as u8,
            0,
        ]);
        out.extend(event.tags().map(|tag| tag.len() as u8));
        out.extend_from_slice(event.names.as_bytes());
        for (name, value) in metadata.iter() {
            out.push(name.len() as u8);
            out.extend_from_slice(&(value.len() as u16).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value.as_bytes());
        }
    }
    let before = out.len();
    data(out)?;
    super::labels::check_data(out.len() - before)
}

fn check_metadata(metadata: &Metadata) -> Result<(), InvalidEvent> {
    if metadata.len() > MAX_METADATA {
        return Err(InvalidEvent::TooMuchMetadata { count: metadata.len() });
    }
    for (name, value) in metadata.iter() {
        super::name::check_name("metadata name", name)?;
        if value.len() > MAX_METADATA_VALUE_BYTES {
            return Err(InvalidEvent::MetadataValueTooLong {
                name: name.to_owned(),
                bytes: value.len(),
            });
        }
    }
    Ok(())
}

impl std::fmt::Debug for RawEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawEvent")
            .field("event_type", &self.event_type())
            .field("tags", &self.tags().collect::<Vec<_>>())
            .field("id", &self.id())
            .field("metadata", &self.metadata())
            .field("data", &self.data())
            .finish()
    }
}

/// Builds a [`RawEvent`]. [`RawEvent::builder`] returns one; [`build`](Self::build) checks all limits.
///
/// ```
/// use annals::RawEvent;
///
/// let event = RawEvent::builder("seat-sold")
///     .tag("seat:12A")
///     .id("order-7")
///     .metadata("user", "alice")
///     .data(r#"{"price":90}"#)
///     .build()?;
/// assert_eq!(event.id(), Some("order-7"));
/// assert_eq!(event.metadata(), [("user", "alice")]);
/// assert!(RawEvent::builder("").build().is_err());
/// # Ok::<(), annals::InvalidEvent>(())
/// ```
#[derive(Debug, Clone)]
pub struct RawEventBuilder {
    event_type: String,
    tags: Tags,
    id: Option<String>,
    metadata: Metadata,
    data: Bytes,
}

impl RawEventBuilder {
    /// Adds a tag of 1 to 255 bytes. An event has no tags by default and at most 64. A tag that is added twice counts
    /// once.
    #[must_use]
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        self.tags.push(tag.as_ref());
        self
    }

    /// Sets the event's own id, of 1 to 255 bytes. An event has no id by default.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets a metadata entry: a name of 1 to 255 bytes, and a value of up to 65,535 bytes. An event has no entries by
    /// default and at most 64.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.set(name, value);
        self
    }

    /// Sets the payload, up to 16 MiB. It is empty by default.
    #[must_use]
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// Returns the event.
    ///
    /// # Errors
    /// The limit that the event exceeds.
    pub fn build(self) -> Result<RawEvent, InvalidEvent> {
        let mut labels = Labels::default();
        labels.add(&self.event_type, &self.tags, self.id.as_deref())?;
        super::labels::check_data(self.data.len())?;
        let mut body = Vec::with_capacity(
            HEAD + labels.event(0).names.len() + self.tags.len() + self.data.len(),
        );
        write_body(&mut body, &labels, 0, &self.metadata, |out| {
            out.extend_from_slice(&self.data);
            Ok(())
        })?;
        Ok(RawEvent { body: body.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> RawEvent {
        RawEvent::builder("seat-sold")
            .tag("seat:12Ä")
            .tag("show:7")
            .id("0x1")
            .metadata("trace", "abc")
            .metadata("actor", "ö")
            .data("{}")
            .build()
            .unwrap()
    }

    #[test]
    fn a_byte_that_is_not_ascii_is_seen_anywhere() {
        for length in 0..40 {
            let mut bytes = vec![b'a'; length];
            assert!(is_ascii(&bytes), "{length} bytes");
            for at in 0..length {
                bytes[at] = 0x80;
                assert!(!is_ascii(&bytes), "byte {at} of {length}");
                bytes[at] = b'a';
            }
        }
    }

    #[test]
    fn a_body_reads_back() {
        let event = RawEvent::from_body(sample().body().clone()).unwrap();
        assert_eq!(event.event_type(), "seat-sold");
        assert_eq!(event.tags().collect::<Vec<_>>(), ["seat:12Ä", "show:7"]);
        assert_eq!(event.id(), Some("0x1"));
        assert_eq!(event.metadata(), [("actor", "ö"), ("trace", "abc")]);
        assert_eq!(event.data_bytes(), b"{}");
        assert!(event.header().ends_with(b"0x1"));
        assert!(event.content().starts_with(b"\x05\x02\x00actor"));
        assert_eq!([event.header(), event.content()].concat(), event.body()[..]);
    }

    #[test]
    fn any_byte_changed_or_cut_never_panics() {
        let body = sample().body().to_vec();
        for at in 0..body.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = body.clone();
                damaged[at] ^= flip;
                if let Ok(event) = RawEvent::from_body(damaged.into()) {
                    let _ = format!("{event:?}");
                }
            }
            let _ = RawEvent::from_body(Bytes::copy_from_slice(&body[..at]));
        }
    }

    #[test]
    fn a_name_cut_inside_a_character_is_refused() {
        let mut body = sample().body().to_vec();
        body[8] -= 1; // the first tag now ends inside its last character, and the second begins there
        body[9] += 1;
        assert!(RawEvent::from_body(body.into()).is_err());
    }
}
