//! Ordinals in the log: the number of events that have a name, and the offset of the nth of them.
//!
//! ```text
//!   segment        0    1    2    …   active
//!   events         7    0    4        the list in memory
//!   totals         7    7   11        cached for a name
//! ```
//! So a count looks up the name in the two segments at the ends of its range, and an nth in one.

use std::ops::Range;
use std::sync::Arc;

use arc_swap::Guard;

use super::count_cache::Totals;
use super::log::Log;
use super::segment::segment::{CheckedIndex, Segment};
use crate::error::ReadError;
use crate::event::name::Name;
use crate::index::lookup::{Kind, Lookup};
use crate::util::local_offset::local_offset;

/// The number of sealed segments up to which nothing is cached, since counting is as fast.
const FEW_SEGMENTS: usize = 2;

/// The segments at one moment, and the totals of a name in them.
struct Counted<'a> {
    log: &'a Log,
    kind: Kind,
    name: Name<'a>,
    active: Guard<Arc<Segment>>,
    /// The number of segments before the active one.
    sealed: usize,
    totals: Totals,
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
        let counted = Counted::new(self, kind, self.hasher.name(name))?;
        Ok(counted.below(range.end)? - counted.below(range.start)?)
    }

    /// Returns the offset of event number `nth`, counted from 0, of those with this name. It may be at or beyond the
    /// published head.
    pub(crate) fn nth(&self, kind: Kind, name: &str, nth: u64) -> Result<Option<u64>, ReadError> {
        Counted::new(self, kind, self.hasher.name(name))?.nth(nth)
    }
}

impl<'a> Counted<'a> {
    fn new(log: &'a Log, kind: Kind, name: Name<'a>) -> Result<Self, ReadError> {
        // Before the list is read: every segment before the active one is on it.
        let active = log.active.load();
        let sealed = segments_before(log, active.first, log.sealed.len());
        let totals = totals(log, kind, name, sealed)?;
        Ok(Self { log, kind, name, active, sealed, totals })
    }

    /// Returns the number of events with the name in the first `count` sealed segments.
    fn total(&self, count: usize) -> u64 {
        count.checked_sub(1).map_or(0, |last| self.totals[last])
    }

    /// Returns the number of events with the name below `offset`.
    fn below(&self, offset: u64) -> Result<u64, ReadError> {
        let (before, segment) = if offset > self.active.first {
            (self.sealed, &**self.active)
        } else {
            let sealed = segments_before(self.log, offset, self.sealed);
            let Some(last) = sealed.checked_sub(1) else { return Ok(0) };
            if self.total(last) == self.totals[last] {
                return Ok(self.totals[last]);
            }
            (last, self.sealed_segment(last))
        };
        let local = local_offset(offset, segment.first);
        let within = segment.with_index(|index| {
            let posting = index.posting(self.kind, self.name);
            posting.map_or(0, |mut posting| posting.count_below(local))
        })?;
        Ok(self.total(before) + u64::from(within))
    }

    fn nth(&self, nth: u64) -> Result<Option<u64>, ReadError> {
        let number = self.totals[..self.sealed].partition_point(|&total| total <= nth);
        let segment =
            if number < self.sealed { self.sealed_segment(number) } else { &**self.active };
        let within = u32::try_from(nth - self.total(number)).ok();
        let local = segment.with_index(|index| {
            let mut posting = index.posting(self.kind, self.name)?;
            within.filter(|&at| at < posting.len()).map(|at| posting.get(at))
        })?;
        Ok(local.map(|local| segment.first + u64::from(local)))
    }

    fn sealed_segment(&self, number: usize) -> &Segment {
        self.log.sealed.get(number).expect("a sealed segment stays on the list")
    }
}

/// Returns how many of the first `count` sealed segments begin before `offset`.
fn segments_before(log: &Log, offset: u64, count: usize) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if log.sealed.get(middle).is_some_and(|segment| segment.first < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Returns the totals of at least the first `sealed` segments.
fn totals(log: &Log, kind: Kind, name: Name<'_>, sealed: usize) -> Result<Totals, ReadError> {
    let known = log.count_cache.get(kind, name.text).unwrap_or_default();
    if known.len() >= sealed {
        return Ok(known);
    }
    let mut totals = known.to_vec();
    let mut total = totals.last().copied().unwrap_or(0);
    for segment in log.sealed.range(totals.len()..).take(sealed - totals.len()) {
        if segment.may_have(name) {
            let len = |index: &CheckedIndex<'_>| index.posting(kind, name).map_or(0, |p| p.len());
            total += u64::from(segment.with_index(len)?);
        }
        totals.push(total);
    }
    let totals = Totals::from(totals);
    if sealed > FEW_SEGMENTS {
        log.count_cache.put(kind, name.text, &totals);
    }
    Ok(totals)
}
