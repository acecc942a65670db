//! The Bloom filters of all sealed segments, and the walk over the segments that pass them.
//!
//! ```text
//!   segments   0 … 511              512 … 575   576 … 583   584, 585, 586
//!   filters    one of 512           one of 64   one of 8    none yet: each is a candidate
//! ```
//! Eight sealed segments get a filter, and eight filters are merged into one. So there are few filters, and a search
//! over ten thousand segments looks into hardly any index without a match. Filters are derived data: segments without a
//! filter are all candidates.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use annals_base::{ListWriter, SegmentedList, segmented_list};

use super::bloom::{self, BloomFilter, Span};
use super::segment_set::{FAN, MOST_SEGMENTS, SegmentSet};
use crate::index::lookup::Kind;
use crate::journal::directory::Directory;
use crate::journal::fs::tools::write_all_with;
use crate::journal::map::map_all;
use crate::journal::segment::file_names::filter_name;
use crate::journal::segment::index_file::SealedIndex;
use crate::journal::segment::segment::Segment;
use crate::util::crc32c::crc32c;

/// The number of segments of a filter, by tier.
pub(crate) const SEGMENTS: [usize; TIERS] = [FAN, FAN * FAN, MOST_SEGMENTS];
const TIERS: usize = 3;

/// The filters as readers see them: for each tier those of the first segments, of the next, and so on. An entry is
/// unset if a filter of a higher tier covers its segments, or if the filter could not be opened or written.
#[derive(Debug, Clone)]
pub(crate) struct Filters {
    tiers: [SegmentedList<OnceLock<BloomFilter>>; TIERS],
}

impl Filters {
    fn get(&self, tier: usize, number: usize) -> Option<&BloomFilter> {
        self.tiers[tier].get(number)?.get()
    }

    /// Returns the largest filter that covers a segment, and the segments that it covers.
    fn of(&self, segment: usize) -> Option<(&BloomFilter, Range<usize>)> {
        (0..TIERS).rev().find_map(|tier| {
            let number = segment / SEGMENTS[tier];
            let filter = self.get(tier, number).filter(|filter| filter.is_whole())?;
            Some((filter, segments_of(tier, number)))
        })
    }

    /// Returns whether a filter of a higher tier covers the same segments.
    fn is_covered(&self, tier: usize, number: usize) -> bool {
        (tier + 1..TIERS)
            .any(|higher| self.get(higher, number * SEGMENTS[tier] / SEGMENTS[higher]).is_some())
    }

    /// Returns the filters that no other filter covers.
    fn used(&self) -> impl Iterator<Item = &BloomFilter> {
        (0..TIERS).flat_map(move |tier| {
            let all = self.tiers[tier].iter().enumerate();
            all.filter(move |&(number, _)| !self.is_covered(tier, number))
                .filter_map(|(_, filter)| filter.get())
        })
    }

    /// Returns a walk over the segments that may match. `ask` returns the candidates of one filter.
    pub(crate) fn candidates<F: Fn(&BloomFilter) -> SegmentSet>(
        &self,
        ask: F,
    ) -> PrunedSegments<'_, F> {
        PrunedSegments { filters: self, ask, asked: 0..0, candidates: SegmentSet::ALL }
    }

    /// Returns the size of the filters' files in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.used().map(|filter| filter.size() as u64).sum()
    }
}

/// A walk over the segments that may match a search.
pub(crate) struct PrunedSegments<'a, F> {
    filters: &'a Filters,
    ask: F,
    /// The segments of the filter that was asked last.
    asked: Range<usize>,
    /// The candidates among them, counted from the first.
    candidates: SegmentSet,
}

impl<F: Fn(&BloomFilter) -> SegmentSet> PrunedSegments<'_, F> {
    /// Returns the first candidate in `range`, or the end of the range if there is none.
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

    /// Returns the last candidate up to and including `until`.
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

/// Opens the filters of sealed segments, and writes the missing ones.
#[derive(Debug)]
pub(crate) struct FilterWriter {
    tiers: [ListWriter<OnceLock<BloomFilter>>; TIERS],
}

/// The store whose filters are opened or written.
struct Source<'a> {
    directory: &'a Directory,
    sealed: &'a SegmentedList<Segment>,
    /// The offset after the last sealed segment.
    end: u64,
}

impl FilterWriter {
    pub(crate) fn new() -> Self {
        Self { tiers: std::array::from_fn(|_| segmented_list().0) }
    }

    pub(crate) fn reader(&self) -> Filters {
        Filters { tiers: std::array::from_fn(|tier| self.tiers[tier].list().clone()) }
    }

    /// Adds the filters of all segments that are sealed by now, which end at the offset `end`. If `make`, writes the
    /// missing filters; if not, looks for them again when there are more segments.
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
                    // It was unset a moment ago, and only this writer sets it.
                    let _ = item.set(filter);
                }
            }
        }
    }

    /// Removes the files of unused filters: merged ones that a crash left behind, and those of another history of the
    /// log. Only a writer calls this.
    pub(crate) fn sweep(&self, directory: &Directory) -> io::Result<()> {
        let filters = self.reader();
        let used: HashSet<String> = filters
            .used()
            .map(|filter| filter_name(filter.span.first, filter.span.segments))
            .collect();
        let files = directory.handle.list()?;
        for name in files.iter().filter(|name| is_filter(name) && !used.contains(*name)) {
            if let Err(error) = directory.handle.remove(name) {
                // The file only takes room.
                tracing::debug!(%error, file = name, "cannot remove the file of an unused Bloom filter");
            }
        }
        Ok(())
    }
}

/// Returns the segments that a filter covers.
fn segments_of(tier: usize, number: usize) -> Range<usize> {
    number * SEGMENTS[tier]..(number + 1) * SEGMENTS[tier]
}

/// Returns whether this is the name of a filter's file.
fn is_filter(name: &str) -> bool {
    let parts = name.strip_suffix(".flt").and_then(|span| span.split_once('.'));
    parts.is_some_and(|(first, segments)| {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        first.len() == 20 && digits(first) && digits(segments)
    })
}

impl Source<'_> {
    /// Opens the filter of this tier and number. If `make`, writes it when it is missing.
    fn filter(&self, tier: usize, number: usize, make: bool) -> Option<BloomFilter> {
        match open(self.directory, self.span(tier, number)?) {
            Ok(None) if make => self.make(tier, number),
            Ok(found) => found,
            Err(error) => {
                let first = self.span(tier, number)?.first;
                tracing::warn!(%error, first, "cannot open a Bloom filter; searches go on without it");
                None
            }
        }
    }

    /// Returns what a filter covers; `None` while one of its segments has no index file.
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

    fn make(&self, tier: usize, number: usize) -> Option<BloomFilter> {
        let span = self.span(tier, number)?;
        let made = match tier.checked_sub(1) {
            None => self.make_first(span, segments_of(tier, number))?,
            Some(lower) => self.make_merged(span, lower, number * FAN)?,
        };
        match made.and_then(|()| open(self.directory, span)) {
            Ok(filter) => filter,
            Err(error) => {
                tracing::warn!(%error, first = span.first, "cannot write a Bloom filter; searches go on without it");
                None
            }
        }
    }

    /// Writes a filter of the first tier. Returns `None` if an index file is damaged: that index is rebuilt when it is
    /// read.
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

    /// Merges the eight filters of the tier below that begin at number `first`, then removes these. Returns `None` if
    /// one of them cannot be opened or written.
    fn make_merged(&self, span: Span, lower: usize, first: usize) -> Option<io::Result<()>> {
        let member = |number| {
            let found = self.filter(lower, number, true).filter(BloomFilter::is_whole);
            found.or_else(|| self.make(lower, number))
        };
        let members: Vec<BloomFilter> = (first..first + FAN).map(member).collect::<Option<_>>()?;
        let (handle, name) = (&*self.directory.handle, filter_name(span.first, span.segments));
        let written = write_all_with(handle, &name, |file| {
            bloom::write_merged(file, &self.directory.store_id, span, &members)
        });
        for Span { first, segments, .. } in members.iter().map(|member| member.span) {
            let name = filter_name(first, segments);
            if written.is_ok()
                && let Err(error) = handle.remove(&name)
            {
                // Some systems cannot remove a mapped file. The next opening removes it.
                tracing::debug!(%error, file = name, "cannot remove the file of an unused Bloom filter");
            }
        }
        Some(written)
    }
}

/// Opens the filter of this span. Returns `None` if there is no file or it is not valid.
pub(crate) fn open(directory: &Directory, span: Span) -> io::Result<Option<BloomFilter>> {
    let name = filter_name(span.first, span.segments);
    let mapped = directory.handle.open_read_only(&name).and_then(|file| map_all(&*file));
    match mapped {
        Ok(mapped) => Ok(BloomFilter::open(mapped, &directory.store_id, span)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
