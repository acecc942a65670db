//! The filters of all sealed segments, and the walk over those segments that pass them.
//!
//! ```text
//!   segments   0 … 511              512 … 575   576 … 583   584, 585, 586
//!   filters    one of 512           one of 64   one of 8    none yet: each is a candidate
//! ```
//! When eight segments are sealed they get a filter, and when eight filters are there, one takes their place: so there
//! are few, and a search over ten thousand segments looks into those that have what it wants and hardly any other.
//! Filters are derived: without one its segments are all candidates.

use std::io;
use std::ops::Range;

use annals_base::{ListWriter, SegmentedList, segmented_list};
use bytes::Bytes;

use super::directory::Directory;
use super::filter::{self, FAN, Filter, MOST_SEGMENTS, SegmentSet, Span};
use super::fs::{FileSystem, map_all, write_all_with};
use super::segment::{CheckedIndex, Segment};
use crate::index::Kind;

/// How many segments a filter is for, tier by tier.
pub(super) const SEGMENTS: [usize; TIERS] = [FAN, FAN * FAN, MOST_SEGMENTS];
const TIERS: usize = 3;

/// The filters as readers have them: of each tier those of the first segments, the next, and so on; `None` where one
/// of a higher tier is there, or none could be had.
#[derive(Debug, Clone)]
pub(crate) struct Filters {
    tiers: [SegmentedList<Option<Filter>>; TIERS],
}

impl Filters {
    /// The filter to ask about a segment, and the segments that it is for.
    fn of(&self, segment: usize) -> Option<(&Filter, Range<usize>)> {
        (0..TIERS).rev().find_map(|tier| {
            let size = SEGMENTS[tier];
            let filter = self.tiers[tier].get(segment / size)?.as_ref()?;
            let start = segment / size * size;
            filter.is_whole().then_some((filter, start..start + size))
        })
    }

    /// The walk over segments that `ask` says a filter lets pass.
    pub(crate) fn sieve<F: Fn(&Filter) -> SegmentSet>(&self, ask: F) -> Sieve<'_, F> {
        Sieve { filters: self, ask, asked: 0..0, candidates: SegmentSet::ALL }
    }

    /// Whether there is one of a higher tier instead.
    fn is_covered(&self, tier: usize, number: usize) -> bool {
        (tier + 1..TIERS).any(|higher| {
            let number = number * SEGMENTS[tier] / SEGMENTS[higher];
            matches!(self.tiers[higher].get(number), Some(Some(_)))
        })
    }

    /// Bytes of their files.
    pub(crate) fn size(&self) -> u64 {
        let of_tier = |tier: usize| {
            let used = self.tiers[tier].iter().enumerate();
            let used = used.filter(move |&(number, _)| !self.is_covered(tier, number));
            used.filter_map(|(_, filter)| Some(filter.as_ref()?.size() as u64)).sum::<u64>()
        };
        (0..TIERS).map(of_tier).sum()
    }
}

/// A walk over segments that may have what is looked for.
pub(crate) struct Sieve<'a, F> {
    filters: &'a Filters,
    ask: F,
    /// The segments that were asked about last, and those of them that may have it, counted from the first.
    asked: Range<usize>,
    candidates: SegmentSet,
}

impl<F: Fn(&Filter) -> SegmentSet> Sieve<'_, F> {
    /// The first that may have it in `range`; the end of the range if none does.
    pub(crate) fn next(&mut self, range: Range<usize>) -> usize {
        let mut at = range.start;
        while at < range.end {
            self.ask_about(at);
            if let Some(found) = self.candidates.next(at - self.asked.start)
                && self.asked.start + found < self.asked.end
            {
                return (self.asked.start + found).min(range.end);
            }
            at = self.asked.end;
        }
        range.end
    }

    /// The last that may have it up to and with `until`.
    pub(crate) fn previous(&mut self, mut until: usize) -> Option<usize> {
        loop {
            self.ask_about(until);
            if let Some(found) = self.candidates.previous(until - self.asked.start) {
                return Some(self.asked.start + found);
            }
            until = self.asked.start.checked_sub(1)?;
        }
    }

    fn ask_about(&mut self, segment: usize) {
        if self.asked.contains(&segment) {
            return;
        }
        (self.asked, self.candidates) = match self.filters.of(segment) {
            Some((filter, segments)) => (segments, (self.ask)(filter)),
            None => (segment..segment + 1, SegmentSet::ALL),
        };
    }
}

/// Finds the filters of sealed segments, and makes those that are not there.
#[derive(Debug)]
pub(crate) struct FilterWriter {
    tiers: [ListWriter<Option<Filter>>; TIERS],
}

/// Where filters are found and made.
struct Source<'a> {
    system: &'a dyn FileSystem,
    directory: &'a Directory,
    sealed: &'a SegmentedList<Segment>,
    /// The offset after the last of them.
    end: u64,
    /// Whether those that are not there are made.
    make: bool,
}

impl FilterWriter {
    pub(crate) fn new() -> Self {
        Self { tiers: std::array::from_fn(|_| segmented_list().0) }
    }

    pub(crate) fn reader(&self) -> Filters {
        Filters { tiers: std::array::from_fn(|tier| self.tiers[tier].list().clone()) }
    }

    /// Adds the filters of all that is sealed by now, up to the offset `end`; those without a file are made, if `make`.
    pub(crate) fn extend(
        &mut self,
        system: &dyn FileSystem,
        directory: &Directory,
        sealed: &SegmentedList<Segment>,
        end: u64,
        make: bool,
    ) {
        let source = Source { system, directory, sealed, end, make };
        let there = self.reader();
        for tier in (0..TIERS).rev() {
            for number in there.tiers[tier].len()..sealed.len() / SEGMENTS[tier] {
                let covered = there.is_covered(tier, number);
                self.tiers[tier].push(if covered { None } else { source.filter(tier, number) });
            }
        }
    }
}

impl Source<'_> {
    /// The filter of this tier and number, if it is there or can be made.
    fn filter(&self, tier: usize, number: usize) -> Option<Filter> {
        let first = number * SEGMENTS[tier];
        let end = first + SEGMENTS[tier];
        let span = Span {
            first: self.sealed.get(first)?.first,
            end: self.sealed.get(end).map_or(self.end, |next| next.first),
            segments: end - first,
        };
        match open(self.system, self.directory, span) {
            Ok(None) if self.make => {}
            Ok(found) => return found,
            Err(error) => {
                tracing::warn!(%error, first = span.first, "a filter cannot be opened; reading goes on without");
                return None;
            }
        }
        let made = match tier.checked_sub(1) {
            None => self.make_first(span, first..end),
            Some(lower) => self.make_merged(span, lower, number * FAN)?,
        };
        match made.and_then(|()| open(self.system, self.directory, span)) {
            Ok(filter) => filter,
            Err(error) => {
                tracing::warn!(%error, first = span.first, "a filter was not written; reading goes on without");
                None
            }
        }
    }

    fn make_first(&self, span: Span, segments: Range<usize>) -> io::Result<()> {
        let kinds = [Kind::Type, Kind::Tag, Kind::Id];
        let segments = segments.filter_map(|segment| self.sealed.get(segment));
        let indexes: Result<Vec<CheckedIndex<'_>>, _> =
            segments.map(|segment| segment.index(&kinds)).collect();
        let indexes = indexes.map_err(io::Error::other)?;
        let path = self.directory.filter(span.first, span.segments);
        write_all_with(self.system, &path, |file| {
            filter::write_first(file, &self.directory.store_id, span, &indexes)
        })
    }

    /// Makes it from the eight of the tier below, from number `first` on; these are removed. `None` if one is missing.
    fn make_merged(&self, span: Span, lower: usize, first: usize) -> Option<io::Result<()>> {
        let members: Option<Vec<Filter>> =
            (first..first + FAN).map(|number| self.filter(lower, number)).collect();
        let members = members.filter(|members| members.iter().all(Filter::is_whole))?;
        let path = self.directory.filter(span.first, span.segments);
        let written = write_all_with(self.system, &path, |file| {
            filter::write_merged(file, &self.directory.store_id, span, &members)
        });
        if written.is_ok() {
            for number in first..first + FAN {
                let segment = self.sealed.get(number * SEGMENTS[lower])?;
                let path = self.directory.filter(segment.first, SEGMENTS[lower]);
                if let Err(error) = self.system.remove(&path) {
                    // Some systems remove no file that is mapped. It takes room, and nothing else.
                    tracing::debug!(%error, file = %path.display(), "a filter that is not needed any more stays");
                }
            }
        }
        Some(written)
    }
}

/// The filter of this span, if its file is there and right.
pub(super) fn open(
    system: &dyn FileSystem,
    directory: &Directory,
    span: Span,
) -> io::Result<Option<Filter>> {
    let mapped = system
        .open_read_only(&directory.filter(span.first, span.segments))
        .and_then(|file| map_all(&*file));
    match mapped {
        Ok(mapped) => Ok(Filter::open(Bytes::from_owner(mapped), &directory.store_id, span)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
