//! Ordinals: the number of events that have a name, and the offset of the nth of them.
//!
//! The index has one key for each name and chunk of 65,536 events. Its value has two bytes for each event, so its size
//! is their number. The numbers of sealed chunks are cached, so a count reads the two chunks at the ends of its range,
//! and an nth reads one.

use std::ops::Range;
use std::sync::Arc;

use annals::ReadError;
use annals::backend::{Kind, Lookup};
use rocksdb::ReadOptions;

use crate::chunk::MemChunk;
use crate::count_cache::Totals;
use crate::keys::{self, CHUNK_EVENTS};
use crate::log::Log;
use crate::status::not_ours;

/// The growing chunk at one moment, and the totals of a name in the chunks before it.
struct Counted<'a> {
    log: &'a Log,
    kind: Kind,
    name: &'a str,
    growing: MemChunk,
    totals: Arc<Totals>,
}

impl Log {
    /// Returns the number of events with this name in a range that ends at most at the head.
    pub(crate) fn count(
        &self,
        kind: Kind,
        name: &str,
        range: Range<u64>,
    ) -> Result<u64, ReadError> {
        if range.is_empty() {
            return Ok(0);
        }
        let counted = Counted::new(self, kind, name)?;
        Ok(counted.below(range.end)? - counted.below(range.start)?)
    }

    /// Returns the offset of event number `nth`, counted from 0, of those with this name. It may be at or beyond the
    /// published head.
    pub(crate) fn nth(&self, kind: Kind, name: &str, nth: u64) -> Result<Option<u64>, ReadError> {
        Counted::new(self, kind, name)?.nth(nth)
    }

    /// Returns the totals of a name in the chunks before `end`, which are sealed.
    fn totals(&self, kind: Kind, name: &str, end: u64) -> Result<Arc<Totals>, ReadError> {
        let prefix = keys::name_prefix(kind, name);
        let known = self.count_cache.get(&prefix);
        if known.end >= end {
            return Ok(known);
        }
        let mut totals = Totals::clone(&known);
        let mut options = ReadOptions::default();
        options.set_prefix_same_as_start(true);
        options.set_iterate_upper_bound(keys::index_key(kind, name, end));
        let mut index = self.database.index().iterator(options)?;
        index.seek(keys::index_key(kind, name, known.end));
        while let Some(key) = index.key() {
            let Some((_, _, chunk)) = keys::read_index_key(key) else {
                let found = format!("{key:?}");
                return Err(not_ours(&self.database.path, 0, "a key of the index", found).into());
            };
            totals.push(chunk, index.value().map_or(0, <[u8]>::len) as u64 / 2);
            index.next();
        }
        index.status().map_err(self.database.unreadable(0))?;
        totals.end = end;
        let totals = Arc::new(totals);
        self.count_cache.put(&prefix, &totals);
        Ok(totals)
    }
}

impl<'a> Counted<'a> {
    fn new(log: &'a Log, kind: Kind, name: &'a str) -> Result<Self, ReadError> {
        // Every chunk before the growing one has its keys in RocksDB.
        let growing = MemChunk::clone(&log.growing.load());
        let totals = log.totals(kind, name, growing.chunk)?;
        Ok(Self { log, kind, name, growing, totals })
    }

    /// Returns the number of events with the name below `offset`.
    fn below(&self, offset: u64) -> Result<u64, ReadError> {
        let chunk = keys::chunk_of(offset).min(self.growing.chunk);
        let (before, has_any) = self.totals.at_chunk(chunk);
        let first = chunk * CHUNK_EVENTS;
        if chunk == self.growing.chunk {
            let posting = self.growing.posting(self.kind, self.log.hasher.name(self.name));
            let local = u32::try_from(offset - first).unwrap_or(u32::MAX);
            let within = posting.map_or(0, |mut posting| posting.count_below(local));
            return Ok(before + u64::from(within));
        }
        if !has_any || offset == first {
            return Ok(before);
        }
        let local = keys::local_offset(offset);
        let below = |locals: &[[u8; 2]]| {
            locals.partition_point(|&other| u32::from(u16::from_le_bytes(other)) < local) as u64
        };
        Ok(before + self.stored(chunk, below)?)
    }

    fn nth(&self, nth: u64) -> Result<Option<u64>, ReadError> {
        if let Some((chunk, before)) = self.totals.chunk_of(nth) {
            let first = chunk * CHUNK_EVENTS;
            let at = usize::try_from(nth - before).unwrap_or(usize::MAX);
            return self.stored(chunk, |locals| {
                locals.get(at).map(|&local| first + u64::from(u16::from_le_bytes(local)))
            });
        }
        let name = self.log.hasher.name(self.name);
        let Some(mut posting) = self.growing.posting(self.kind, name) else { return Ok(None) };
        let left = nth - self.totals.before(self.totals.chunks.len());
        let at = u32::try_from(left).ok().filter(|&at| at < posting.len());
        let first = self.growing.chunk * CHUNK_EVENTS;
        Ok(at.map(|at| first + u64::from(posting.get(at))))
    }

    /// Returns what `read` finds in the local offsets of the name in a sealed chunk.
    fn stored<T>(&self, chunk: u64, read: impl FnOnce(&[[u8; 2]]) -> T) -> Result<T, ReadError> {
        let key = keys::index_key(self.kind, self.name, chunk);
        let value = self.log.database.index().get_pinned(&key, chunk * CHUNK_EVENTS)?;
        let Some(value) = value else {
            let expected = format!("the key {:?}", String::from_utf8_lossy(&key));
            let path = &self.log.database.path;
            return Err(not_ours(path, chunk * CHUNK_EVENTS, &expected, "none").into());
        };
        let (locals, _) = value.as_chunks::<2>();
        Ok(read(locals))
    }
}
