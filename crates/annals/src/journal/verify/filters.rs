//! Checking the Bloom filters: each must let every name of its segments pass.

use std::io::ErrorKind;

use crate::error::{Corruption, OpenError};
use crate::event::name::Hasher;
use crate::index::lookup::Kind;
use crate::journal::directory::Directory;
use crate::journal::pruning::bloom::{BloomFilter, Span};
use crate::journal::pruning::pruning::{self, SEGMENTS};
use crate::journal::recovery::segments::map;
use crate::journal::segment::file_names::{filter_name, index_name};
use crate::journal::segment::index_file::index_checksum;
use crate::journal::segment::memory_index::SegmentMemIndex;
use crate::util::crc32c::crc32c;

/// Checks the filters against the names of one segment after the other.
pub(crate) struct FilterCheck<'a> {
    directory: &'a Directory,
    /// The first offsets of all segments.
    starts: &'a [u64],
    /// The filter of each tier that was opened last, with its number; `None` if there is none or its problem was
    /// reported.
    opened: [Option<(usize, Option<BloomFilter>)>; SEGMENTS.len()],
}

impl<'a> FilterCheck<'a> {
    pub(crate) fn new(directory: &'a Directory, starts: &'a [u64]) -> Self {
        Self { directory, starts, opened: Default::default() }
    }

    /// Checks that every filter that covers a segment lets all of its names pass. `segment` is the segment's number.
    pub(crate) fn check(
        &mut self,
        segment: usize,
        index: &SegmentMemIndex,
        problems: &mut Vec<Corruption>,
    ) -> Result<(), OpenError> {
        for (tier, segments) in SEGMENTS.into_iter().enumerate() {
            let (number, at) = (segment / segments, segment % segments);
            let start = number * segments;
            let Some(&end) = self.starts.get(start + segments) else { continue };
            if self.opened[tier].as_ref().is_none_or(|opened| opened.0 != number) {
                let first = self.starts[start];
                let indexes = self.indexes(&self.starts[start..start + segments])?;
                let opened = match indexes {
                    Some(indexes) => self.open(Span { first, end, segments, indexes }, problems)?,
                    // Without all of the index files, the filter is not used.
                    None => None,
                };
                self.opened[tier] = Some((number, opened));
            }
            let Some((_, Some(filter))) = &self.opened[tier] else { continue };
            if let Some(name) = not_passed(filter, at, index, &self.directory.hasher()) {
                problems.push(self.problem(filter.span, format!("no bit for {name}")));
                self.opened[tier] = Some((number, None));
            }
        }
        Ok(())
    }

    /// Returns the checksum of the checksums in these segments' index files; `None` if a file is missing.
    fn indexes(&self, firsts: &[u64]) -> Result<Option<u32>, OpenError> {
        let mut checksums = Vec::with_capacity(4 * firsts.len());
        for &first in firsts {
            match map(self.directory, &index_name(first)) {
                Ok(bytes) => checksums.extend(index_checksum(&bytes)),
                Err(OpenError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(crc32c(&checksums)))
    }

    fn open(
        &self,
        span: Span,
        problems: &mut Vec<Corruption>,
    ) -> Result<Option<BloomFilter>, OpenError> {
        let name = filter_name(span.first, span.segments);
        let is_there = || self.directory.handle.open_read_only(&name).is_ok();
        let look = || {
            let found = pruning::open(self.directory, span)
                .map_err(OpenError::io("open", self.directory.at(&name)));
            found.map(|found| found.filter(BloomFilter::is_whole))
        };
        let mut found = look()?;
        if found.is_none() && is_there() {
            // A writer may just have written it.
            found = look()?;
            if found.is_none() && is_there() {
                let wrong = "a wrong head or checksum, or a filter of other segments";
                problems.push(self.problem(span, wrong.to_owned()));
            }
        }
        Ok(found)
    }

    fn problem(&self, span: Span, found: String) -> Corruption {
        Corruption {
            file: self.directory.at(&filter_name(span.first, span.segments)),
            position: 0,
            offset: span.first,
            expected:
                "a filter of its segments' names (remove the file: it is rebuilt from the log)"
                    .into(),
            found,
        }
    }
}

/// Returns a name of the segment that the filter does not let pass. `at` is the segment's number in the filter.
fn not_passed(
    filter: &BloomFilter,
    at: usize,
    index: &SegmentMemIndex,
    hasher: &Hasher,
) -> Option<String> {
    [Kind::Type, Kind::Tag, Kind::Id].into_iter().find_map(|kind| {
        let mut names = index.names.names(kind).iter().map(|(name, _)| name);
        let missing = names.find(|name| !filter.having(kind, hasher.name(name)).has(at))?;
        Some(format!("{kind:?} {missing:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::raw::RawEvent;
    use crate::journal::Journal;
    use crate::journal::verify::verify::verify;
    use crate::store::store::EventStore;

    #[test]
    fn a_bit_that_is_missing_is_told_though_the_checksums_are_right() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let journal = Journal::options().segment_bytes(4 << 10).open(&path).unwrap();
        let store = EventStore::<RawEvent, _>::on(journal);
        for n in 0..100 {
            let event = RawEvent::builder("noted").tag(format!("number:{n}"));
            store.append(event.data(vec![0; 500]).build().unwrap()).unwrap();
        }
        drop(store);
        let file = path.join("00000000000000000000.8.flt");
        let whole = std::fs::read(&file).unwrap();
        assert_eq!(verify(&path).unwrap().problems, []);
        let mut found = 0;
        for at in (64..whole.len()).filter(|&at| whole[at] != 0) {
            let mut bytes = whole.clone();
            bytes[at] &= bytes[at] - 1;
            let checksum = crc32c(&bytes[64..]).to_le_bytes();
            bytes[56..60].copy_from_slice(&checksum);
            let checksum = crc32c(&bytes[16..64]).to_le_bytes();
            bytes[12..16].copy_from_slice(&checksum);
            std::fs::write(&file, bytes).unwrap();
            let report = verify(&path).unwrap();
            assert_eq!((report.problems.len(), report.events), (1, 100), "{report:?}");
            let problem = report.problems[0].to_string();
            assert!(problem.contains(".8.flt") && problem.contains("no bit for"), "{problem}");
            found += 1;
        }
        assert!(found > 8);
    }
}
