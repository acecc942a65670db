//! Asks an engine until it answers: a failover may be under way.

use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::error::InspectError;
use crate::chain::slot::Slot;
use crate::log::commit_log::{CommitLog, LogError, ReadLimit};

/// How long an engine that does not answer is asked again.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long an engine that shows no entries is asked again: a read may miss the newest entries.
const ABSENCE: Duration = Duration::from_secs(2);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// The largest size of the entries of one commit, in bytes, with room for their heads.
const COMMIT_BYTES: usize = 128 << 20;

/// Asks until the engine answers.
pub(super) fn ask<T>(mut ask: impl FnMut() -> Result<T, LogError>) -> Result<T, InspectError> {
    let began = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(LogError::Trimmed { first }) => return Err(InspectError::Trimmed { first }),
            Err(LogError::Unavailable(cause)) => {
                if cause.is_lasting() || began.elapsed() >= PATIENCE {
                    return Err(InspectError::Unavailable(cause));
                }
            }
        }
        sleep(PAUSE);
    }
}

/// Returns the next entries behind `after`. Returns none only if there are none up to `last`, or if the engine keeps
/// showing none.
pub(super) fn read(
    log: &dyn CommitLog,
    after: Slot,
    last: Slot,
    limit: ReadLimit,
) -> Result<Vec<(Slot, Bytes)>, InspectError> {
    let began = Instant::now();
    loop {
        let page = ask(|| log.read(after, limit))?;
        if !page.entries.is_empty() || after >= last || began.elapsed() >= ABSENCE {
            return Ok(page.entries);
        }
        sleep(PAUSE);
    }
}

/// Returns `count` entries behind `after`, or fewer if the engine keeps showing no more.
pub(super) fn read_whole(
    log: &dyn CommitLog,
    after: Slot,
    count: usize,
) -> Result<Vec<Bytes>, InspectError> {
    let last = Slot(after.0 + count as u64);
    let mut entries: Vec<Bytes> = Vec::new();
    while entries.len() < count {
        let limit = ReadLimit { entries: count - entries.len(), bytes: COMMIT_BYTES };
        let page = read(log, Slot(after.0 + entries.len() as u64), last, limit)?;
        if page.is_empty() {
            break;
        }
        entries.extend(page.into_iter().map(|(_, entry)| entry));
    }
    entries.truncate(count);
    Ok(entries)
}
