//! Which item is where: index to segment and offset.
//!
//! ```text
//!   segment      0          1              2                      3
//!            +--------+-----------+-----------------+---------------------------+
//!   items    | 1,024  |   2,048   |      4,096      |           8,192           | ...
//!            +--------+-----------+-----------------+---------------------------+
//!   index    0        1,024       3,072             7,168                       15,360
//! ```
//!
//! With `j = index + 1,024`, the highest set bit of `j` tells the segment and the bits below it the offset
//! in it: no division, no search, no table.

/// Items in the first segment, as a power of two. Tiny under loom, so that its models get to see growth.
const FIRST_CAPACITY_LOG2: u32 = if cfg!(loom) { 1 } else { 10 };

/// Items in the first segment.
pub(crate) const FIRST_CAPACITY: usize = 1 << FIRST_CAPACITY_LOG2;

/// How many segments it takes to give every index a place. Few under loom, which pays for each atomic.
pub(crate) const SEGMENT_COUNT_MAX: usize =
    if cfg!(loom) { 4 } else { (usize::BITS - FIRST_CAPACITY_LOG2) as usize };

/// Where an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which segment.
    pub(crate) segment: usize,
    /// Which item of the segment.
    pub(crate) offset: usize,
    /// How many items the segment holds from this one to its end; at least 1.
    pub(crate) room: usize,
}

impl Place {
    /// The place of the item at `index`, which must be one that [`Place::checked`] accepts.
    #[inline]
    pub(crate) const fn of(index: usize) -> Self {
        let shifted = index + FIRST_CAPACITY;
        let log2 = shifted.ilog2();
        let offset = shifted ^ (1 << log2);
        Self { segment: (log2 - FIRST_CAPACITY_LOG2) as usize, offset, room: (1 << log2) - offset }
    }

    /// The segment of the item at `index`: all that is needed to find one item. (Working out its offset as well
    /// took a third of the time of a random read.)
    #[inline]
    pub(crate) const fn segment_of(index: usize) -> usize {
        ((index + FIRST_CAPACITY).ilog2() - FIRST_CAPACITY_LOG2) as usize
    }

    /// The place of the item at `index`, or `None` where no list reaches.
    pub(crate) fn checked(index: usize) -> Option<Self> {
        index.checked_add(FIRST_CAPACITY)?;
        Some(Self::of(index)).filter(|place| place.segment < SEGMENT_COUNT_MAX)
    }
}

/// How many items segment number `segment` holds.
#[inline]
pub(crate) const fn capacity_of(segment: usize) -> usize {
    FIRST_CAPACITY << segment
}

/// The index of the first item of segment number `segment`.
#[inline]
pub(crate) const fn first_of(segment: usize) -> usize {
    capacity_of(segment) - FIRST_CAPACITY
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn places_are_dense_and_in_order() {
        let (mut segment, mut offset) = (0, 0);
        for index in 0..if cfg!(miri) { 8_000 } else { 100_000 } {
            assert_eq!(
                Place::of(index),
                Place { segment, offset, room: capacity_of(segment) - offset }
            );
            assert_eq!(Place::segment_of(index), segment);
            assert_eq!(index - first_of(segment), offset);
            offset += 1;
            if offset == capacity_of(segment) {
                (segment, offset) = (segment + 1, 0);
            }
        }
    }

    #[test]
    fn the_last_place_is_the_end_of_the_last_segment() {
        let last = usize::MAX - FIRST_CAPACITY;
        let place = Place::checked(last).unwrap();
        assert_eq!((place.segment, place.room), (SEGMENT_COUNT_MAX - 1, 1));
        assert_eq!(Place::checked(last + 1), None);
    }
}
