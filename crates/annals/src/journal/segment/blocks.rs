//! The checksums of the blocks of an index file, with which a reader checks only what it touches.
//!
//! ```text
//!   0 │ head, sections                     │ checksums of their blocks │ checksums of the filter's │ filter │
//!     └ a block for each 1,024 bytes       └ start: a multiple of 64   └ 64                        └ 64
//! ```
//! The blocks of the sections are counted from the start of the file, those of the filter from the filter's start. The
//! last of each may be shorter. A checksum has 4 bytes; zeroes follow up to a multiple of 64. The checksums themselves
//! need none: if one is damaged, its block counts as damaged.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::util::crc32c::crc32c;
use crate::util::little_endian::u32_at;

/// The checksums and the filter start at multiples of this number.
const ALIGNMENT: usize = 64;

/// The number of bytes that have a checksum together.
pub(crate) const CHECKED_BYTES: usize = 1024;

/// Returns the number of bytes that the checksums of so many bytes take, with the zeroes behind them.
pub(crate) fn checksums_size(bytes: u64) -> u64 {
    (4 * bytes.div_ceil(CHECKED_BYTES as u64)).next_multiple_of(ALIGNMENT as u64)
}

/// Returns the checksums of the blocks of `bytes`, with the zeroes behind them.
pub(crate) fn checksums_of(bytes: &[u8]) -> Vec<u8> {
    let checksums = bytes.chunks(CHECKED_BYTES).map(crc32c);
    let mut out: Vec<u8> = checksums.flat_map(u32::to_le_bytes).collect();
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    out
}

/// Returns whether block `block` of `bytes` has its checksum in `checksums`.
pub(crate) fn is_whole(bytes: &[u8], checksums: &[u8], block: usize) -> bool {
    let end = bytes.len().min((block + 1) * CHECKED_BYTES);
    bytes
        .get(block * CHECKED_BYTES..end)
        .is_some_and(|part| crc32c(part) == u32_at(checksums, 4 * block))
}

/// Returns whether all blocks of `bytes` have their checksums, and zeroes follow.
pub(crate) fn are_whole(bytes: &[u8], checksums: &[u8]) -> bool {
    checksums_of(bytes) == checksums
}

/// The blocks of an index file's sections that are known to be whole.
#[derive(Debug)]
pub(crate) struct CheckedBlocks {
    /// The end of the sections, where the checksums of their blocks start.
    end: usize,
    /// A bit for each block, allocated when the first block is checked.
    whole: OnceLock<Box<[AtomicU64]>>,
}

impl CheckedBlocks {
    /// Returns the blocks of the sections that end at `end`. None is checked yet.
    pub(crate) fn new(end: usize) -> Self {
        Self { end, whole: OnceLock::new() }
    }

    /// Returns the end of the sections, where the checksums of their blocks start.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// Returns whether the blocks of `range` are whole, of an index file with these bytes. Checks those that were not
    /// checked yet. The range has at least one byte.
    #[inline]
    pub(crate) fn are_whole(&self, bytes: &[u8], range: &Range<usize>) -> bool {
        let (first, last) = (range.start / CHECKED_BYTES, (range.end - 1) / CHECKED_BYTES);
        first == last && self.is_known(first) || self.check(bytes, first..last + 1)
    }

    /// Returns whether the block was checked and is whole.
    #[inline]
    fn is_known(&self, block: usize) -> bool {
        let word = self.whole.get().and_then(|whole| whole.get(block / 64));
        // Relaxed, paired with the `fetch_or` in `check`: the bit says that the block was checked, and publishes
        // nothing, since the bytes never change.
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 != 0)
    }

    /// Checks those of the blocks that were not checked yet.
    #[cold]
    fn check(&self, bytes: &[u8], blocks: Range<usize>) -> bool {
        let words = self.end.div_ceil(CHECKED_BYTES).div_ceil(64);
        let whole = self.whole.get_or_init(|| (0..words).map(|_| AtomicU64::new(0)).collect());
        let (sections, checksums) = bytes.split_at(self.end);
        blocks.into_iter().all(|block| {
            if self.is_known(block) {
                return true;
            }
            let is_whole = is_whole(sections, checksums, block);
            if is_whole && let Some(word) = whole.get(block / 64) {
                word.fetch_or(1 << (block % 64), Ordering::Relaxed); // pairs with the load in `is_known`
            }
            is_whole
        })
    }
}
