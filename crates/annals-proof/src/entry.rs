//! Entries: what a leaf of the tree covers of an event.
//!
//! ```text
//!   0    1         9         17                    49
//!   ┌────┬─────────┬─────────┬─────────────────────┬───────────────────────────────┐
//!   │ 1  │ offset  │ time    │ SHA-256 of content  │ header: sizes, type, tags, id │
//!   └────┴─────────┴─────────┴─────────────────────┴───────────────────────────────┘
//! ```
//! Numbers are little-endian. The content is the metadata and the payload: an entry shows neither.

use std::fmt;

use annals::{MAX_TAGS, RawEvent, Recorded};

use crate::error::FormatError;
use crate::hash::TreeHash;
use crate::sha256::{sha256, sha256_of_many};

/// The version of the layout.
const VERSION: u8 = 1;

/// The position of the header, in bytes.
const HEADER: usize = 49;

/// The smallest size of a header, in bytes: its sizes without names.
const SIZES: usize = 8;

/// The data of an event that the tree covers: its offset, time, type, tags and id, and a hash of its metadata and
/// payload.
///
/// ```
/// use annals::{RawEvent, Recorded};
/// use annals_proof::Entry;
///
/// let event = RawEvent::builder("seat-sold").tag("seat:12A").data(r#"{"price":90}"#).build()?;
/// let entry = Entry::of(&Recorded { offset: 7, time_ms: 1_700_000_000_000, event: event.clone() });
/// assert_eq!((entry.offset(), entry.event().event_type()), (7, "seat-sold"));
/// assert!(entry.has_content(event.content()));
/// assert_eq!(Entry::parse(entry.as_bytes())?, entry);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    bytes: Vec<u8>,
    /// The header as an event without metadata and payload.
    event: RawEvent,
}

impl Entry {
    /// Returns the entry of an event.
    #[must_use]
    pub fn of(recorded: &Recorded<RawEvent>) -> Self {
        let header = recorded.event.header();
        let mut bytes = Vec::with_capacity(HEADER + header.len());
        bytes.extend(front(recorded, &sha256(recorded.event.content())));
        bytes.extend_from_slice(header);
        // The header is that of a valid event.
        let event = bare(header).unwrap_or_else(|_| recorded.event.clone());
        Self { bytes, event }
    }

    /// Checks `bytes` and returns them as an entry.
    ///
    /// # Errors
    /// [`FormatError`]: another version of the layout, sizes that do not fill the entry exactly, or a name that no
    /// event may have.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let invalid = |problem: String| FormatError::new("entry", problem);
        if bytes.len() < HEADER + SIZES {
            return Err(invalid(format!(
                "it has {} bytes; the least is {}",
                bytes.len(),
                HEADER + SIZES
            )));
        }
        if bytes[0] != VERSION {
            return Err(invalid(format!(
                "it has version {}; this program reads version {VERSION}",
                bytes[0]
            )));
        }
        let event = bare(&bytes[HEADER..]).map_err(|problem| invalid(problem.to_owned()))?;
        Ok(Self { bytes: bytes.to_owned(), event })
    }

    /// Returns the event's offset.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.number(1)
    }

    /// Returns the time at which the event was recorded, in ms since 1970 UTC.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        self.number(9)
    }

    /// Returns the SHA-256 of the event's content.
    #[must_use]
    pub fn content_hash(&self) -> &[u8] {
        &self.bytes[17..HEADER]
    }

    /// Returns the event's type, tags and id, as an event without metadata and payload.
    #[must_use]
    pub fn event(&self) -> &RawEvent {
        &self.event
    }

    /// Returns whether `content` is the event's content: its metadata and payload.
    #[must_use]
    pub fn has_content(&self, content: &[u8]) -> bool {
        sha256(content) == self.content_hash() && self.metadata_size() <= content.len()
    }

    /// Returns the whole event, with its `content`.
    ///
    /// # Errors
    /// [`FormatError`] if it is not the content of this event.
    pub fn with_content(&self, content: &[u8]) -> Result<Recorded<RawEvent>, FormatError> {
        if !self.has_content(content) {
            let problem = format!("its hash is not that of the entry at offset {}", self.offset());
            return Err(FormatError::new("content", problem));
        }
        let body = [&self.bytes[HEADER..], content].concat();
        let event = RawEvent::from_body(body.into())
            .map_err(|problem| FormatError::new("content", problem))?;
        Ok(Recorded { offset: self.offset(), time_ms: self.time_ms(), event })
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the hash of the leaf.
    #[must_use]
    pub fn leaf(&self) -> TreeHash {
        TreeHash::of_leaf(&self.bytes)
    }

    fn metadata_size(&self) -> usize {
        let size = self.bytes[HEADER..].first_chunk::<4>();
        size.map_or(0, |size| u32::from_le_bytes(*size) as usize)
    }

    fn number(&self, at: usize) -> u64 {
        self.bytes[at..].first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

/// Adds the hashes of the leaves of events to `hashes`. Several events are hashed at once.
pub(crate) fn hash_leaves(events: &[Recorded<RawEvent>], hashes: &mut Vec<TreeHash>) {
    let contents: Vec<_> = events.iter().map(|event| event.event.content()).collect();
    let contents = sha256_of_many(&contents);
    let (mut bytes, mut ranges) = (Vec::new(), Vec::with_capacity(events.len()));
    for (event, content) in events.iter().zip(&contents) {
        let start = bytes.len();
        write_leaf(&mut bytes, event, content);
        ranges.push(start..bytes.len());
    }
    let leaves: Vec<_> = ranges.into_iter().map(|range| &bytes[range]).collect();
    hashes.extend(sha256_of_many(&leaves).into_iter().map(TreeHash::new));
}

/// Adds what is hashed of an event's leaf.
fn write_leaf(leaf: &mut Vec<u8>, event: &Recorded<RawEvent>, content: &[u8; 32]) {
    leaf.push(0);
    leaf.extend_from_slice(&front(event, content));
    leaf.extend_from_slice(event.event.header());
}

/// Returns the entry up to its header. `content` is the hash of the event's content.
fn front(recorded: &Recorded<RawEvent>, content: &[u8; 32]) -> [u8; HEADER] {
    let mut front = [VERSION; HEADER];
    front[1..9].copy_from_slice(&recorded.offset.to_le_bytes());
    front[9..17].copy_from_slice(&recorded.time_ms.to_le_bytes());
    front[17..].copy_from_slice(content);
    front
}

/// Returns the event with this header and without metadata and payload.
fn bare(header: &[u8]) -> Result<RawEvent, &'static str> {
    let mut body = header.to_owned();
    body.get_mut(..4).ok_or("it is too short")?.fill(0);
    let event = RawEvent::from_body(body.into())?;
    if !event.data_bytes().is_empty() {
        return Err("its sizes do not fill it");
    }
    if event.tags().len() > MAX_TAGS {
        return Err("it has too many tags");
    }
    let names = std::iter::once(event.event_type()).chain(event.tags()).chain(event.id());
    if names.flat_map(str::chars).any(char::is_control) {
        return Err("a name in it has a control character");
    }
    Ok(event)
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("offset", &self.offset())
            .field("time_ms", &self.time_ms())
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}
