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

use std::sync::OnceLock;

use bytes::Bytes;

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

/// The filter of a segment, whose checksum is verified when it is first used.
#[derive(Debug)]
pub(crate) struct BloomFilter {
    /// The blocks. Empty if the segment has no filter.
    blocks: Bytes,
    checksum: u32,
    whole: OnceLock<bool>,
}

impl BloomFilter {
    /// Returns the filter in these bytes, which are whole blocks. Without a block, it is the filter of a segment that
    /// may have any name.
    pub(crate) fn new(blocks: Bytes, checksum: u32) -> Self {
        Self { blocks, checksum, whole: OnceLock::new() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.blocks
    }

    /// Returns whether the checksum is right.
    pub(crate) fn is_whole(&self) -> bool {
        *self.whole.get_or_init(|| crc32c(&self.blocks) == self.checksum)
    }

    /// Returns whether the segment may have the name with this hash, of any kind. If the filter is damaged, it may.
    pub(crate) fn may_have(&self, hash: u64) -> bool {
        if !self.is_whole() {
            return true;
        }
        let start = block_of(self.blocks.len() / BLOCK, hash) * BLOCK;
        let block = self.blocks.get(start..).and_then(|rest| rest.first_chunk::<BLOCK>());
        // Without an early exit: a branch on the first bits is hard to predict, and would have to wait for the block
        // before the next segment's is loaded.
        block.is_none_or(|block| {
            bits_of(hash).fold(1, |all, bit| all & block[bit / 8] >> (bit % 8)) & 1 != 0
        })
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
    use super::*;
    use crate::event::name::Hasher;

    fn filter(blocks: Vec<u8>) -> BloomFilter {
        let checksum = crc32c(&blocks);
        BloomFilter::new(blocks.into(), checksum)
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
            let passes = |name: String| filter.may_have(hash(&name));
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
        assert!(none.is_whole() && none.may_have(0) && none.may_have(u64::MAX));
    }

    #[test]
    fn a_filter_with_a_flipped_bit_is_not_whole_and_hides_no_name() {
        let whole = blocks_of(50);
        let checksum = crc32c(&whole);
        for bit in 0..8 * whole.len() {
            let mut blocks = whole.clone();
            blocks[bit / 8] ^= 1 << (bit % 8);
            let damaged = BloomFilter::new(blocks.into(), checksum);
            assert!(!damaged.is_whole(), "bit {bit}");
            assert!((0..50).all(|n| damaged.may_have(hash(&format!("name:{n}")))), "bit {bit}");
        }
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
