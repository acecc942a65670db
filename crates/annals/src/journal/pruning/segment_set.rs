//! A set of the segments that one Bloom filter covers.

/// The number of filters that are merged into one, and of segments in a filter of the first tier: a byte of bits.
pub(crate) const FAN: usize = 8;
/// The most segments of one filter. A row then fills a cache line.
pub(crate) const MOST_SEGMENTS: usize = FAN * FAN * FAN;
/// A set of the segments that a filter covers, by their number in the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentSet(pub(super) [u64; MOST_SEGMENTS / 64]);

impl SegmentSet {
    pub(crate) const ALL: Self = Self([u64::MAX; MOST_SEGMENTS / 64]);
    pub(crate) const NONE: Self = Self([0; MOST_SEGMENTS / 64]);

    pub(super) fn of_bits(bytes: &[u8]) -> Self {
        let mut words = [0; MOST_SEGMENTS / 64];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
        Self(words)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    pub(crate) fn has(&self, segment: usize) -> bool {
        self.next(segment) == Some(segment)
    }

    /// Returns the first segment of the set at or after `from`.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        let mut mask = u64::MAX << (from % 64);
        (from / 64..self.0.len()).find_map(|at| {
            let word = self.0[at] & std::mem::replace(&mut mask, u64::MAX);
            (word != 0).then(|| at * 64 + word.trailing_zeros() as usize)
        })
    }

    /// Returns the last segment of the set at or before `until`.
    pub(crate) fn previous(&self, until: usize) -> Option<usize> {
        let mut mask = u64::MAX >> (63 - until % 64);
        (0..=(until / 64).min(self.0.len() - 1)).rev().find_map(|at| {
            let word = self.0[at] & std::mem::replace(&mut mask, u64::MAX);
            (word != 0).then(|| at * 64 + 63 - word.leading_zeros() as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_walked_in_both_directions(
            members in prop::collection::btree_set(0_usize..512, 0..40),
            starts in prop::collection::vec(0_usize..512, 20),
        ) {
            let mut bytes = [0_u8; 64];
            for &member in &members {
                bytes[member / 8] |= 1 << (member % 8);
            }
            let set = SegmentSet::of_bits(&bytes);
            for start in starts {
                prop_assert_eq!(set.next(start), members.range(start..).next().copied());
                prop_assert_eq!(set.previous(start), members.range(..=start).next_back().copied());
                prop_assert_eq!(set.has(start), members.contains(&start));
            }
        }
    }
}
