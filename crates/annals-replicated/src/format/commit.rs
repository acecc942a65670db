//! A commit: a header and a whole body.

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::body::Content;
use super::entry::{self, Entry, narrow};
use super::hash::CommitHash;
use super::header::{Header, MAX_BODY_BYTES, MAX_COMMIT_BATCHES};

/// A commit, decoded. Its bytes are kept, so that they can be sent again unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    header: Header,
    content: Content,
    body: Bytes,
    hash: CommitHash,
}

impl Commit {
    /// Encodes a commit with this content.
    ///
    /// # Panics
    /// If the content is larger than 64 MiB, or has more than 65,536 batches.
    #[must_use]
    pub fn new(
        number: u64,
        previous: CommitHash,
        store_id: Uuid,
        writer_id: Uuid,
        first_offset: u64,
        content: Content,
    ) -> Self {
        let body = content.encode();
        assert!(body.len() <= MAX_BODY_BYTES, "a body of {} bytes is too large", body.len());
        let batches = content.batches();
        assert!(batches.len() <= MAX_COMMIT_BATCHES, "{} batches are too many", batches.len());
        let header = Header {
            kind: content.kind(),
            number,
            previous,
            store_id,
            writer_id,
            first_offset,
            events: narrow(batches.iter().map(|batch| batch.events.len()).sum()),
            batches: narrow(batches.len()),
            body_bytes: narrow(body.len()),
        };
        let hash = entry::hash(&header, &body);
        Self { header, content, body, hash }
    }

    /// Puts the parts of a commit together and checks them and the events in them.
    ///
    /// # Errors
    /// A sentence that says what is not valid.
    pub fn from_parts(parts: &[Entry]) -> Result<Self, &'static str> {
        let first = parts.first().ok_or("it has no parts")?;
        let mut start = 0;
        for (index, entry) in parts.iter().enumerate() {
            let fits = usize::from(entry.part.index) == index && entry.part.start == start;
            if !fits || entry.part.count != first.part.count || entry.header != first.header {
                return Err("its parts do not belong together");
            }
            start += entry.part.bytes;
        }
        if parts.len() != usize::from(first.part.count) {
            return Err("a part is missing");
        }
        let body = if let [only] = parts {
            only.body.clone()
        } else {
            let mut body = BytesMut::with_capacity(start as usize);
            for entry in parts {
                body.extend_from_slice(&entry.body);
            }
            body.freeze()
        };
        Self::with_body(first.header.clone(), body)
    }

    /// Returns the commit as entries of at most `entry_bytes` bytes each, for adjacent slots. The hash does not depend
    /// on how a commit is split.
    #[must_use]
    pub fn entries(&self, entry_bytes: usize) -> Vec<Bytes> {
        entry::split(&self.header, &self.body, entry_bytes)
    }

    /// Returns the header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the content.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Returns the hash.
    #[must_use]
    pub fn hash(&self) -> CommitHash {
        self.hash
    }

    /// Returns the body.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Decodes a commit of its header and its whole body.
    ///
    /// # Errors
    /// A sentence that says what is not valid.
    pub(crate) fn with_body(header: Header, body: Bytes) -> Result<Self, &'static str> {
        let content = Content::decode(&header, &body)?;
        let hash = entry::hash(&header, &body);
        Ok(Self { header, content, body, hash })
    }

    /// Returns the size of the body, in bytes.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }
}
