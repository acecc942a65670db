//! Where the blocks of sealed chunks start, kept in memory for those that were asked for last: an event is then found with
//! one look into RocksDB instead of two.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals::ReadError;
use arc_swap::ArcSwapOption;

use crate::database::Database;
use crate::keys::{self, CHUNK_EVENTS};

/// Lists that are kept: of two million events, and of 16 KiB each where events have 500 bytes.
const SLOTS: usize = 32;

/// The lists that are kept, by their chunks' numbers modulo their count.
#[derive(Default)]
pub(crate) struct BlockStarts {
    slots: [Slot; SLOTS],
}

#[derive(Default)]
struct Slot {
    kept: ArcSwapOption<Starts>,
    /// One more than the chunk that was asked for last and not kept. In a log of more chunks than there are slots, a list
    /// that is asked for once is not worth a copy.
    missed: AtomicU64,
}

/// Where the blocks of a chunk start: places in it, ascending.
struct Starts {
    chunk: u64,
    places: Box<[u16]>,
}

impl BlockStarts {
    /// The start of the block that has `offset`, an event of a sealed chunk. `None`: RocksDB has none.
    pub(crate) fn block_of(
        &self,
        database: &Database,
        offset: u64,
    ) -> Result<Option<u64>, ReadError> {
        let chunk = keys::chunk_of(offset);
        #[expect(clippy::cast_possible_truncation, reason = "below `SLOTS`")]
        let slot = &self.slots[(chunk % SLOTS as u64) as usize];
        if let Some(starts) = slot.kept.load().as_ref().filter(|starts| starts.chunk == chunk) {
            let place = |at| starts.places.get(at).copied();
            return Ok(last_start(starts.places.len(), place, offset));
        }
        let Some(value) = database.index().get_pinned(&keys::blocks_key(chunk), offset)? else {
            return Ok(None);
        };
        let (pairs, _) = value.as_chunks::<2>();
        let place = |at: usize| pairs.get(at).map(|place| u16::from_le_bytes(*place));
        // Relaxed: what is kept does not depend on it.
        if slot.missed.swap(chunk + 1, Ordering::Relaxed) == chunk + 1 {
            let places = (0..pairs.len()).filter_map(place).collect();
            slot.kept.store(Some(Arc::new(Starts { chunk, places })));
        }
        Ok(last_start(pairs.len(), place, offset))
    }

    /// Bytes of memory that the lists take.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let kept = self.slots.iter().filter_map(|slot| slot.kept.load_full());
        kept.map(|list| size_of_val(&*list.places)).sum()
    }
}

/// Of `count` places where blocks start, ascending, the last that is not behind that of `offset`: the block's start, an
/// offset.
pub(crate) fn last_start(
    count: usize,
    get: impl Fn(usize) -> Option<u16>,
    offset: u64,
) -> Option<u64> {
    let place = keys::place_of(offset);
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if u32::from(get(middle)?) <= place { low = middle + 1 } else { high = middle }
    }
    let start = get(low.checked_sub(1)?)?;
    Some(keys::chunk_of(offset) * CHUNK_EVENTS + u64::from(start))
}
