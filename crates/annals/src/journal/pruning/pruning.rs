//! The filters of all sealed segments, and the walk over those segments that pass them.
//!
//! ```text
//!   segments   0 … 511              512 … 575   576 … 583   584, 585, 586
//!   filters    one of 512           one of 64   one of 8    none yet: each is a candidate
//! ```
//! When eight segments are sealed they get a filter, and when eight filters are there, one takes their place: so there
//! are few, and a search over ten thousand segments looks into those that have what it wants and hardly any other.
//! Filters are derived: without one its segments are all candidates.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use annals_base::{ListWriter, SegmentedList, segmented_list};

use super::bloom::{self, FAN, Filter, MOST_SEGMENTS, SegmentSet, Span};
use crate::index::lookup::Kind;
use crate::journal::directory::Directory;
use crate::journal::fs::tools::write_all_with;
use crate::journal::map::map_all;
use crate::journal::segment::file_names::filter_name;
use crate::journal::segment::index_file::SealedIndex;
use crate::journal::segment::segment::Segment;
use crate::util::crc32c::crc32c;

/// How many segments a filter is for, tier by tier.
pub(crate) const SEGMENTS: [usize; TIERS] = [FAN, FAN * FAN, MOST_SEGMENTS];
const TIERS: usize = 3;

/// The filters as readers have them: of each tier those of the first segments, the next, and so on. One stays unset
/// where one of a higher tier is there instead, or none could be had.
#[derive(Debug, Clone)]
pub(crate) struct Filters {
    tiers: [SegmentedList<OnceLock<Filter>>; TIERS],
}

impl Filters {
    fn get(&self, tier: usize, number: usize) -> Option<&Filter> {
        self.tiers[tier].get(number)?.get()
    }

    /// The filter to ask about a segment, and the segments that it is for.
    fn of(&self, segment: usize) -> Option<(&Filter, Range<usize>)> {
        (0..TIERS).rev().find_map(|tier| {
            let number = segment / SEGMENTS[tier];
            let filter = self.get(tier, number).filter(|filter| filter.is_whole())?;
            Some((filter, segments_of(tier, number)))
        })
    }

    /// Whether there is one of a higher tier instead.
    fn is_covered(&self, tier: usize, number: usize) -> bool {
        (tier + 1..TIERS)
            .any(|higher| self.get(higher, number * SEGMENTS[tier] / SEGMENTS[higher]).is_some())
    }

    /// Those that are not covered by another.
    fn used(&self) -> impl Iterator<Item = &Filter> {
        (0..TIERS).flat_map(move |tier| {
            let all = self.tiers[tier].iter().enumerate();
            all.filter(move |&(number, _)| !self.is_covered(tier, number))
                .filter_map(|(_, filter)| filter.get())
        })
    }

    /// The walk over segments that `ask` says a filter lets pass.
    pub(crate) fn sieve<F: Fn(&Filter) -> SegmentSet>(&self, ask: F) -> Sieve<'_, F> {
        Sieve { filters: self, ask, asked: 0..0, candidates: SegmentSet::ALL }
    }

    /// Bytes of their files.
    pub(crate) fn size(&self) -> u64 {
        self.used().map(|filter| filter.size() as u64).sum()
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
    tiers: [ListWriter<OnceLock<Filter>>; TIERS],
}

/// Where filters are found and made.
struct Source<'a> {
    directory: &'a Directory,
    sealed: &'a SegmentedList<Segment>,
    /// The offset after the last of them.
    end: u64,
}

impl FilterWriter {
    pub(crate) fn new() -> Self {
        Self { tiers: std::array::from_fn(|_| segmented_list().0) }
    }

    pub(crate) fn reader(&self) -> Filters {
        Filters { tiers: std::array::from_fn(|tier| self.tiers[tier].list().clone()) }
    }

    /// Adds the filters of all that is sealed by now, up to the offset `end`. Those without a file are made, if `make`;
    /// if not, they are looked for again when there are more.
    pub(crate) fn extend(
        &mut self,
        directory: &Directory,
        sealed: &SegmentedList<Segment>,
        end: u64,
        make: bool,
    ) {
        let source = Source { directory, sealed, end };
        let filters = self.reader();
        let count = |tier: usize| sealed.len() / SEGMENTS[tier];
        if (0..TIERS).all(|tier| filters.tiers[tier].len() == count(tier)) {
            return;
        }
        for tier in (0..TIERS).rev() {
            let (known, count) = (filters.tiers[tier].len(), count(tier));
            for _ in known..count {
                self.tiers[tier].push(OnceLock::new());
            }
            let first = if make { known } else { 0 };
            for number in first..count {
                let Some(item) = filters.tiers[tier].get(number) else { continue };
                if item.get().is_none()
                    && !filters.is_covered(tier, number)
                    && let Some(filter) = source.filter(tier, number, make)
                {
                    // Unset, as was just seen, and set by nobody else.
                    let _ = item.set(filter);
                }
            }
        }
    }

    /// Removes the files of filters that are not used: merged ones that a crash left, and those of another life of the
    /// log. For who opens it for writing.
    pub(crate) fn sweep(&self, directory: &Directory) -> io::Result<()> {
        let filters = self.reader();
        let used: HashSet<String> = filters
            .used()
            .map(|filter| filter_name(filter.span.first, filter.span.segments))
            .collect();
        let files = directory.handle.list()?;
        for name in files.iter().filter(|name| is_filter(name) && !used.contains(*name)) {
            if let Err(error) = directory.handle.remove(name) {
                // It takes room, and nothing else.
                tracing::debug!(%error, file = name, "a filter that is not used stays");
            }
        }
        Ok(())
    }
}

/// The segments that a filter is for.
fn segments_of(tier: usize, number: usize) -> Range<usize> {
    number * SEGMENTS[tier]..(number + 1) * SEGMENTS[tier]
}

/// Whether this is the name of a filter's file.
fn is_filter(name: &str) -> bool {
    let parts = name.strip_suffix(".flt").and_then(|span| span.split_once('.'));
    parts.is_some_and(|(first, segments)| {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        first.len() == 20 && digits(first) && digits(segments)
    })
}

impl Source<'_> {
    /// The filter of this tier and number, if it is there or can be made.
    fn filter(&self, tier: usize, number: usize, make: bool) -> Option<Filter> {
        match open(self.directory, self.span(tier, number)?) {
            Ok(None) if make => self.make(tier, number),
            Ok(found) => found,
            Err(error) => {
                let first = self.span(tier, number)?.first;
                tracing::warn!(%error, first, "a filter cannot be opened; reading goes on without");
                None
            }
        }
    }

    /// `None` as long as one of its segments has no index file.
    fn span(&self, tier: usize, number: usize) -> Option<Span> {
        let segments = segments_of(tier, number);
        let mut checksums = Vec::with_capacity(4 * segments.len());
        for segment in segments.clone() {
            checksums.extend(self.sealed.get(segment)?.index.file()?.checksum());
        }
        Some(Span {
            first: self.sealed.get(segments.start)?.first,
            end: self.sealed.get(segments.end).map_or(self.end, |next| next.first),
            segments: segments.len(),
            indexes: crc32c(&checksums),
        })
    }

    fn make(&self, tier: usize, number: usize) -> Option<Filter> {
        let span = self.span(tier, number)?;
        let made = match tier.checked_sub(1) {
            None => self.make_first(span, segments_of(tier, number))?,
            Some(lower) => self.make_merged(span, lower, number * FAN)?,
        };
        match made.and_then(|()| open(self.directory, span)) {
            Ok(filter) => filter,
            Err(error) => {
                tracing::warn!(%error, first = span.first, "a filter was not written; reading goes on without");
                None
            }
        }
    }

    /// `None` if an index is damaged: to make it anew is for who needs it.
    fn make_first(&self, span: Span, segments: Range<usize>) -> Option<io::Result<()>> {
        let index = |segment| {
            let index = self.sealed.get(segment)?.index.file()?;
            index.is_whole(&[Kind::Type, Kind::Tag, Kind::Id]).then_some(index)
        };
        let indexes: Option<Vec<&SealedIndex>> = segments.map(index).collect();
        let indexes = indexes?;
        let name = filter_name(span.first, span.segments);
        Some(write_all_with(&*self.directory.handle, &name, |file| {
            bloom::write_first(file, &self.directory.store_id, span, &indexes)
        }))
    }

    /// Makes it from the eight of the tier below, from number `first` on, which are then removed. `None` if one of
    /// them cannot be had.
    fn make_merged(&self, span: Span, lower: usize, first: usize) -> Option<io::Result<()>> {
        let member = |number| {
            let found = self.filter(lower, number, true).filter(Filter::is_whole);
            found.or_else(|| self.make(lower, number))
        };
        let members: Vec<Filter> = (first..first + FAN).map(member).collect::<Option<_>>()?;
        let (handle, name) = (&*self.directory.handle, filter_name(span.first, span.segments));
        let written = write_all_with(handle, &name, |file| {
            bloom::write_merged(file, &self.directory.store_id, span, &members)
        });
        for Span { first, segments, .. } in members.iter().map(|member| member.span) {
            let name = filter_name(first, segments);
            if written.is_ok()
                && let Err(error) = handle.remove(&name)
            {
                // Some systems remove no file that is mapped; the next opening will.
                tracing::debug!(%error, file = name, "a filter that is not used stays");
            }
        }
        Some(written)
    }
}

/// The filter of this span, if its file is there and right.
pub(crate) fn open(directory: &Directory, span: Span) -> io::Result<Option<Filter>> {
    let name = filter_name(span.first, span.segments);
    let mapped = directory.handle.open_read_only(&name).and_then(|file| map_all(&*file));
    match mapped {
        Ok(mapped) => Ok(Filter::open(mapped, &directory.store_id, span)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
