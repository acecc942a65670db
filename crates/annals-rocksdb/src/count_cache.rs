//! The numbers of events of names that were counted, which are cached, since sealed chunks do not change.
//!
//! ```text
//!   chunk          0    1    2    3   growing
//!   events         7    0    4    2   the list in memory
//!   cached        (0,7)     (2,11) (3,13)          the chunks that have the name, and the events up to each one
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The number of cached chunks, of all names together, from which on the cache begins anew: 4 MiB.
const CACHED_CHUNKS: usize = 1 << 18;

/// The totals of names that were counted.
#[derive(Default)]
pub(crate) struct CountCache {
    names: Mutex<Names>,
}

#[derive(Default)]
struct Names {
    /// The totals of each name. The key is the start of the name's keys in the index.
    totals: HashMap<Box<[u8]>, Arc<Totals>>,
    /// The number of chunks in all totals.
    chunks: usize,
}

/// The number of events that have a name, up to each sealed chunk that has any.
#[derive(Clone, Default)]
pub(crate) struct Totals {
    /// The chunk up to which they were counted.
    pub(crate) end: u64,
    /// The chunks that have the name, in order.
    pub(crate) chunks: Vec<ChunkTotal>,
}

/// A sealed chunk that has events with a name.
#[derive(Clone, Copy)]
pub(crate) struct ChunkTotal {
    pub(crate) chunk: u64,
    /// The number of events with the name up to the end of this chunk.
    pub(crate) total: u64,
}

impl Totals {
    /// Adds the next chunk that has the name.
    pub(crate) fn push(&mut self, chunk: u64, count: u64) {
        self.chunks.push(ChunkTotal { chunk, total: self.before(self.chunks.len()) + count });
    }

    /// Returns the number of events with the name in the first `count` chunks that have any.
    pub(crate) fn before(&self, count: usize) -> u64 {
        count.checked_sub(1).map_or(0, |last| self.chunks[last].total)
    }

    /// Returns the number of events with the name in the sealed chunks before `chunk`, and whether `chunk` has any.
    pub(crate) fn at_chunk(&self, chunk: u64) -> (u64, bool) {
        let at = self.chunks.partition_point(|counted| counted.chunk < chunk);
        (self.before(at), self.chunks.get(at).is_some_and(|counted| counted.chunk == chunk))
    }

    /// Returns the chunk that has event number `nth` with the name, and the number of events with it before that chunk;
    /// `None` if no counted chunk has it.
    pub(crate) fn chunk_of(&self, nth: u64) -> Option<(u64, u64)> {
        let at = self.chunks.partition_point(|counted| counted.total <= nth);
        Some((self.chunks.get(at)?.chunk, self.before(at)))
    }
}

impl CountCache {
    /// Returns the totals of a name, which may be of fewer chunks than are sealed now.
    pub(crate) fn get(&self, name: &[u8]) -> Arc<Totals> {
        self.names.lock().totals.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn put(&self, name: &[u8], totals: &Arc<Totals>) {
        let mut names = self.names.lock();
        if names.chunks + totals.chunks.len() + 1 > CACHED_CHUNKS {
            *names = Names::default();
        }
        // A name without any chunk counts, too: its key takes memory.
        names.chunks += totals.chunks.len() + 1;
        if let Some(before) = names.totals.insert(name.into(), Arc::clone(totals)) {
            names.chunks -= before.chunks.len() + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(chunks: u64) -> Arc<Totals> {
        let mut totals = Totals { end: 2 * chunks, chunks: Vec::new() };
        (0..chunks).for_each(|chunk| totals.push(2 * chunk, 3));
        Arc::new(totals)
    }

    #[test]
    fn a_chunk_is_found_by_its_number_and_by_an_event() {
        let totals = totals(2);
        let expected = [(0, true), (3, false), (3, true), (6, false), (6, false)];
        assert_eq!([0, 1, 2, 3, 9].map(|chunk| totals.at_chunk(chunk)), expected);
        let expected = [Some((0, 0)), Some((0, 0)), Some((2, 3)), Some((2, 3)), None];
        assert_eq!([0, 2, 3, 5, 6].map(|nth| totals.chunk_of(nth)), expected);
    }

    #[test]
    fn the_cache_has_a_bound_and_counts_a_replaced_name_once() {
        let cache = CountCache::default();
        for _ in 0..CACHED_CHUNKS {
            cache.put(b"a", &totals(9));
        }
        assert_eq!(cache.names.lock().chunks, 10);
        for n in 0..CACHED_CHUNKS as u64 / 5 {
            cache.put(&n.to_be_bytes(), &totals(9));
            assert!(cache.names.lock().chunks <= CACHED_CHUNKS);
        }
        assert_eq!(cache.get(b"a").chunks.len(), 0);
    }
}
