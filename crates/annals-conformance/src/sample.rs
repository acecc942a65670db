//! The event that the suite appends. It can represent every event, including those that a log must refuse.

use std::borrow::Cow;
use std::cell::Cell;

use annals::{CodecError, Event, Metadata, RawEvent, Tags};

/// An event type that only newer programs know.
const NEWER: &str = "newer";

thread_local! {
    /// Whether this thread acts as an older program, which does not know that type.
    static IS_OLDER: Cell<bool> = const { Cell::new(false) };
}

/// An event of the suite. A backend under test is a `Backend<Sample>`.
///
/// Its parts are not checked before it is appended, so that the suite can check what the backend refuses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    event_type: String,
    tags: Vec<String>,
    id: Option<String>,
    metadata: Metadata,
    data: Vec<u8>,
    without_encoding: bool,
}

impl Sample {
    /// Returns an event of this type.
    #[must_use]
    pub fn new(event_type: impl Into<String>) -> Self {
        Self { event_type: event_type.into(), ..Self::default() }
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Sets the id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Adds an entry to the metadata.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.set(name, value);
        self
    }

    /// Sets the payload.
    #[must_use]
    pub fn data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data = data.into();
        self
    }

    /// Makes the encoding of the payload fail.
    #[must_use]
    pub fn without_encoding(mut self) -> Self {
        self.without_encoding = true;
        self
    }

    /// Returns an event of a type that only newer programs know. It is appended like any other, but it cannot be
    /// decoded while the reader is [`an older program`](Self::as_an_older_program).
    #[must_use]
    pub fn newer() -> Self {
        Self::new(NEWER)
    }

    /// Runs `work` on this thread as an older program, which does not know the type of [`newer`](Self::newer) events.
    pub fn as_an_older_program<R>(work: impl FnOnce() -> R) -> R {
        struct Known;
        impl Drop for Known {
            fn drop(&mut self) {
                IS_OLDER.set(false);
            }
        }
        IS_OLDER.set(true);
        let _known = Known;
        work()
    }

    /// Returns the tags.
    #[must_use]
    pub fn tag_list(&self) -> &[String] {
        &self.tags
    }

    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.data
    }
}

impl Event for Sample {
    fn event_type(&self) -> &str {
        &self.event_type
    }

    fn tags(&self, tags: &mut Tags) {
        self.tags.iter().for_each(|tag| tags.push(tag));
    }

    fn id(&self) -> Option<Cow<'_, str>> {
        self.id.as_deref().map(Cow::Borrowed)
    }

    fn metadata(&self, metadata: &mut Metadata) {
        self.metadata.iter().for_each(|(name, value)| metadata.set(name, value));
    }

    fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
        if self.without_encoding {
            return Err(CodecError::payload(std::io::Error::other(
                "a payload without an encoding",
            )));
        }
        data.extend_from_slice(&self.data);
        Ok(())
    }

    fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
        if IS_OLDER.get() && raw.event_type() == NEWER {
            let expected = "any other type".to_owned();
            return Err(CodecError::UnknownType { found: NEWER.to_owned(), expected });
        }
        let mut metadata = Metadata::default();
        raw.metadata().into_iter().for_each(|(name, value)| metadata.set(name, value));
        Ok(Self {
            event_type: raw.event_type().to_owned(),
            tags: raw.tags().map(str::to_owned).collect(),
            id: raw.id().map(str::to_owned),
            metadata,
            data: raw.data_bytes().to_vec(),
            without_encoding: false,
        })
    }
}
