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
use crate::format::header::AnyVersion;
use crate::log::commit_log::{
    AppendOutcome, Cause, CheckError, CommitLog, Fitness, LogError, NewEntry, ReadLimit,
};

/// How long the engine has for its check, and then for storing the genesis.
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
/// [`CreateError::Exists`] if the engine has a record, [`CreateError::Unavailable`] if it does not answer for
/// 30 seconds, and others of [`CreateError`].
pub fn create(log: &dyn CommitLog) -> Result<Uuid, CreateError> {
    check(log, PATIENCE)?;
    let made_by = format!("annals {}", env!("CARGO_PKG_VERSION"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let store_id = Uuid::new_v4();
    let genesis = Tip::genesis(store_id, Uuid::new_v4(), Genesis { time_ms, made_by });
    let deadline = Instant::now() + PATIENCE;
    let mut cause = Cause::new("it refuses the entry");
    loop {
        match read_beginning(log) {
            Ok(Beginning::Genesis(found)) if found.hash() == genesis.hash() => return Ok(store_id),
            Ok(Beginning::Genesis(found)) => {
                return Err(CreateError::Exists { store_id: found.header().store_id });
            }
            Ok(Beginning::Newer(any)) => return Err(CreateError::Newer(any)),
            Ok(Beginning::None { last }) => match append(log, last, &genesis) {
                AppendOutcome::NotSent(reason) if reason.is_lasting() => {
                    return Err(CreateError::NotStored(reason));
                }
                AppendOutcome::Unknown(reason) | AppendOutcome::NotSent(reason) => cause = reason,
                AppendOutcome::Full => cause = Cause::new("it has no room"),
                AppendOutcome::TooLarge => cause = Cause::new("it takes no entry of this size"),
                _ => {}
            },
            Err(LogError::Unavailable(reason)) if !reason.is_lasting() => cause = reason,
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= deadline {
            return Err(CreateError::NotStored(cause));
        }
        // The engine may show the entry a moment later.
        sleep(PAUSE);
    }
}

/// Checks the engine. Asks an engine that does not answer again, for `limit`, unless its reason is lasting.
pub(crate) fn check(log: &dyn CommitLog, limit: Duration) -> Result<Fitness, CheckError> {
    let started = Instant::now();
    loop {
        match log.check() {
            Err(CheckError::Unavailable(cause))
                if !cause.is_lasting() && started.elapsed() < limit =>
            {
                sleep(PAUSE);
            }
            checked => return checked,
        }
    }
}

/// The beginning of a record.
pub(crate) enum Beginning {
    Genesis(Commit),
    /// The record shows no genesis up to the slot `last`, where it ends.
    None {
        last: Slot,
    },
    /// A genesis of a format that this version does not know.
    Newer(AnyVersion),
}

/// Reads the record up to its genesis.
pub(crate) fn read_beginning(log: &dyn CommitLog) -> Result<Beginning, LogError> {
    let mut chain = Chain::new(None);
    loop {
        let page = log.read(chain.read_to(), ReadLimit::default())?;
        page.check(chain.read_to())?;
        if page.entries.is_empty() {
            return Ok(Beginning::None { last: chain.read_to() });
        }
        for (slot, entry) in &page.entries {
            match chain.push(*slot, entry) {
                Step::Valid(genesis) => return Ok(Beginning::Genesis(genesis)),
                Step::Newer(any) => return Ok(Beginning::Newer(any)),
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
