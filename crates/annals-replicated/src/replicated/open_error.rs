//! Why a replicated log did not open, or a record was not made.

use annals::OpenError;
use uuid::Uuid;

use crate::format::header::AnyVersion;
use crate::log::commit_log::{Cause, CheckError, LogError, Unfit};

/// Why a replicated log did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenReplicatedError {
    /// The engine is refused.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The engine has no record. Opening never makes one: [`create`](crate::create) does, once.
    #[error(
        "the engine has no record; if this is a new log, create the record once, and if it is not, the record was lost"
    )]
    NoRecord,
    /// The replica belongs to another record.
    #[error("the replica is of the store {replica}, and the record is of the store {record}")]
    OtherRecord {
        /// The store id of the replica.
        replica: Uuid,
        /// The store id of the record.
        record: Uuid,
    },
    /// The record no longer has its beginning, and there is no replica yet. Copy the files of another replica.
    #[error(
        "the record has lost its beginning, so a new replica cannot read all of it; copy the files of another replica"
    )]
    Trimmed,
    /// The record begins with a format that this version does not know.
    #[error(
        "the record has format {}, which this version of annals does not know; use a newer one",
        .0.format
    )]
    Newer(AnyVersion),
    /// The engine did not answer in time.
    #[error("the engine does not answer: {0}")]
    Unavailable(Cause),
    /// The files of the replica cannot be opened.
    #[error(transparent)]
    Replica(#[from] OpenError),
    /// The replica could not be written.
    #[error("the replica could not be written: {0}")]
    Failed(String),
    /// The system has no thread for the store.
    #[error("no thread could be started: {0}")]
    NoThread(#[source] std::io::Error),
}

/// Why a record was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The engine has a record already.
    #[error("the engine has a record already, of the store {store_id}")]
    Exists {
        /// The store id of the record.
        store_id: Uuid,
    },
    /// The engine is refused.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The engine did not answer in time. Nothing was sent to it.
    #[error("the engine does not answer: {0}")]
    Unavailable(Cause),
    /// The engine has a record already, and it begins with a format that this version does not know.
    #[error(
        "the record has format {}, which this version of annals does not know; use a newer one",
        .0.format
    )]
    Newer(AnyVersion),
    /// The record cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The engine does not store the genesis.
    #[error("the engine did not store the beginning of the record: {0}")]
    NotStored(Cause),
}

impl From<CheckError> for OpenReplicatedError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Unfit(unfit) => Self::Unfit(unfit),
            CheckError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

impl From<CheckError> for CreateError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Unfit(unfit) => Self::Unfit(unfit),
            CheckError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}
