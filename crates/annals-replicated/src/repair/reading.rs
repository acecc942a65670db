//! Reads a record to its end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::error::RepairError;
use crate::chain::slot::Slot;
use crate::log::commit_log::{CommitLog, LogError, Page, ReadLimit};

/// The pause between two reads.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a repair waits for the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long an engine that does not answer, or does not store a commit, is asked again.
    pub unavailable: Duration,
    /// How long reads must show nothing more until the record counts as read to its end: a read may miss the newest
    /// entries.
    pub end: Duration,
}

impl Default for Patience {
    /// Returns 30 seconds, and 1 second for the end.
    fn default() -> Self {
        Self { unavailable: Duration::from_secs(30), end: Duration::from_secs(1) }
    }
}

/// Reads the entries behind `after`. Asks an engine that does not answer again.
pub(super) fn read(
    log: &dyn CommitLog,
    after: Slot,
    limit: ReadLimit,
    patience: Patience,
) -> Result<Page, RepairError> {
    let started = Instant::now();
    loop {
        match log.read(after, limit) {
            Err(LogError::Unavailable(cause)) if started.elapsed() >= patience.unavailable => {
                return Err(RepairError::Unavailable(cause));
            }
            Err(LogError::Unavailable(_)) => sleep(PAUSE),
            read => return Ok(read?),
        }
    }
}

/// Passes all entries behind `after` to `take`, up to the end of the record. While other processes append, no read need
/// show the end: then the end is the last slot that the engine names once the time for it has passed.
pub(super) fn read_to_end(
    log: &dyn CommitLog,
    mut after: Slot,
    patience: Patience,
    mut take: impl FnMut(Slot, &Bytes) -> Result<(), RepairError>,
) -> Result<(), RepairError> {
    let began = Instant::now();
    let (mut grown, mut last) = (began, None);
    loop {
        let page = read(log, after, ReadLimit::default(), patience)?;
        for (slot, entry) in &page.entries {
            take(*slot, entry)?;
            after = *slot;
        }
        if last.is_none() && began.elapsed() >= patience.end {
            // Without an answer, the next turn asks again.
            last = log.ends().ok().map(|(_, last)| last);
        }
        if !page.entries.is_empty() {
            if last.is_some_and(|last| after >= last) {
                return Ok(());
            }
            grown = Instant::now();
        } else if grown.elapsed() >= patience.end {
            return Ok(());
        } else {
            sleep(PAUSE);
        }
    }
}

/// Reads `count` entries, or fewer if the engine shows no more.
pub(super) fn read_whole(
    log: &dyn CommitLog,
    after: Slot,
    count: usize,
    patience: Patience,
) -> Result<Vec<Bytes>, RepairError> {
    let mut entries: Vec<Bytes> = Vec::new();
    while entries.len() < count {
        let limit = ReadLimit { entries: count - entries.len(), ..ReadLimit::default() };
        let page = read(log, Slot(after.0 + entries.len() as u64), limit, patience)?;
        if page.entries.is_empty() {
            break;
        }
        entries.extend(page.entries.into_iter().map(|(_, entry)| entry));
    }
    entries.truncate(count);
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::log::commit_log::{CheckError, Done, Fitness, LogLimits, NewEntry};

    /// A record that has one more entry each time it is read, up to 500.
    struct Growing(AtomicU64);

    impl CommitLog for Growing {
        fn append(&self, _: Slot, _: NewEntry, _: Done) {}

        fn read(&self, after: Slot, _: ReadLimit) -> Result<Page, LogError> {
            let last = Slot(self.0.fetch_add(1, Ordering::Relaxed).min(499) + 1);
            let entry =
                (after < last).then(|| (Slot(after.0 + 1), Bytes::from_static(b"an entry")));
            Ok(Page { entries: entry.into_iter().collect(), time_ms: None })
        }

        fn ends(&self) -> Result<(Slot, Slot), LogError> {
            Ok((Slot(1), Slot(self.0.load(Ordering::Relaxed))))
        }

        fn wait(&self, _: Slot, _: Instant) {}

        fn check(&self) -> Result<Fitness, CheckError> {
            unreachable!("a repair that only reads checks nothing")
        }

        fn limits(&self) -> LogLimits {
            unreachable!("a repair that only reads has no limits")
        }
    }

    #[test]
    fn a_record_that_grows_all_the_time_is_read_to_an_end() {
        let (log, mut taken) = (Growing(AtomicU64::new(0)), 0);
        let patience = Patience { end: Duration::ZERO, ..Patience::default() };
        read_to_end(&log, Slot(0), patience, |_, _| {
            taken += 1;
            Ok(())
        })
        .unwrap();
        assert!((1..500).contains(&taken), "{taken} entries were read");
    }
}
