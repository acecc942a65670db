//! The starts of the blocks in sealed chunks. The lists of recently read chunks are kept in memory, so that RocksDB
//! finds an event with one lookup instead of two.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals::ReadError;
use arc_swap::ArcSwapOption;

use crate::family::Family;
use crate::keys::{self, CHUNK_EVENTS};

/// The number of lists in memory: enough for two million events. A list has 16 KiB if the events have 500 bytes each.
const SLOTS: usize = 32;

/// The block starts of recently read chunks. The slot of a chunk is its number modulo [`SLOTS`].
#[derive(Default)]
pub(crate) struct BlockIndex {
    slots: [Slot; SLOTS],
}

#[derive(Default)]
struct Slot {
    cached: ArcSwapOption<BlockStarts>,
    /// The last chunk that was read without being cached, plus one. A list is cached when it is read twice in a row:
    /// in a log with more chunks than slots, a list that is read once is not worth a copy.
    missed: AtomicU64,
}

/// The starts of the blocks of a chunk, as ascending local offsets.
struct BlockStarts {
    chunk: u64,
    starts: Box<[u16]>,
}

impl BlockIndex {
    /// Returns the offset at which the block of `offset` starts, in a sealed chunk; `None` if RocksDB does not have it.
    /// `index` is the column family of the index.
    pub(crate) fn block_of(
        &self,
        index: Family<'_>,
        offset: u64,
    ) -> Result<Option<u64>, ReadError> {
        let chunk = keys::chunk_of(offset);
        #[expect(clippy::cast_possible_truncation, reason = "below `SLOTS`")]
        let slot = &self.slots[(chunk % SLOTS as u64) as usize];
        if let Some(list) = slot.cached.load().as_ref().filter(|list| list.chunk == chunk) {
            let start = |at| list.starts.get(at).copied();
            return Ok(last_start(list.starts.len(), start, offset));
        }
        let Some(value) = index.get_pinned(&keys::blocks_key(chunk), offset)? else {
            return Ok(None);
        };
        let (pairs, _) = value.as_chunks::<2>();
        let start = |at: usize| pairs.get(at).map(|pair| u16::from_le_bytes(*pair));
        // Relaxed: pairs with this same swap in other threads; it guards no other memory. A race costs a cache miss.
        if slot.missed.swap(chunk + 1, Ordering::Relaxed) == chunk + 1 {
            let starts = (0..pairs.len()).filter_map(start).collect();
            slot.cached.store(Some(Arc::new(BlockStarts { chunk, starts })));
        }
        Ok(last_start(pairs.len(), start, offset))
    }

    /// Returns the bytes of memory that the lists take.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let cached = self.slots.iter().filter_map(|slot| slot.cached.load_full());
        cached.map(|list| size_of_val(&*list.starts)).sum()
    }
}

/// Returns the offset of the last block start that is not behind `offset`. `get` returns the `count` block starts of
/// its chunk, which are ascending local offsets.
pub(crate) fn last_start(
    count: usize,
    get: impl Fn(usize) -> Option<u16>,
    offset: u64,
) -> Option<u64> {
    let local = keys::local_offset(offset);
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if u32::from(get(middle)?) <= local { low = middle + 1 } else { high = middle }
    }
    let start = get(low.checked_sub(1)?)?;
    Some(keys::chunk_of(offset) * CHUNK_EVENTS + u64::from(start))
}
