//! The status of an engine, of its record, and of a replica.

use std::path::Path;

use annals::Corruption;
use uuid::Uuid;

use super::asking::{PATIENCE, ask, read_whole};
use super::error::InspectError;
use super::files::ReplicaFiles;
use super::rejoined::rejoined;
use crate::chain::chain::Position;
use crate::chain::slot::Slot;
use crate::core::messages::Divergence;
use crate::format::body::Content;
use crate::format::commit::Commit;
use crate::format::hash::CommitHash;
use crate::log::commit_log::{CommitLog, Fitness, LogError};
use crate::replicated::create::{Beginning, check, read_beginning};

/// The report of [`status`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StatusReport {
    /// The engine, and what an operator should know of it.
    pub fitness: Fitness,
    /// The first slot of the record: 1, unless the record lost its beginning.
    pub first: Slot,
    /// The last slot; the slot before `first` if there are no entries.
    pub last: Slot,
    /// The beginning of the record; `None` if there is none.
    pub origin: Option<Origin>,
    /// The replica; `None` if none was named, or nothing is there.
    pub replica: Option<ReplicaReport>,
}

/// The beginning of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The id of the store.
    pub store_id: Uuid,
    /// The hash of the genesis: the identity of the record.
    pub hash: CommitHash,
    /// The time at which the record was made, in ms since 1970 UTC.
    pub time_ms: u64,
    /// The program that made it.
    pub made_by: String,
}

/// A replica, as its files show it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReplicaReport {
    /// The id of the replica's store.
    pub store_id: Uuid,
    /// The number of events.
    pub head: u64,
    /// The replica's last commit and its place in the record; `None` if the replica does not know it, because it has
    /// none yet or because the file `record.tail` is missing.
    pub position: Option<Position>,
    /// The number of slots of the record behind that commit.
    pub lag_slots: u64,
    /// The number of the last commits whose places the replica knows: at most 65,536.
    pub recent_commits: u64,
    /// The number of void entries between those commits.
    pub recent_voids: u64,
    /// How the record differs from the replica, as far as the places of the replica's last commits show it. Names the
    /// epoch if an operator has given up what only the replica has. [`verify`](crate::verify) compares everything.
    pub divergence: Option<Divergence>,
    /// Whether the replica belongs to another record. It is then not compared.
    pub is_of_another_record: bool,
    /// The damage at which the replica's files end, if they are damaged.
    pub damage: Option<Corruption>,
}

/// Reports what the engine is, what the record has, and where the replica in the directory `replica` is in it. Another
/// process may have the replica open. Changes nothing.
///
/// How many commits of the replica are in doubt is known only to the process that has it open:
/// [`Replicated::record`](crate::Replicated::record) returns it.
///
/// ```
/// use annals_replicated::sim::{Faults, SimLog};
/// use annals_replicated::{Slot, status};
///
/// let log = SimLog::new(Faults::none(), 1); // a test's engine, in memory
/// let report = status(&log, None)?;
/// assert_eq!((report.first, report.last), (Slot(1), Slot(1))); // the genesis
/// assert!(report.origin.is_some() && report.replica.is_none());
/// # Ok::<(), annals_replicated::InspectError>(())
/// ```
///
/// # Errors
/// [`InspectError`]: the engine cannot be trusted or does not answer for 30 seconds, or the files of the replica do not
/// open. A record that is missing, or that has diverged, is not an error: the report says so.
pub fn status(log: &dyn CommitLog, replica: Option<&Path>) -> Result<StatusReport, InspectError> {
    let fitness = check(log, PATIENCE)?;
    // Read before the record: a replica is never ahead of it.
    let files = replica.map(ReplicaFiles::open).transpose()?.flatten();
    let positions = files.as_ref().map(ReplicaFiles::positions).unwrap_or_default();
    let (first, last) = ask(|| log.ends())?;
    let origin = match ask(|| beginning(log))? {
        Some(Beginning::Genesis(genesis)) => Some(Origin::of(&genesis)),
        Some(Beginning::Newer(any)) => return Err(InspectError::Newer(any)),
        Some(Beginning::None { .. }) | None => None,
    };
    let record = origin.as_ref().map(|origin| origin.store_id);
    let report = |files| replica_report(log, files, &positions, record, last);
    let replica = files.as_ref().map(report).transpose()?;
    Ok(StatusReport { fitness, first, last, origin, replica })
}

/// Returns what the record begins with; `None` if it lost its beginning.
fn beginning(log: &dyn CommitLog) -> Result<Option<Beginning>, LogError> {
    match read_beginning(log) {
        Err(LogError::Trimmed { .. }) => Ok(None),
        beginning => beginning.map(Some),
    }
}

impl Origin {
    fn of(genesis: &Commit) -> Self {
        let (time_ms, made_by) = match genesis.content() {
            Content::Genesis(genesis) => (genesis.time_ms, genesis.made_by.clone()),
            _ => (0, String::new()),
        };
        Self { store_id: genesis.header().store_id, hash: genesis.hash(), time_ms, made_by }
    }
}

fn replica_report(
    log: &dyn CommitLog,
    files: &ReplicaFiles,
    positions: &[Position],
    record: Option<Uuid>,
    last: Slot,
) -> Result<ReplicaReport, InspectError> {
    let is_of_another_record = record.is_some_and(|record| record != files.store_id);
    let position = positions.last().copied();
    let between = |pair: &[Position]| pair[1].before().0.saturating_sub(pair[0].slot.0);
    let divergence = match &position {
        Some(position) if !is_of_another_record => divergence(log, position)?,
        _ => None,
    };
    let divergence = match divergence {
        Some(found @ (Divergence::Lost { .. } | Divergence::Changed { .. })) => {
            rejoined(log, positions, last, found)?
        }
        other => other,
    };
    // The process that has the replica open may have read beyond the last slot that the engine named.
    let lag_slots = last.0.saturating_sub(position.map_or(0, |position| position.slot.0));
    Ok(ReplicaReport {
        store_id: files.store_id,
        head: files.head(),
        position,
        lag_slots,
        recent_commits: positions.len() as u64,
        recent_voids: positions.windows(2).map(between).sum(),
        divergence,
        is_of_another_record,
        damage: files.damage().cloned(),
    })
}

/// Returns how the record differs at the replica's last commit.
fn divergence(
    log: &dyn CommitLog,
    position: &Position,
) -> Result<Option<Divergence>, InspectError> {
    let (slot, count) = (position.slot, usize::from(position.entries));
    match read_whole(log, position.before(), count) {
        Err(InspectError::Trimmed { first }) => Ok(Some(Divergence::Trimmed { first, slot })),
        Err(error) => Err(error),
        Ok(entries) if entries.len() < count => Ok(Some(Divergence::Lost { slot })),
        Ok(entries) if !position.is_at(&entries) => Ok(Some(Divergence::Changed { slot })),
        Ok(_) => Ok(None),
    }
}
