//! The Bloom filter of a sealed segment: whether the segment may have a name.
//!
//! ```text
//!   hash of a name   │ 28 bits: the block, as a fraction of all blocks │ 9 bits │ 9 bits │ 9 bits │ 9 bits │
//!                      lowest                                         └ four bits in the block's 512
//! ```
//! The filter is the end of the index file and is read in place. It has all types, tags and ids of the segment. A
//! search for a name looks at one block of each segment, which is one line of the processor's cache, and at the tables
//! of the index only if all four bits are set. About one in 370 segments without the name passes. Such a look in vain
//! costs as much as a hundred blocks, and much more before the index was first used. With 12 bits for each name instead
//! of 16, one in 140 would pass.
//!
//! One block for all bits of a name comes from the cache-efficient Bloom filters of Putze, Sanders and Singler (2007).

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::blocks::{CHECKED_BYTES, are_whole, is_whole};
use crate::index::memory::MemIndex;
use crate::util::crc32c::crc32c;

/// The number of bytes of a block. Blocks start at multiples of this number in the file.
pub(crate) const BLOCK: usize = 64;
/// The number of bits of a filter for each name, before the size is rounded up to whole blocks.
const BITS_PER_NAME: u64 = 16;
/// The number of the hash's lowest bits that select the block.
const BLOCK_SHIFT: u32 = 28;
/// The number of bits of a block that a name sets. Some may be the same.
const BITS_OF_A_NAME: u32 = 4;

/// The filter of a segment. A part of it is checked when it is first used.
///
/// It has at most 64 parts, of one or more blocks with a checksum, so that one number says which are whole. That number
/// stands beside the rest in one line of the processor's cache.
#[derive(Debug)]
pub(crate) struct BloomFilter {
    /// The checksums of the blocks, if the file has them, and then the bits.
    bytes: Bytes,
    /// The number of bytes of the bits; 0 if the segment has no filter.
    size: u32,
    /// The checksum of all bits, which is used if the file has no checksums of blocks.
    checksum: u32,
    /// A bit for each part that is known to be whole.
    whole: AtomicU64,
}

impl BloomFilter {
    /// Returns the filter in the last `size` bytes of `bytes`, behind the checksums of its blocks, or behind nothing in
    /// a file of an older annals. If `size` is 0, it is the filter of a segment that may have any name.
    pub(crate) fn new(bytes: Bytes, size: u32, checksum: u32) -> Self {
        Self { bytes, size, checksum, whole: AtomicU64::new(0) }
    }

    /// Returns the bits.
    pub(crate) fn bits(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - self.size as usize..]
    }

    /// Returns whether all checksums are right.
    pub(crate) fn is_whole(&self) -> bool {
        let checksums = &self.bytes[..self.bytes.len() - self.size as usize];
        crc32c(self.bits()) == self.checksum
            && (checksums.is_empty() || are_whole(self.bits(), checksums))
    }

    /// Returns whether the segment may have the name with this hash, of any kind, or `None` if the filter is damaged.
    #[inline]
    pub(crate) fn may_have(&self, hash: u64) -> Option<bool> {
        let bits = self.bits();
        let start = block_of(bits.len() / BLOCK, hash) * BLOCK;
        let Some(block) = bits.get(start..).and_then(|rest| rest.first_chunk::<BLOCK>()) else {
            return Some(true); // there is no filter
        };
        // Relaxed, paired with the `fetch_or` in `check`: the bit publishes nothing, since the bytes never change.
        let is_whole = self.whole.load(Ordering::Relaxed) >> (start >> self.part_shift()) & 1 != 0;
        if !is_whole && !self.check(start) {
            return None;
        }
        // Without an early exit: a branch on the first bits is hard to predict, and would have to wait for the block
        // before the next segment's is loaded.
        Some(bits_of(hash).fold(1, |all, bit| all & block[bit / 8] >> (bit % 8)) & 1 != 0)
    }

    /// Returns the number of bits by which the position of a byte is shifted to get its part's number, below 64.
    fn part_shift(&self) -> u32 {
        let digits = u32::BITS - self.size.saturating_sub(1).leading_zeros();
        digits.saturating_sub(6).max(CHECKED_BYTES.ilog2())
    }

    /// Checks the part with the byte at `start`.
    #[cold]
    fn check(&self, start: usize) -> bool {
        let (checksums, bits) = self.bytes.split_at(self.bytes.len() - self.size as usize);
        let part = start >> self.part_shift();
        let (whole, parts) = if checksums.is_empty() {
            (crc32c(bits) == self.checksum, u64::MAX)
        } else {
            let block_of = |part: usize| (part << self.part_shift()) / CHECKED_BYTES;
            let end = block_of(part + 1).min(bits.len().div_ceil(CHECKED_BYTES));
            let whole = (block_of(part)..end).all(|block| is_whole(bits, checksums, block));
            (whole, 1 << part)
        };
        if whole {
            self.whole.fetch_or(parts, Ordering::Relaxed); // pairs with the load in `may_have`
        }
        whole
    }
}

/// Returns the size in bytes of the filter of so many names: at least one block.
pub(crate) fn filter_bytes(names: u64) -> u64 {
    (names * BITS_PER_NAME).div_ceil(8 * BLOCK as u64).max(1) * BLOCK as u64
}

/// Returns the blocks of a filter of all names of an index. `size` is their number of bytes, at least one block.
pub(crate) fn filter_of(names: &MemIndex, size: usize) -> Vec<u8> {
    let mut blocks = vec![0; size];
    let tables = [&names.types, &names.tags, &names.ids].into_iter();
    tables.flat_map(|names| names.hashes()).for_each(|hash| insert(&mut blocks, hash));
    blocks
}

fn insert(blocks: &mut [u8], hash: u64) {
    let start = block_of(blocks.len() / BLOCK, hash) * BLOCK;
    for bit in bits_of(hash) {
        blocks[start + bit / 8] |= 1 << (bit % 8);
    }
}

/// Returns the number of a name's block, of so many blocks. There are fewer than 2³², so the product has 60 bits.
fn block_of(blocks: usize, hash: u64) -> usize {
    let fraction = hash & ((1 << BLOCK_SHIFT) - 1);
    ((fraction * blocks as u64) >> BLOCK_SHIFT) as usize
}

/// Returns a name's bits in its block. Bit 0 is the lowest of the first byte.
fn bits_of(hash: u64) -> impl Iterator<Item = usize> {
    (0..BITS_OF_A_NAME).map(move |at| (hash >> (BLOCK_SHIFT + 9 * at) & 511) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::blocks::checksums_of;
    use super::*;
    use crate::event::name::Hasher;

    /// Returns the filter of these bits, with the checksums of its blocks.
    fn filter(bits: Vec<u8>) -> BloomFilter {
        let (size, checksum) = (u32::try_from(bits.len()).unwrap(), crc32c(&bits));
        BloomFilter::new([checksums_of(&bits), bits].concat().into(), size, checksum)
    }

    /// Returns the filter of these bits as an older annals wrote it.
    fn old_filter(bits: Vec<u8>, checksum: u32) -> BloomFilter {
        let size = u32::try_from(bits.len()).unwrap();
        BloomFilter::new(bits.into(), size, checksum)
    }

    /// Returns the blocks of a filter of the names `name:0`, `name:1` and so on.
    fn blocks_of(names: u64) -> Vec<u8> {
        let mut blocks = vec![0; usize::try_from(filter_bytes(names)).unwrap()];
        (0..names).for_each(|n| insert(&mut blocks, hash(&format!("name:{n}"))));
        blocks
    }

    fn hash(name: &str) -> u64 {
        Hasher::new(&[7; 16]).hash(name.as_bytes())
    }

    #[test]
    fn every_name_passes_and_fewer_than_one_in_250_others() {
        for names in [0, 1, 2, 32, 33, 100, 1_000, 30_000] {
            let filter = filter(blocks_of(names));
            let passes = |name: String| filter.may_have(hash(&name)).unwrap();
            assert!((0..names).all(|n| passes(format!("name:{n}"))), "{names} names");
            let others = (0..100_000).filter(|n| passes(format!("other:{n}"))).count();
            assert!(others < 400, "{others} of 100,000 others pass a filter of {names} names");
        }
    }

    #[test]
    fn a_filter_has_whole_blocks_and_16_bits_for_a_name() {
        for (names, blocks) in [(0, 1), (1, 1), (32, 1), (33, 2), (64, 2), (65, 3), (96_000, 3_000)]
        {
            assert_eq!(filter_bytes(names), blocks * 64, "{names} names");
        }
    }

    #[test]
    fn a_segment_without_a_filter_may_have_any_name() {
        let none = filter(Vec::new());
        assert!(none.is_whole());
        assert_eq!([0, u64::MAX].map(|hash| none.may_have(hash)), [Some(true); 2]);
    }

    #[test]
    fn a_filter_with_a_flipped_bit_is_not_whole_and_hides_no_name() {
        let whole = blocks_of(50);
        let (checksum, checked) = (crc32c(&whole), filter(whole.clone()));
        for bit in 0..8 * whole.len() {
            let mut bits = whole.clone();
            bits[bit / 8] ^= 1 << (bit % 8);
            let size = u32::try_from(bits.len()).unwrap();
            let bytes = [&checked.bytes[..checked.bytes.len() - bits.len()], &bits].concat();
            for damaged in
                [BloomFilter::new(bytes.into(), size, checksum), old_filter(bits, checksum)]
            {
                assert!(!damaged.is_whole(), "bit {bit}");
                let shows = |n| damaged.may_have(hash(&format!("name:{n}"))).is_none();
                assert!((0..50).all(shows), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_damaged_block_leaves_the_others_usable() {
        for names in [10_000, 300_000] {
            let mut bits = blocks_of(names);
            let size = u32::try_from(bits.len()).unwrap();
            let (checksums, checksum) = (checksums_of(&bits), crc32c(&bits));
            bits[5_000] ^= 1;
            let damaged = BloomFilter::new([checksums, bits].concat().into(), size, checksum);
            let found = (0..names).map(|n| damaged.may_have(hash(&format!("name:{n}"))));
            let [mut usable, mut lost] = [0, 0];
            found.for_each(|found| match found {
                Some(may_have) => usable += u64::from(may_have),
                None => lost += 1,
            });
            assert_eq!(usable + lost, names);
            assert!(lost > 0 && usable > names / 2, "{usable} of {names}");
        }
    }

    #[test]
    fn an_older_filter_is_checked_whole() {
        let bits = blocks_of(10_000);
        let checksum = crc32c(&bits);
        let old = old_filter(bits, checksum);
        assert!(old.is_whole());
        assert!((0..10_000).all(|n| old.may_have(hash(&format!("name:{n}"))) == Some(true)));
    }

    /// The example in docs/FORMAT.md.
    #[test]
    fn a_name_sets_the_bits_that_the_document_says() {
        let (mut blocks, hash) = (vec![0_u8; 3 * BLOCK], 0x0123_4567_89ab_cdef);
        insert(&mut blocks, hash);
        let bits = (0..8 * blocks.len()).filter(|&bit| blocks[bit / 8] >> (bit % 8) & 1 != 0);
        assert_eq!(bits.collect::<Vec<_>>(), [2, 43, 120, 141].map(|bit| 8 * BLOCK + bit));
    }
}
