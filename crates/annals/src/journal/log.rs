//! The log as readers see it: the sealed segments and the active one, which are found without a lock.
//!
//! A segment is put on the list of sealed ones before the next becomes active. A reader loads the active one first;
//! every segment before it is therefore on the list.

use std::collections::HashMap;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_base::SegmentedList;
use arc_swap::{ArcSwap, Guard};

use super::count_cache::CountCache;
use super::directory::Directory;
use super::segment::segment::Segment;
use crate::backend::backend::{NameCount, Selection};
use crate::error::{Corruption, ReadError};
use crate::event::event::{Event, EventRef, Recorded};
use crate::event::name::Hasher;
use crate::event::name::Name;
use crate::event::raw::RawEvent;
use crate::index::lookup::Kind;
use crate::index::plan::Search;
use crate::metrics::stats::{SegmentStats, Stats};
use crate::query::Condition;
use crate::util::local_offset::local_offset;

/// The reading side of a Journal.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) directory: Directory,
    pub(crate) hasher: Hasher,
    pub(crate) sealed: SegmentedList<Segment>,
    pub(crate) active: ArcSwap<Segment>,
    /// The number of bytes of the active segment that are in use.
    pub(crate) active_bytes: AtomicU64,
    /// The numbers of events of names that were counted.
    pub(crate) count_cache: CountCache,
}

/// A segment, held while it is read.
pub(crate) enum SegmentRef<'a> {
    /// A sealed segment and its number.
    Sealed(&'a Segment, usize),
    Active(Guard<Arc<Segment>>),
}

impl Deref for SegmentRef<'_> {
    type Target = Segment;

    fn deref(&self) -> &Segment {
        match self {
            Self::Sealed(segment, _) => segment,
            Self::Active(segment) => segment,
        }
    }
}

impl Log {
    /// Returns the segment that contains `offset`, and the offset after its last event. The active segment has no end.
    fn segment(&self, offset: u64) -> (SegmentRef<'_>, u64) {
        let active = self.active.load();
        if offset >= active.first {
            return (SegmentRef::Active(active), u64::MAX);
        }
        let (mut low, mut high) = (0, self.sealed.len());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match self.sealed.get(middle) {
                Some(segment) if segment.first <= offset => low = middle,
                _ => high = middle,
            }
        }
        match self.sealed.get(low) {
            Some(segment) => {
                let end = self.sealed.get(low + 1).map_or(active.first, |next| next.first);
                (SegmentRef::Sealed(segment, low), end)
            }
            None => (SegmentRef::Active(active), u64::MAX),
        }
    }

    /// Returns the event at `offset`, which must be below the head.
    pub(crate) fn get<E: Event>(&self, offset: u64) -> Result<Recorded<E>, ReadError> {
        let (event, time_ms) = self.get_raw(offset)?;
        Recorded::decode(offset, time_ms, event)
    }

    pub(crate) fn get_raw(&self, offset: u64) -> Result<(RawEvent, u64), Corruption> {
        self.segment(offset).0.read(offset)
    }

    /// Does what [`Backend::read`](crate::Backend::read) does, for offsets below the head.
    pub(crate) fn read<'a, E: Event>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, E>>,
    ) -> Result<Range<u64>, ReadError> {
        let Selection { query, mut range, reverse, limit } = selection;
        let search = Search::new(query, &self.hasher);
        let full = page.len() + limit;
        while page.len() < full && !range.is_empty() {
            range = self.narrow(&search, range, reverse);
            if range.is_empty() {
                break;
            }
            let (segment, end) = self.segment(if reverse { range.end - 1 } else { range.start });
            let part = range.start.max(segment.first)..range.end.min(end);
            let left = match read_part(&segment, &search, part.clone(), reverse, full, page) {
                Ok(left) => left,
                // The events that were read are returned first. The error is returned by the next read.
                Err((_, left)) if page.len() + limit > full => left,
                Err((error, _)) => return Err(error),
            };
            if reverse {
                range.end = if left.is_empty() { part.start } else { left.end };
            } else {
                range.start = if left.is_empty() { part.end } else { left.start };
            }
            if !left.is_empty() {
                break;
            }
        }
        Ok(range)
    }

    /// Removes the sealed segments from the start of a range (not empty) that have no match by their filters; in
    /// reverse, from its end.
    fn narrow(&self, search: &Search<'_>, range: Range<u64>, reverse: bool) -> Range<u64> {
        if search.is_all() {
            return range;
        }
        let at = if reverse { range.end - 1 } else { range.start };
        let (SegmentRef::Sealed(segment, number), _) = self.segment(at) else { return range };
        if segment.may_match(search) {
            return range;
        }
        if reverse {
            let mut before = self.sealed.range(..number).rev();
            let mut end = segment.first;
            while end > range.start
                && let Some(segment) = before.next()
                && !segment.may_match(search)
            {
                end = segment.first;
            }
            range.start..end.max(range.start)
        } else {
            let mut end = number + 1;
            let within = |segment: &&Segment| segment.first < range.end;
            let rest = self.sealed.range(end..).take_while(within);
            end += rest.take_while(|segment| !segment.may_match(search)).count();
            self.start_of(end).min(range.end)..range.end
        }
    }

    /// Returns the first offset of the segment of this number, which is sealed or the one after the last sealed one.
    fn start_of(&self, number: usize) -> u64 {
        // Before the list is read: if the segment is sealed in between, it is found on the list.
        let active = self.active.load().first;
        self.sealed.get(number).map_or(active, |segment| segment.first)
    }

    /// Returns the offset of the first event below `end` that the condition forbids.
    pub(crate) fn conflict(
        &self,
        condition: &Condition,
        end: u64,
    ) -> Result<Option<u64>, ReadError> {
        let search = Search::new(condition.query(), &self.hasher);
        let mut from = condition.head();
        while from < end {
            from = self.narrow(&search, from..end, false).start;
            if from == end {
                break;
            }
            let (segment, segment_end) = self.segment(from);
            let found = segment
                .with_index(|index| search.plan(index).next(local(&segment, from)))?
                .map(|found| segment.first + u64::from(found));
            if let Some(found) = found.filter(|&found| found < end.min(segment_end)) {
                return Ok(Some(found));
            }
            from = segment_end;
        }
        Ok(None)
    }

    /// Returns the offset of the event with this id. Searches the newest segment first.
    pub(crate) fn find_id(&self, id: Name<'_>) -> Result<Option<u64>, ReadError> {
        let active = self.active.load();
        let mut found = active.find_id(id)?;
        let mut candidates = self.sealed.iter().rev().filter(|segment| segment.may_have(id));
        while found.is_none()
            && let Some(segment) = candidates.next()
        {
            found = segment.find_id(id)?;
        }
        Ok(found)
    }

    /// Returns the names of a kind that begin with `prefix`, with the numbers of their events below `head`.
    pub(crate) fn names(
        &self,
        kind: Kind,
        prefix: &str,
        head: u64,
    ) -> Result<Vec<NameCount>, ReadError> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        let active = self.active.load();
        for segment in
            self.sealed.iter().take_while(|segment| segment.first < active.first).chain([&**active])
        {
            let found = segment.with_index(|index| {
                let mut found = Vec::new();
                index.for_each_name(kind, |name, mut posting| {
                    if !name.starts_with(prefix) {
                        return;
                    }
                    let len = posting.len();
                    // Offsets at and beyond the head belong to a commit that is being written.
                    let mut below = |at| segment.first + u64::from(posting.get(at)) < head;
                    if let Some(last) = (0..len).rev().find(|&at| below(at)) {
                        found.push((name.to_owned(), u64::from(last) + 1));
                    }
                });
                found
            })?;
            for (name, count) in found {
                *counts.entry(name).or_default() += count;
            }
        }
        Ok(counts.into_iter().map(|(name, count)| NameCount { name, count }).collect())
    }

    /// Returns the sizes of each segment. The active one comes last.
    pub(crate) fn segments(&self) -> Vec<SegmentStats> {
        let active = self.active.load();
        let before = self.sealed.iter().take_while(|segment| segment.first < active.first);
        // Relaxed: a number for statistics, which orders nothing.
        let active_bytes = self.active_bytes.load(Ordering::Relaxed);
        let sealed = before.map(|segment| segment.stats(segment.bytes.len() as u64));
        sealed.chain([active.stats(active_bytes)]).collect()
    }

    /// Returns the sizes of all segments together.
    pub(crate) fn stats(&self) -> Stats {
        let segments = self.segments();
        let sum = |bytes: fn(&SegmentStats) -> u64| segments.iter().map(bytes).sum();
        Stats {
            event_bytes: sum(|segment| segment.event_bytes),
            index_bytes: sum(|segment| segment.index_bytes),
            memory_bytes: sum(|segment| segment.memory_bytes),
            segments: segments.len() as u64,
            ..Stats::default()
        }
    }
}

/// The approximate number of bytes of events that are read at once.
const PAGE_BYTES: usize = 1 << 20;

/// Returns the local offset of `offset` in a segment.
fn local(segment: &Segment, offset: u64) -> u32 {
    local_offset(offset, segment.first)
}

/// Reads the matches in `range` of one segment until `page` has `full` events. Returns the rest of the range, also with
/// an error.
fn read_part<E: Event>(
    segment: &Segment,
    search: &Search<'_>,
    mut range: Range<u64>,
    reverse: bool,
    full: usize,
    page: &mut Vec<EventRef<'_, E>>,
) -> Result<Range<u64>, (ReadError, Range<u64>)> {
    let failed = |damage: Corruption, range: &Range<u64>| (damage.into(), range.clone());
    let mut index = segment.index().map_err(|damage| failed(damage, &range))?;
    let mut plan = search.plan(&index);
    if index.is_damaged() {
        drop(plan);
        index = segment.index().map_err(|damage| failed(damage, &range))?;
        plan = search.plan(&index);
    }
    let mut frame = None;
    let mut bytes = 0;
    while page.len() < full && bytes < PAGE_BYTES && !range.is_empty() {
        let found = if reverse {
            plan.previous(local(segment, range.end))
        } else {
            plan.next(local(segment, range.start))
        };
        let Some(local) =
            found.filter(|&found| range.contains(&(segment.first + u64::from(found))))
        else {
            return Ok(range.end..range.end);
        };
        let offset = segment.first + u64::from(local);
        let position = index.position(local).map_or_else(|| segment.position(local), Ok);
        let read = position
            .and_then(|position| segment.read_at(position, offset, &mut frame))
            .map_err(ReadError::from);
        let recorded = read.and_then(|(event, time_ms)| {
            bytes += event.body().len();
            Recorded::decode(offset, time_ms, event)
        });
        page.push(EventRef::Owned(recorded.map_err(|error| (error, range.clone()))?));
        if reverse { range.end = offset } else { range.start = offset + 1 }
    }
    Ok(range)
}
