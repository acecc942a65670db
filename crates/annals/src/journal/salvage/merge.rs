//! The events of all segments in order, each once, and what is missing between them.

use std::ops::Range;
use std::path::PathBuf;

use super::report::{SalvageError, SalvageGap, SalvageReport};
use super::scan::{Found, Lost, Scan};
use super::target::{Target, Written};

/// Puts the events of segments into the new store. The segments are added by ascending first offset.
pub(super) struct Merge {
    target: Target,
    directory: PathBuf,
    /// The offset behind the last event that was written.
    next_offset: u64,
    last_time_ms: Option<u64>,
    /// Events of earlier segments at or behind the first offset of the next segment, which may have the same events.
    carried: Vec<Found>,
    lost: Vec<(PathBuf, Lost)>,
    without_time: Vec<Range<u64>>,
    /// The offset below which all events were durable once.
    durable: u64,
}

impl Merge {
    /// Starts with no events, for the store in `directory` whose head at the last clean close was `closed`.
    pub(super) fn new(target: Target, directory: PathBuf, closed: u64) -> Self {
        Self {
            target,
            directory,
            next_offset: 0,
            last_time_ms: None,
            carried: Vec::new(),
            lost: Vec::new(),
            without_time: Vec::new(),
            durable: closed,
        }
    }

    /// Notes what the head of the next segment states: all events before it were durable when it was written.
    pub(super) fn begin_segment(&mut self, first: u64, time_before_ms: u64) {
        self.durable = self.durable.max(first);
        if first > 0 {
            self.last_time_ms = self.last_time_ms.max(Some(time_before_ms));
        }
    }

    /// Adds the events that were found in a segment. The next segment begins at the offset `next`. `time_behind_ms` is
    /// the time of this segment's last event or of a later one.
    pub(super) fn add(
        &mut self,
        file: &str,
        scan: Scan,
        next: Option<u64>,
        time_behind_ms: Option<u64>,
    ) -> Result<(), SalvageError> {
        let end = next.unwrap_or(u64::MAX);
        self.durable = self.durable.max(scan.durable);
        let file = self.directory.join(file);
        self.lost.extend(scan.lost.into_iter().filter_map(|lost| {
            let offsets = lost.offsets.start..lost.offsets.end.min(end);
            (!offsets.is_empty()).then(|| (file.clone(), Lost { offsets, ..lost }))
        }));
        let mut events = merged(std::mem::take(&mut self.carried), scan.found);
        let here = events.partition_point(|found| found.offset < end);
        self.carried = events.split_off(here);
        let mut known = events.iter().find_map(|found| found.time_ms).or(time_behind_ms);
        for Found { offset, time_ms, event } in events {
            if offset < self.next_offset {
                continue;
            }
            if time_ms.is_none() {
                match self.without_time.last_mut() {
                    Some(range) if range.end == offset => range.end += 1,
                    _ => self.without_time.push(offset..offset + 1),
                }
            }
            // The first known time also applies to the events before it, if none before them is known.
            let nearest = time_ms.or(self.last_time_ms).or(known.take()).unwrap_or(0);
            let time_ms = nearest.max(self.last_time_ms.unwrap_or(0));
            self.last_time_ms = Some(time_ms);
            self.next_offset = offset + 1;
            self.target.add(offset, time_ms, event)?;
        }
        Ok(())
    }

    /// Closes the new store, which makes it durable, and returns the report.
    pub(super) fn finish(self, notes: Vec<String>) -> Result<SalvageReport, SalvageError> {
        assert!(self.carried.is_empty(), "the last segment has no end");
        let Written { events, ranges, refused } = self.target.finish()?;
        let head = self.durable.max(self.next_offset);
        let mut gaps = Vec::new();
        let mut next = 0;
        let ends = ranges.iter().map(|range| (range.old, range.old + range.count));
        for (old, end) in ends.chain([(head, head)]) {
            // A gap is split where the durable events end.
            let middle = self.durable.clamp(next, old);
            for missing in [next..middle, middle..old].into_iter().filter(|gap| !gap.is_empty()) {
                gaps.extend(gaps_in(missing, self.durable, &self.lost, &refused, &self.directory));
            }
            next = end;
        }
        gaps.extend(open_end(head, &self.lost));
        let torn = gaps.iter().find(|gap| !gap.was_durable).map_or(u64::MAX, |gap| gap.from);
        let behind = |old: u64, count: u64| (old + count).saturating_sub(torn.max(old));
        let never_durable = ranges.iter().map(|range| behind(range.old, range.count)).sum();
        let without_time = self.without_time;
        Ok(SalvageReport { events, ranges, gaps, without_time, never_durable, notes })
    }
}

/// Merges events by ascending offset. Of two with the same offset, the one of `later` is kept.
fn merged(earlier: Vec<Found>, later: Vec<Found>) -> Vec<Found> {
    if earlier.is_empty() {
        return later;
    }
    let mut all = [later, earlier].concat();
    // The sort is stable, so the event of the later segment comes first.
    all.sort_by_key(|found| found.offset);
    all.dedup_by_key(|found| found.offset);
    all
}

/// Returns the gaps in a range of missing offsets: one for each part of a file that may have contained them.
fn gaps_in(
    missing: Range<u64>,
    durable: u64,
    lost: &[(PathBuf, Lost)],
    refused: &[(u64, String)],
    directory: &std::path::Path,
) -> Vec<SalvageGap> {
    let was_durable = missing.start < durable;
    let gap = |from, to, file: PathBuf, bytes: Range<u64>, found: String| SalvageGap {
        from,
        to: Some(to),
        file,
        bytes,
        found,
        was_durable,
    };
    let mut gaps = Vec::new();
    let mut from = missing.start;
    while from < missing.end {
        let piece = lost.iter().rfind(|(_, lost)| lost.offsets.contains(&from));
        let next_piece =
            || lost.iter().map(|(_, lost)| lost.offsets.start).filter(|&at| at > from).min();
        let next_refused = refused.iter().map(|(old, _)| *old).filter(|&old| old > from).min();
        let next_refused = next_refused.unwrap_or(u64::MAX);
        let (to, next) = if let Some((_, why)) = refused.iter().find(|(old, _)| *old == from) {
            let named = directory.to_owned();
            (from + 1, gap(from, from + 1, named, 0..0, why.clone()))
        } else if let Some((file, Lost { offsets, bytes, found, .. })) = piece {
            let to = offsets.end.min(missing.end).min(next_refused);
            let bytes = bytes.start as u64..bytes.end as u64;
            (to, gap(from, to, file.clone(), bytes, found.clone()))
        } else {
            let to = next_piece().unwrap_or(u64::MAX).min(missing.end).min(next_refused);
            let file = directory.join(format!("{from:020}.log"));
            (to, gap(from, to, file, 0..0, "no segment with these events".to_owned()))
        };
        gaps.push(next);
        from = to;
    }
    gaps
}

/// Returns the gap behind the last event, if there are bytes other than zeroes.
fn open_end(head: u64, lost: &[(PathBuf, Lost)]) -> Option<SalvageGap> {
    let (file, Lost { offsets, bytes, found, is_blank }) = lost.last()?;
    (offsets.start == head && !is_blank).then(|| SalvageGap {
        from: head,
        to: None,
        file: file.clone(),
        bytes: bytes.start as u64..bytes.end as u64,
        found: found.clone(),
        was_durable: false,
    })
}
