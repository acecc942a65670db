//! The readers' side: reads events by offset, and by a query through the index.
//!
//! ```text
//!   query ─▶ the chunks that have the query's names ─▶ local offsets in each ─▶ events
//! ```
//! A reader loads the head before the growing chunk. So every chunk before the growing one has its keys in RocksDB.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use annals::backend::{Hasher, Kind, Lookup, Search};
use annals::{
    Condition, Event, EventRef, NameCount, NameKind, RawEvent, ReadError, Recorded, Selection,
};
use arc_swap::ArcSwap;
use rocksdb::ReadOptions;

use crate::chunk::MemChunk;
use crate::count_cache::CountCache;
use crate::cursor::EventCursor;
use crate::database::Database;
use crate::index_cursor::IndexCursor;
use crate::keys::{self, CHUNK_EVENTS};
use crate::rollback::{FailedCommit, Rollback};
use crate::status::not_ours;

/// The approximate number of bytes of events on a page, since events may be large.
const PAGE_BYTES: usize = 1 << 20;

/// The number of consecutive events from which on reading ahead pays.
const MANY: u64 = 256;

/// The state that readers share.
pub(crate) struct Log {
    pub(crate) database: Database,
    /// Set for a writer. The field is behind `database`, so that a rollback runs after the database is closed.
    rollback: Option<Rollback>,
    pub(crate) hasher: Hasher,
    pub(crate) growing: ArcSwap<MemChunk>,
    pub(crate) count_cache: CountCache,
}

impl Log {
    /// Returns the log in `database`, whose last chunk is `growing`.
    pub(crate) fn new(database: Database, rollback: Option<Rollback>, growing: MemChunk) -> Self {
        let hasher = database.hasher();
        let growing = ArcSwap::from_pointee(growing);
        Self { database, rollback, hasher, growing, count_cache: CountCache::default() }
    }

    /// Records a failed commit, which is rolled back when the database is closed.
    pub(crate) fn commit_failed(&self, failed: FailedCommit) {
        if let Some(rollback) = &self.rollback {
            rollback.record(failed);
        }
    }

    /// Returns the event at `offset`, which must be below the head.
    pub(crate) fn get<E: Event>(&self, offset: u64) -> Result<Recorded<E>, ReadError> {
        let (event, time_ms) = self.get_raw(offset)?;
        Recorded::decode(offset, time_ms, event)
    }

    /// Returns the event at `offset`, which must be below the head, and its time in milliseconds.
    pub(crate) fn get_raw(&self, offset: u64) -> Result<(RawEvent, u64), ReadError> {
        EventCursor::at_random(&self.database, &self.growing.load()).read(offset)
    }

    /// As [`Backend::read`](annals::Backend::read), for offsets below the head.
    pub(crate) fn read<'a, E: Event>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, E>>,
    ) -> Result<Range<u64>, ReadError> {
        let Selection { query, mut range, reverse, limit } = selection;
        let search = Search::new(query, &self.hasher);
        let growing = [MemChunk::clone(&self.growing.load())];
        let many = limit as u64 >= MANY && range.end.saturating_sub(range.start) >= MANY;
        let in_order = search.is_all() && !reverse && many;
        let mut reading = Reading {
            events: if in_order {
                EventCursor::in_order_from(&self.database, &growing[0], range.start)?
            } else {
                EventCursor::at_random(&self.database, &growing[0])
            },
            full: page.len() + limit,
            before: page.len(),
            bytes: 0,
            page,
        };
        if search.is_all() {
            let all = |at: Range<u64>| {
                let next = || if reverse { at.end - 1 } else { at.start };
                Ok((!at.is_empty()).then(next))
            };
            reading.take(&mut range, reverse, all)?;
            return Ok(range);
        }
        let mut index = IndexCursor::new(&self.database)?;
        while !reading.is_full() {
            let Some(part) = next_part(&mut index, &search, &growing, &mut range, reverse)? else {
                break;
            };
            let first = part.chunk * CHUNK_EVENTS;
            let mut rest = part.offsets.clone();
            let mut take = |plan: &mut annals::backend::Plan<'_>| {
                reading.take(&mut rest, reverse, |at| {
                    let local = |offset| keys::local_bound(offset, first);
                    let found = if reverse {
                        plan.previous(local(at.end))
                    } else {
                        plan.next(local(at.start))
                    };
                    Ok(found
                        .map(|found| first + u64::from(found))
                        .filter(|found| at.contains(found)))
                })
            };
            match growing.iter().find(|growing| growing.chunk == part.chunk) {
                Some(growing) => take(&mut search.plan(growing))?,
                None => take(&mut search.plan(&index.load(&search, part.chunk)?))?,
            }
            if reverse {
                range.end = rest.end.max(part.offsets.start);
            } else {
                range.start = rest.start.max(range.start);
            }
            if rest.is_empty() {
                if reverse {
                    range.end = part.offsets.start;
                } else {
                    range.start = part.offsets.end;
                }
            }
        }
        Ok(range)
    }

    /// Returns the first event below `end` that the condition forbids. `unsealed` are the chunks without keys in
    /// RocksDB.
    pub(crate) fn conflict(
        &self,
        condition: &Condition,
        end: u64,
        unsealed: &[MemChunk],
    ) -> Result<Option<u64>, ReadError> {
        let search = Search::new(condition.query(), &self.hasher);
        let mut range = condition.head()..end;
        if search.is_all() {
            return Ok((!range.is_empty()).then_some(range.start));
        }
        // Most conditions concern only new events, whose index is in memory.
        let mut stored = None;
        while !range.is_empty() {
            let chunk = keys::chunk_of(range.start);
            let in_memory = unsealed.iter().find(|unsealed| unsealed.chunk == chunk);
            let found = if let Some(in_memory) = in_memory {
                let from = keys::local_offset(range.start);
                search.plan(in_memory).next(from).map(|local| (chunk, local))
            } else {
                let index = match &mut stored {
                    Some(index) => index,
                    none => none.insert(IndexCursor::new(&self.database)?),
                };
                let Some(part) = next_part(index, &search, unsealed, &mut range, false)? else {
                    break;
                };
                if unsealed.iter().any(|unsealed| unsealed.chunk == part.chunk) {
                    continue;
                }
                let stored = index.load(&search, part.chunk)?;
                let from = keys::local_offset(part.offsets.start);
                search.plan(&stored).next(from).map(|local| (part.chunk, local))
            };
            let found = found.map(|(chunk, local)| chunk * CHUNK_EVENTS + u64::from(local));
            if let Some(found) = found.filter(|found| range.contains(found)) {
                return Ok(Some(found));
            }
            range.start = (keys::chunk_of(range.start) + 1) * CHUNK_EVENTS;
        }
        Ok(None)
    }

    /// Returns the offset of the event with this id. `unsealed` are the chunks without keys in RocksDB.
    pub(crate) fn find_id(
        &self,
        id: annals::backend::Name<'_>,
        unsealed: &[MemChunk],
    ) -> Result<Option<u64>, ReadError> {
        for chunk in unsealed {
            if let Some(mut posting) = chunk.posting(Kind::Id, id) {
                return Ok(Some(chunk.chunk * CHUNK_EVENTS + u64::from(posting.get(0))));
            }
        }
        let Some(value) = self.database.ids().get(id.text.as_bytes(), 0)? else { return Ok(None) };
        let found = || {
            not_ours(
                &self.database.path,
                0,
                "an offset of 8 bytes as the value of an id",
                format!("{value:?}"),
            )
        };
        keys::number(&value).map(Some).ok_or_else(|| found().into())
    }

    /// Returns the names of a kind that start with `prefix`, with the number of their events below `head`.
    pub(crate) fn names(
        &self,
        kind: NameKind,
        prefix: &str,
        head: u64,
    ) -> Result<Vec<NameCount>, ReadError> {
        let kind = kind.into();
        let growing = self.growing.load_full();
        let mut counts: HashMap<String, u64> = HashMap::new();
        let start = keys::names_prefix(kind, prefix);
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        let mut index = self.database.index().iterator(options)?;
        index.seek(&start);
        while let Some(key) = index.key().filter(|key| key.starts_with(&start)) {
            let Some((_, name, chunk)) = keys::read_index_key(key) else {
                let found = format!("{key:?}");
                return Err(not_ours(&self.database.path, 0, "a key of the index", found).into());
            };
            // A chunk that was sealed since is counted below, as the growing chunk.
            if chunk < growing.chunk {
                let count = index.value().map_or(0, <[u8]>::len) as u64 / 2;
                match counts.get_mut(name) {
                    Some(known) => *known += count,
                    None => drop(counts.insert(name.to_owned(), count)),
                }
            }
            index.next();
        }
        index.status().map_err(self.database.unreadable(0))?;
        growing.index.for_each_name(kind, |name, mut posting| {
            // Offsets from the head on belong to a commit in progress.
            let first = growing.chunk * CHUNK_EVENTS;
            let below =
                (0..posting.len()).rev().find(|&at| first + u64::from(posting.get(at)) < head);
            if let Some(last) = below.filter(|_| name.starts_with(prefix)) {
                *counts.entry(name.to_owned()).or_default() += u64::from(last) + 1;
            }
        });
        Ok(counts.into_iter().map(|(name, count)| NameCount { name, count }).collect())
    }

    /// Replaces the growing chunk.
    pub(crate) fn set_growing(&self, growing: MemChunk) {
        self.growing.store(Arc::new(growing));
    }
}

/// A chunk, and the wanted offsets in it.
struct Part {
    chunk: u64,
    offsets: Range<u64>,
}

/// Returns the next part of `range` that may have matches, and removes everything before it from the range. With
/// `reverse`, the search goes from the end of the range. `unsealed` are the last chunks, which are always searched.
fn next_part(
    index: &mut IndexCursor<'_>,
    search: &Search<'_>,
    unsealed: &[MemChunk],
    range: &mut Range<u64>,
    reverse: bool,
) -> Result<Option<Part>, ReadError> {
    if range.is_empty() {
        return Ok(None);
    }
    let first_unsealed = unsealed.first().map_or(u64::MAX, |unsealed| unsealed.chunk);
    let mut chunk = keys::chunk_of(if reverse { range.end - 1 } else { range.start });
    if chunk < first_unsealed {
        match index.find(search, chunk, reverse)? {
            Some(found) => chunk = found.min(first_unsealed),
            None if reverse => {
                *range = range.start..range.start;
                return Ok(None);
            }
            None => chunk = first_unsealed,
        }
    }
    let of_chunk = chunk.saturating_mul(CHUNK_EVENTS)..(chunk + 1).saturating_mul(CHUNK_EVENTS);
    let offsets = range.start.max(of_chunk.start)..range.end.min(of_chunk.end);
    if offsets.is_empty() {
        *range = range.end..range.end;
        return Ok(None);
    }
    if reverse {
        range.end = offsets.end;
    } else {
        range.start = offsets.start;
    }
    Ok(Some(Part { chunk, offsets }))
}

/// A page that is being filled by a read.
struct Reading<'p, 'a, E> {
    events: EventCursor<'a>,
    page: &'p mut Vec<EventRef<'a, E>>,
    /// The length of the page before the read.
    before: usize,
    full: usize,
    bytes: usize,
}

impl<E: Event> Reading<'_, '_, E> {
    fn is_full(&self) -> bool {
        self.page.len() >= self.full || self.bytes >= PAGE_BYTES
    }

    /// Reads events of `range` until the page is full, and leaves the unread rest in `range`. `find` returns the next
    /// offset to read in a rest. An error is returned only if no event was read before it: the next page meets it
    /// again.
    fn take(
        &mut self,
        range: &mut Range<u64>,
        reverse: bool,
        mut find: impl FnMut(Range<u64>) -> Result<Option<u64>, ReadError>,
    ) -> Result<(), ReadError> {
        while !self.is_full() {
            let Some(offset) = find(range.clone())? else {
                *range = if reverse { range.start..range.start } else { range.end..range.end };
                return Ok(());
            };
            let read = self.events.read(offset).and_then(|(event, time_ms)| {
                self.bytes += event.body().len();
                Recorded::decode(offset, time_ms, event)
            });
            match read {
                Ok(event) => self.page.push(EventRef::Owned(event)),
                Err(_) if self.page.len() > self.before => {
                    // The page ends here.
                    self.full = self.page.len();
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            if reverse { range.end = offset } else { range.start = offset + 1 }
        }
        Ok(())
    }
}
