//! Ordinals: the number of events that have a name, and the offset of the nth of them.
//!
//! The index has one key for each name and chunk of 65,536 events. Its value has two bytes for each event, so its size
//! tells their number.

use std::ops::Range;

use annals::ReadError;
use annals::backend::{Kind, Lookup, Posting};
use rocksdb::ReadOptions;

use crate::chunk::{MemChunk, widen};
use crate::keys::{self, CHUNK_EVENTS};
use crate::log::Log;
use crate::status::not_ours;

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
        let growing = MemChunk::clone(&self.growing.load());
        let mut count = 0;
        let within = |chunk: u64, mut posting: Posting<'_>| {
            u64::from(below(&mut posting, chunk, range.end))
                - u64::from(below(&mut posting, chunk, range.start))
        };
        self.stored(kind, name, keys::chunk_of(range.start), growing.chunk, |chunk, value| {
            if chunk > keys::chunk_of(range.end - 1) {
                return false;
            }
            let whole = chunk * CHUNK_EVENTS..(chunk + 1) * CHUNK_EVENTS;
            count += if range.start <= whole.start && range.end >= whole.end {
                value.len() as u64 / 2
            } else {
                within(chunk, Posting::Sealed(&widen(value)))
            };
            true
        })?;
        if let Some(posting) = growing.posting(kind, self.hasher.name(name)) {
            count += within(growing.chunk, posting);
        }
        Ok(count)
    }

    /// Returns the offset of event number `nth`, counted from 0, of those with this name. It may be at or beyond the
    /// published head.
    pub(crate) fn nth(&self, kind: Kind, name: &str, nth: u64) -> Result<Option<u64>, ReadError> {
        let growing = MemChunk::clone(&self.growing.load());
        let (mut left, mut found) = (nth, None);
        self.stored(kind, name, 0, growing.chunk, |chunk, value| {
            let count = value.len() as u64 / 2;
            if left >= count {
                left -= count;
                return true;
            }
            let at = usize::try_from(left).unwrap_or(usize::MAX).saturating_mul(2);
            let local = value.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]));
            found = Some(chunk * CHUNK_EVENTS + u64::from(local));
            false
        })?;
        if found.is_some() {
            return Ok(found);
        }
        let Some(mut posting) = growing.posting(kind, self.hasher.name(name)) else {
            return Ok(None);
        };
        let at = u32::try_from(left).ok().filter(|&at| at < posting.len());
        Ok(at.map(|at| growing.chunk * CHUNK_EVENTS + u64::from(posting.get(at))))
    }

    /// Calls `see` with the number and the value of each chunk of `from..to` that has the name, in order, until it
    /// returns false.
    fn stored(
        &self,
        kind: Kind,
        name: &str,
        from: u64,
        to: u64,
        mut see: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), ReadError> {
        if from >= to {
            return Ok(());
        }
        let mut options = ReadOptions::default();
        options.set_prefix_same_as_start(true);
        options.set_iterate_upper_bound(keys::index_key(kind, name, to));
        let mut index = self.database.index().iterator(options)?;
        index.seek(keys::index_key(kind, name, from));
        while let Some(key) = index.key() {
            let Some((_, _, chunk)) = keys::read_index_key(key) else {
                let found = format!("{key:?}");
                return Err(not_ours(&self.database.path, 0, "a key of the index", found).into());
            };
            if !see(chunk, index.value().unwrap_or_default()) {
                return Ok(());
            }
            index.next();
        }
        index.status().map_err(self.database.unreadable(0))?;
        Ok(())
    }
}

/// Returns how many offsets of a chunk's posting are below `offset`.
fn below(posting: &mut Posting<'_>, chunk: u64, offset: u64) -> u32 {
    let first = chunk * CHUNK_EVENTS;
    match offset.checked_sub(first) {
        None => 0,
        Some(local) if local >= CHUNK_EVENTS => posting.len(),
        Some(local) => posting.count_below(u32::try_from(local).unwrap_or(u32::MAX)),
    }
}
