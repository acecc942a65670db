//! What an index is asked: for a name of a kind, its ascending offsets.

use super::names::MemPosting;
use crate::event::name::Name;
use crate::util::little_endian::u32_at;
use crate::util::local_offset::local_size;

/// What a name is: each kind has its own table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An event type.
    Type,
    /// A tag.
    Tag,
    /// An event's own id.
    Id,
}

/// An index that can be asked for a name.
pub trait Lookup {
    /// The offsets of the events with this name; `None` when there are none.
    fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>>;
}

/// Ascending offsets, read by place.
#[derive(Debug)]
pub enum Posting<'a> {
    /// Of a [`MemIndex`](super::memory::MemIndex).
    Mem(MemPosting<'a>),
    /// Little-endian numbers of 4 bytes: in a mapped file, say.
    Sealed(&'a [u8]),
}

impl Posting<'_> {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many offsets.
    #[must_use]
    pub fn len(&self) -> u32 {
        match self {
            Self::Mem(posting) => posting.len(),
            Self::Sealed(bytes) => local_size(bytes.len() / 4),
        }
    }

    /// The offset at place `at`, which is below `len`.
    pub fn get(&mut self, at: u32) -> u32 {
        match self {
            Self::Mem(posting) => posting.get(at),
            Self::Sealed(bytes) => u32_at(bytes, at as usize * 4),
        }
    }
}
