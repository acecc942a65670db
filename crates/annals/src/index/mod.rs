//! The index: from a type, a tag or an id to the events that bear it.
//!
//! ```text
//!   Query ──hashed once──▶ Search ──plan(index)──▶ Plan ──next / previous──▶ offsets
//!                                     │
//!                  Lookup: LiveIndex (growing, in memory) or a sealed one (mapped file)
//! ```
//! Offsets in here are relative to the first event that the index covers and take 4 bytes. All lists of offsets
//! ("postings") ascend. Reading takes no lock.

mod live;
mod names;
mod plan;

pub(crate) use live::{LiveIndex, LiveIndexWriter};
pub(crate) use names::{Names, NamesWriter};
pub(crate) use plan::Search;

use std::hash::Hasher as _;

use crate::labels::Name;

/// What a name is: each kind has its own table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Type,
    Tag,
    Id,
}

/// The keyed hash of names (SipHash-1-3), so that nobody who only chooses names can make them collide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hasher(siphasher::sip::SipHasher13);

impl Hasher {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self(siphasher::sip::SipHasher13::new_with_key(key))
    }

    pub(crate) fn hash(&self, name: &[u8]) -> u64 {
        let mut hasher = self.0;
        hasher.write(name);
        hasher.finish()
    }

    pub(crate) fn name<'a>(&self, text: &'a str) -> Name<'a> {
        Name { text, hash: self.hash(text.as_bytes()) }
    }
}

/// An index that can be asked for a name.
pub(crate) trait Lookup {
    /// The offsets of the events with this name; `None` when there are none.
    fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>>;
}

/// Ascending offsets, read by place.
pub(crate) enum Posting<'a> {
    Live(names::LivePosting<'a>),
    /// Little-endian numbers of 4 bytes, in a mapped file.
    Sealed(&'a [u8]),
}

impl Posting<'_> {
    pub(crate) fn len(&self) -> u32 {
        match self {
            Self::Live(posting) => posting.len(),
            Self::Sealed(bytes) => u32::try_from(bytes.len() / 4).unwrap_or(u32::MAX),
        }
    }

    /// The offset at place `at`, which is below `len`.
    pub(crate) fn get(&mut self, at: u32) -> u32 {
        match self {
            Self::Live(posting) => posting.get(at),
            Self::Sealed(bytes) => u32_at(bytes, at as usize * 4),
        }
    }
}

/// The number of 4 bytes at `position`; 0 beyond the end.
pub(crate) fn u32_at(bytes: &[u8], position: usize) -> u32 {
    bytes
        .get(position..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// The number of 8 bytes at `position`; 0 beyond the end.
pub(crate) fn u64_at(bytes: &[u8], position: usize) -> u64 {
    bytes
        .get(position..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u64::from_le_bytes(*chunk))
}
