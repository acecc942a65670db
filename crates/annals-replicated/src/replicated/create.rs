//! Making a record: the genesis is its first entry.

use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use uuid::Uuid;

use super::open_error::CreateError;
use crate::chain::chain::{Chain, Step};
use crate::chain::slot::Slot;
use crate::chain::tip::Tip;
use crate::format::body::Genesis;
use crate::format::commit::Commit;
use crate::log::commit_log::{AppendOutcome, Cause, CommitLog, LogError, NewEntry, ReadLimit};

/// How long the engine has for storing the genesis.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes the record of a new log in an engine, once. Returns the id of its store.
///
/// ```
/// use annals_replicated::sim::{Faults, SimLog, SimRecord};
/// use annals_replicated::{CreateError, create};
///
/// let log = SimLog::with_record(SimRecord::default(), Faults::none(), 1);
/// let id = create(&log)?;
/// assert!(matches!(create(&log), Err(CreateError::Exists { store_id }) if store_id == id));
/// # Ok::<(), CreateError>(())
/// ```
///
/// # Errors
/// [`CreateError::Exists`] if the engine has a record, and others of [`CreateError`].
pub fn create(log: &dyn CommitLog) -> Result<Uuid, CreateError> {
    log.check()?;
    let made_by = format!("annals {}", env!("CARGO_PKG_VERSION"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let store_id = Uuid::new_v4();
    let genesis = Tip::genesis(store_id, Uuid::new_v4(), Genesis { time_ms, made_by });
    let deadline = Instant::now() + PATIENCE;
    let mut cause = Cause::new("it refuses the entry");
    loop {
        match read_genesis(log) {
            Ok((Some(found), _)) if found.hash() == genesis.hash() => return Ok(store_id),
            Ok((Some(found), _)) => {
                return Err(CreateError::Exists { store_id: found.header().store_id });
            }
            Ok((None, last)) => match append(log, last, &genesis) {
                AppendOutcome::Unknown(reason) | AppendOutcome::NotSent(reason) => cause = reason,
                AppendOutcome::Full => cause = Cause::new("it has no room"),
                AppendOutcome::TooLarge => cause = Cause::new("it takes no entry of this size"),
                _ => {}
            },
            Err(LogError::Unavailable(reason)) => cause = reason,
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= deadline {
            return Err(CreateError::NotStored(cause));
        }
        // The engine may show the entry a moment later.
        sleep(PAUSE);
    }
}

/// Reads the record up to its genesis. Returns it, if there is one, and the last slot that was read.
pub(super) fn read_genesis(log: &dyn CommitLog) -> Result<(Option<Commit>, Slot), LogError> {
    let mut chain = Chain::new(None);
    loop {
        let page = log.read(chain.read_to(), ReadLimit::default())?;
        if page.entries.is_empty() {
            return Ok((None, chain.read_to()));
        }
        for (slot, entry) in &page.entries {
            match chain.push(*slot, entry) {
                Step::Valid(genesis) => return Ok((Some(genesis), *slot)),
                Step::Newer(any) => {
                    let text = format!("a newer annals made it, with format {}", any.format);
                    return Err(LogError::Unavailable(Cause::new(text)));
                }
                Step::Part | Step::Void(_) => {}
            }
        }
    }
}

fn append(log: &dyn CommitLog, after: Slot, genesis: &Commit) -> AppendOutcome {
    let entry = NewEntry::whole(genesis);
    let (done, answer) = mpsc::sync_channel(1);
    log.append(after, entry, Box::new(move |answer| drop(done.try_send(answer))));
    match answer.recv_timeout(PATIENCE) {
        Ok(answer) => answer.outcome,
        Err(_) => AppendOutcome::Unknown(Cause::new("it did not answer")),
    }
}
