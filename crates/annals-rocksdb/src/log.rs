//! The readers' side: events by offset, and by what the index says of a query.
//!
//! ```text
//!   query ─▶ chunk after chunk, those without the query's names passed over ─▶ places in it ─▶ events
//! ```
//! A reader looks at the head first and at the growing chunk then: every chunk before that one has its keys.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use annals::backend::{Hasher, Kind, Lookup, Search};
use annals::{
    Condition, Event, EventRef, NameCount, NameKind, RawEvent, ReadError, Recorded, Selection,
};
use arc_swap::ArcSwap;
use rocksdb::ReadOptions;

use crate::chunk::{IndexCursor, LiveChunk};
use crate::cursor::EventCursor;
use crate::database::Database;
use crate::keys::{self, CHUNK_EVENTS};
use crate::status::not_ours;

/// Bytes of events that are read at once, about: they may be large.
const PAGE_BYTES: usize = 1 << 20;

/// Events that are read in order and worth reading ahead for.
const MANY: u64 = 256;

/// What readers have.
pub(crate) struct Log {
    pub(crate) database: Database,
    pub(crate) hasher: Hasher,
    /// The chunk that is growing.
    pub(crate) live: ArcSwap<LiveChunk>,
}

impl Log {
    /// The event at `offset`, which is below the head.
    pub(crate) fn get<E: Event>(&self, offset: u64) -> Result<Recorded<E>, ReadError> {
        let (event, time_ms) = self.get_raw(offset)?;
        Recorded::decode(offset, time_ms, event)
    }

    pub(crate) fn get_raw(&self, offset: u64) -> Result<(RawEvent, u64), ReadError> {
        EventCursor::at_random(&self.database, &self.live.load()).read(offset)
    }

    /// As [`Backend::read`](annals::Backend::read), of offsets below the head.
    pub(crate) fn read<'a, E: Event>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, E>>,
    ) -> Result<Range<u64>, ReadError> {
        let Selection { query, mut range, reverse, limit } = selection;
        let search = Search::new(query, &self.hasher);
        let live = [LiveChunk::clone(&self.live.load())];
        let many = limit as u64 >= MANY && range.end.saturating_sub(range.start) >= MANY;
        let in_order = search.is_all() && !reverse && many;
        let mut reading = Reading {
            events: if in_order {
                EventCursor::in_order_from(&self.database, &live[0], range.start)?
            } else {
                EventCursor::at_random(&self.database, &live[0])
            },
            full: page.len() + limit,
            begun: page.len(),
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
            let Some(part) = next_part(&mut index, &search, &live, &mut range, reverse)? else {
                break;
            };
            let first = part.chunk * CHUNK_EVENTS;
            let mut rest = part.offsets.clone();
            let mut take = |plan: &mut annals::backend::Plan<'_>| {
                reading.take(&mut rest, reverse, |at| {
                    let place = |offset| keys::place_from(offset, first);
                    let found = if reverse {
                        plan.previous(place(at.end))
                    } else {
                        plan.next(place(at.start))
                    };
                    Ok(found
                        .map(|found| first + u64::from(found))
                        .filter(|found| at.contains(found)))
                })
            };
            match live.iter().find(|live| live.chunk == part.chunk) {
                Some(live) => take(&mut search.plan(live))?,
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

    /// The first event below `end` that the condition forbids; `live` are the chunks that have no keys yet.
    pub(crate) fn conflict(
        &self,
        condition: &Condition,
        end: u64,
        live: &[LiveChunk],
    ) -> Result<Option<u64>, ReadError> {
        let search = Search::new(condition.query(), &self.hasher);
        let mut range = condition.head()..end;
        if search.is_all() {
            return Ok((!range.is_empty()).then_some(range.start));
        }
        // Most conditions ask of what is new, which is in memory.
        let mut stored = None;
        while !range.is_empty() {
            let chunk = keys::chunk_of(range.start);
            let found = if let Some(live) = live.iter().find(|live| live.chunk == chunk) {
                search.plan(live).next(keys::place_of(range.start)).map(|place| (chunk, place))
            } else {
                let index = match &mut stored {
                    Some(index) => index,
                    none => none.insert(IndexCursor::new(&self.database)?),
                };
                let Some(part) = next_part(index, &search, live, &mut range, false)? else { break };
                if live.iter().any(|live| live.chunk == part.chunk) {
                    continue;
                }
                let places = index.load(&search, part.chunk)?;
                let from = keys::place_of(part.offsets.start);
                search.plan(&places).next(from).map(|place| (part.chunk, place))
            };
            let found = found.map(|(chunk, place)| chunk * CHUNK_EVENTS + u64::from(place));
            if let Some(found) = found.filter(|found| range.contains(found)) {
                return Ok(Some(found));
            }
            range.start = (keys::chunk_of(range.start) + 1) * CHUNK_EVENTS;
        }
        Ok(None)
    }

    /// The event with this id; `live` are the chunks that have no keys yet.
    pub(crate) fn find_id(
        &self,
        id: annals::backend::Name<'_>,
        live: &[LiveChunk],
    ) -> Result<Option<u64>, ReadError> {
        for live in live {
            if let Some(mut posting) = live.posting(Kind::Id, id) {
                return Ok(Some(live.chunk * CHUNK_EVENTS + u64::from(posting.get(0))));
            }
        }
        let Some(value) = self.database.ids().get(id.text.as_bytes(), 0)? else { return Ok(None) };
        let found = || {
            not_ours(
                &self.database.path,
                0,
                "an offset of 8 bytes behind an id",
                format!("{value:?}"),
            )
        };
        keys::number(&value).map(Some).ok_or_else(|| found().into())
    }

    /// The names of a kind that begin with `prefix`, counted below `head`.
    pub(crate) fn names(
        &self,
        kind: NameKind,
        prefix: &str,
        head: u64,
    ) -> Result<Vec<NameCount>, ReadError> {
        let kind = match kind {
            NameKind::Type => Kind::Type,
            NameKind::Tag => Kind::Tag,
        };
        let live = self.live.load_full();
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
            // What was sealed meanwhile is counted with the growing chunk.
            if chunk < live.chunk {
                let count = index.value().map_or(0, <[u8]>::len) as u64 / 2;
                match counts.get_mut(name) {
                    Some(known) => *known += count,
                    None => drop(counts.insert(name.to_owned(), count)),
                }
            }
            index.next();
        }
        index.status().map_err(self.database.unreadable(0))?;
        live.index.for_each_name(kind, |name, mut posting| {
            // Offsets at and beyond the head are of a commit that is under way.
            let first = live.chunk * CHUNK_EVENTS;
            let below =
                (0..posting.len()).rev().find(|&at| first + u64::from(posting.get(at)) < head);
            if let Some(last) = below.filter(|_| name.starts_with(prefix)) {
                *counts.entry(name.to_owned()).or_default() += u64::from(last) + 1;
            }
        });
        Ok(counts.into_iter().map(|(name, count)| NameCount { name, count }).collect())
    }

    /// Makes this the growing chunk.
    pub(crate) fn set_live(&self, live: LiveChunk) {
        self.live.store(Arc::new(live));
    }
}

/// A chunk, and the offsets in it that are wanted.
struct Part {
    chunk: u64,
    offsets: Range<u64>,
}

/// The next part of `range` that may have matches, in its direction; what comes before it is cut off the range. `live`
/// are the last chunks, which are always looked at.
fn next_part(
    index: &mut IndexCursor<'_>,
    search: &Search<'_>,
    live: &[LiveChunk],
    range: &mut Range<u64>,
    reverse: bool,
) -> Result<Option<Part>, ReadError> {
    if range.is_empty() {
        return Ok(None);
    }
    let first_live = live.first().map_or(u64::MAX, |live| live.chunk);
    let mut chunk = keys::chunk_of(if reverse { range.end - 1 } else { range.start });
    if chunk < first_live {
        match index.find(search, chunk, reverse)? {
            Some(found) => chunk = found.min(first_live),
            None if reverse => {
                *range = range.start..range.start;
                return Ok(None);
            }
            None => chunk = first_live,
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

/// A page that is being filled.
struct Reading<'p, 'a, E> {
    events: EventCursor<'a>,
    page: &'p mut Vec<EventRef<'a, E>>,
    begun: usize,
    full: usize,
    bytes: usize,
}

impl<E: Event> Reading<'_, '_, E> {
    fn is_full(&self) -> bool {
        self.page.len() >= self.full || self.bytes >= PAGE_BYTES
    }

    /// Reads the events of `range` that `find` finds in what is left of it, until the page is full, and leaves in `range` what
    /// is left. An error is answered only if nothing was read before it: it comes again when the rest is asked for.
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
                Err(_) if self.page.len() > self.begun => {
                    // Nothing more on this page.
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
