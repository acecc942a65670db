//! Why a repair failed.

use std::io;
use std::path::PathBuf;

use annals::OpenError;
use uuid::Uuid;

use super::standing::Standing;
use crate::format::body::MAX_TEXT_BYTES;
use crate::format::header::AnyVersion;
use crate::log::commit_log::{Cause, CheckError, LogError, Unfit};

/// Why a repair failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// The engine is refused.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The engine did not answer in time.
    #[error("the engine does not answer: {0}")]
    Unavailable(Cause),
    /// The record cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The engine has no record.
    #[error("the engine has no record, not even its beginning; restore it at the engine")]
    NoRecord,
    /// The record has a format that this version does not know.
    #[error(
        "commit {} has format {}, which this version of annals does not know; use a newer one",
        .0.number, .0.format
    )]
    Newer(AnyVersion),
    /// The directory has no replica.
    #[error("{} has no replica", path.display())]
    NoReplica {
        /// The directory.
        path: PathBuf,
    },
    /// The files of the replica cannot be opened.
    #[error(transparent)]
    Replica(#[from] OpenError),
    /// The replica belongs to another record.
    #[error("the replica is of the store {replica}, and the record is of the store {record}")]
    OtherRecord {
        /// The store id of the replica.
        replica: Uuid,
        /// The store id of the record.
        record: Uuid,
    },
    /// The replica cannot be read.
    #[error("the replica cannot be read: {0}")]
    ReplicaFailed(Cause),
    /// Another writer has appended behind the lost commits' predecessor, so the lost commits cannot follow.
    #[error(
        "the record cannot be healed: after it lost commit {}, another writer appended a commit with that number at slot {}; export the lost events, append an epoch, and set the replicas aside that have them",
        .0.shared.tip.number + 1, .0.other.map_or(0, |other| other.slot.0)
    )]
    Overtaken(Box<Standing>),
    /// The replica does not have everything of a lost commit. Another replica may.
    #[error("this replica cannot build lost commit {number} again: {cause}; try another replica")]
    NotBuilt {
        /// The number of the commit.
        number: u64,
        /// The reason.
        cause: Cause,
    },
    /// The replica does not know the commits of some lost events. Another replica may.
    #[error(
        "this replica does not know the commits of its events from offset {from} on; try another replica"
    )]
    CommitsUnknown {
        /// The offset of the first of these events.
        from: u64,
    },
    /// The engine does not store a commit.
    #[error("the engine did not store commit {number}: {cause}; run the command again")]
    NotStored {
        /// The number of the commit.
        number: u64,
        /// The reason.
        cause: Cause,
    },
    /// The record has everything that the replica has, so there is nothing to give up.
    #[error("the record has everything that this replica has; an epoch would give up nothing")]
    NothingLost,
    /// No epoch gives up what only this replica has.
    #[error(
        "this replica has events that the record lost, and no epoch gives them up; heal the record, or append an epoch"
    )]
    NotGivenUp(Box<Standing>),
    /// An epoch needs a reason of at most 1,024 bytes.
    #[error("an epoch needs a reason of 1 to {MAX_TEXT_BYTES} bytes")]
    Reason,
    /// The directory of the replica could not be renamed.
    #[error("the replica could not be moved to {}: {source}", path.display())]
    NotMoved {
        /// The new name.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl From<CheckError> for RepairError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Unfit(unfit) => Self::Unfit(unfit),
            CheckError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}
