//! The position of an item in memory: from its index to its segment and its offset there.
//!
//! ```text
//!   segment      0          1              2                      3
//!            +--------+-----------+-----------------+---------------------------+
//!   items    | 1,024  |   2,048   |      4,096      |           8,192           | ...
//!            +--------+-----------+-----------------+---------------------------+
//!   index    0        1,024       3,072             7,168                       15,360
//! ```
//!
//! With `j = index + 1,024`, the highest set bit of `j` gives the segment, and the bits below it give the offset in the
//! segment. This needs no division, no search and no table.

/// The base-2 logarithm of the number of items in the first segment. Small under loom, so that its models include
/// growth.
const FIRST_CAPACITY_LOG2: u32 = if cfg!(loom) { 1 } else { 10 };

/// The number of items in the first segment.
pub(crate) const FIRST_CAPACITY: usize = 1 << FIRST_CAPACITY_LOG2;

/// The maximum number of segments: enough to give every index a slot. Small under loom, where each atomic costs time.
pub(crate) const SEGMENT_COUNT_MAX: usize =
    if cfg!(loom) { 4 } else { (usize::BITS - FIRST_CAPACITY_LOG2) as usize };

/// The position of an item in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The number of the segment.
    pub(crate) segment: usize,
    /// The index of the item in its segment.
    pub(crate) local_offset: usize,
    /// The number of items from this one to the end of the segment, at least 1.
    pub(crate) room: usize,
}

impl Slot {
    /// Returns the slot of the item at `index`, which must be an index that [`Slot::checked`] accepts.
    #[inline]
    pub(crate) const fn of(index: usize) -> Self {
        let shifted = index + FIRST_CAPACITY;
        let log2 = shifted.ilog2();
        let local_offset = shifted ^ (1 << log2);
        Self {
            segment: (log2 - FIRST_CAPACITY_LOG2) as usize,
            local_offset,
            room: (1 << log2) - local_offset,
        }
    }

    /// Returns the segment of the item at `index`, which is enough to find one item. Computing the local offset as well
    /// took a third of the time of a random read.
    #[inline]
    pub(crate) const fn segment_of(index: usize) -> usize {
        ((index + FIRST_CAPACITY).ilog2() - FIRST_CAPACITY_LOG2) as usize
    }

    /// Returns the slot of the item at `index`, or `None` if no list can have that index.
    pub(crate) fn checked(index: usize) -> Option<Self> {
        index.checked_add(FIRST_CAPACITY)?;
        Some(Self::of(index)).filter(|slot| slot.segment < SEGMENT_COUNT_MAX)
    }
}

/// Returns the number of items that segment number `segment` holds.
#[inline]
pub(crate) const fn capacity_of(segment: usize) -> usize {
    FIRST_CAPACITY << segment
}

/// Returns the index of the first item of segment number `segment`.
#[inline]
pub(crate) const fn first_of(segment: usize) -> usize {
    capacity_of(segment) - FIRST_CAPACITY
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn slots_are_dense_and_in_order() {
        let (mut segment, mut local_offset) = (0, 0);
        for index in 0..if cfg!(miri) { 8_000 } else { 100_000 } {
            assert_eq!(
                Slot::of(index),
                Slot { segment, local_offset, room: capacity_of(segment) - local_offset }
            );
            assert_eq!(Slot::segment_of(index), segment);
            assert_eq!(index - first_of(segment), local_offset);
            local_offset += 1;
            if local_offset == capacity_of(segment) {
                (segment, local_offset) = (segment + 1, 0);
            }
        }
    }

    #[test]
    fn the_last_slot_is_the_end_of_the_last_segment() {
        let last = usize::MAX - FIRST_CAPACITY;
        let slot = Slot::checked(last).unwrap();
        assert_eq!((slot.segment, slot.room), (SEGMENT_COUNT_MAX - 1, 1));
        assert_eq!(Slot::checked(last + 1), None);
    }
}
