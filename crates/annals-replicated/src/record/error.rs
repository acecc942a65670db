//! Why a record could not be examined.

use annals::{OpenError, ReadError};

use crate::chain::slot::Slot;
use crate::format::header::AnyVersion;
use crate::log::commit_log::{Cause, CheckError, Unfit};

/// Why [`status`](crate::status) or [`verify`](crate::verify) has no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The engine is refused.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The engine did not answer for 30 seconds, or refuses the caller.
    #[error("the engine does not answer: {0}")]
    Unavailable(Cause),
    /// The engine has no record.
    #[error("the engine has no record")]
    NoRecord,
    /// The record lost its beginning, so its commits cannot be checked.
    #[error(
        "the record begins at slot {first}, and its commits cannot be checked without those before it"
    )]
    Trimmed {
        /// The first slot that exists.
        first: Slot,
    },
    /// A commit has a format that this version does not know.
    #[error(
        "commit {} has format {}, which this version of annals does not know; use a newer one",
        .0.number, .0.format
    )]
    Newer(AnyVersion),
    /// The files of the replica cannot be opened.
    #[error(transparent)]
    Replica(#[from] OpenError),
    /// The files of the replica cannot be read.
    #[error("the replica cannot be read: {0}")]
    ReplicaRead(#[from] ReadError),
}

impl From<CheckError> for InspectError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Unfit(unfit) => Self::Unfit(unfit),
            CheckError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}
