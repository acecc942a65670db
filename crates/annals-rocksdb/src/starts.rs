//! Where the blocks of sealed chunks start, kept in memory for those that were asked for last: an event is then found with
//! one look into RocksDB instead of two.

use std::sync::Arc;

use annals::ReadError;
use arc_swap::ArcSwapOption;

use crate::database::Database;
use crate::keys::{self, CHUNK_EVENTS};

/// Lists that are kept: of two million events, and of 16 KiB each where events have 500 bytes.
const SLOTS: usize = 32;

/// The lists that are kept, by their chunks' numbers modulo their count.
#[derive(Default)]
pub(crate) struct BlockStarts {
    slots: [ArcSwapOption<Starts>; SLOTS],
}

/// Where the blocks of a chunk start: places in it, ascending.
pub(crate) struct Starts {
    chunk: u64,
    places: Box<[u16]>,
}

impl Starts {
    /// Whether the event at `offset` is of this chunk.
    pub(crate) fn covers(&self, offset: u64) -> bool {
        keys::chunk_of(offset) == self.chunk
    }

    /// The start of the block that has `offset`, an event of this chunk.
    pub(crate) fn block_of(&self, offset: u64) -> Option<u64> {
        last_start(self.places.len(), |at| self.places.get(at).copied(), offset)
    }
}

impl BlockStarts {
    /// The list of the chunk that has `offset`, which is sealed. `None`: RocksDB has none.
    pub(crate) fn get(
        &self,
        database: &Database,
        offset: u64,
    ) -> Result<Option<Arc<Starts>>, ReadError> {
        let chunk = keys::chunk_of(offset);
        let slot = &self.slots[usize::try_from(chunk % SLOTS as u64).unwrap_or(0)];
        if let Some(starts) = slot.load_full().filter(|starts| starts.chunk == chunk) {
            return Ok(Some(starts));
        }
        let Some(value) = database.index().get_pinned(&keys::blocks_key(chunk), offset)? else {
            return Ok(None);
        };
        let (pairs, _) = value.as_chunks::<2>();
        let places = pairs.iter().map(|place| u16::from_le_bytes(*place)).collect();
        let starts = Arc::new(Starts { chunk, places });
        slot.store(Some(Arc::clone(&starts)));
        Ok(Some(starts))
    }

    /// Bytes of memory that the lists take.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.slots
            .iter()
            .filter_map(ArcSwapOption::load_full)
            .map(|list| list.places.len() * 2)
            .sum()
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
