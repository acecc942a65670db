//! The interface of an index: it returns the ascending offsets of the events that have a name.

use super::names::MemPosting;
use crate::event::name::Name;
use crate::util::little_endian::u32_at;
use crate::util::local_offset::local_size;

/// The kind of a name. An index has one table for each kind.
///
/// The module [`backend`](crate::backend) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An event type.
    Type,
    /// A tag.
    Tag,
    /// An event's own id.
    Id,
}

/// An index that finds the events with a name.
///
/// The module [`backend`](crate::backend) has an example.
pub trait Lookup {
    /// Returns the offsets of the events with this name, or `None` if there are none.
    fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>>;
}

/// The ascending offsets of a name. The module [`backend`](crate::backend) has an example.
#[derive(Debug)]
pub enum Posting<'a> {
    /// Offsets in a [`MemIndex`](super::memory::MemIndex).
    Mem(MemPosting<'a>),
    /// Offsets as little-endian numbers of 4 bytes, for example in a memory-mapped file.
    Sealed(&'a [u8]),
}

impl Posting<'_> {
    /// Returns whether the list has no offsets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of offsets.
    #[must_use]
    pub fn len(&self) -> u32 {
        match self {
            Self::Mem(posting) => posting.len(),
            Self::Sealed(bytes) => local_size(bytes.len() / 4),
        }
    }

    /// Returns the number of offsets that are less than `offset`, by a binary search.
    #[must_use]
    pub fn count_below(&mut self, offset: u32) -> u32 {
        let (mut low, mut high) = (0, self.len());
        // Often the question is about all offsets.
        if high > 0 && self.get(high - 1) < offset {
            return high;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle) < offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Returns the offset number `at`, counted from 0. `at` must be less than [`len`](Self::len).
    pub fn get(&mut self, at: u32) -> u32 {
        match self {
            Self::Mem(posting) => posting.get(at),
            Self::Sealed(bytes) => u32_at(bytes, at as usize * 4),
        }
    }
}
