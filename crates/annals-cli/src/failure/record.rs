//! The failures of a record in an engine, and of its replica.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use annals::{Corruption, LockHolder};
use annals_replicated::repair::RepairError;
use annals_replicated::{CheckError, CreateError, Divergence, InspectError, OpenReplicatedError};
use uuid::Uuid;

use super::library_errors;
use crate::record_address::RecordAddress;

/// What is wrong with a record, its engine or its replica.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RecordFailure {
    /// The address is wrong.
    #[error("{0}")]
    Address(Box<dyn Error + Send + Sync>),
    /// The connection cannot be set up, for example because a file with a password cannot be read.
    #[error("{0}")]
    Connect(Box<dyn Error + Send + Sync>),
    /// The engine does not answer, refuses the caller, or cannot be trusted.
    #[error("{address}: {problem}")]
    Check { address: RecordAddress, problem: CheckError },
    /// The replica was not opened.
    #[error("{address}: {problem}")]
    Open { address: RecordAddress, problem: OpenReplicatedError },
    /// Another process has the replica open.
    #[error("{}", library_errors::locked(replica, *holder))]
    InUse { replica: PathBuf, holder: LockHolder },
    /// The files of the replica are damaged.
    #[error("the replica {} is damaged: {damage}", replica.display())]
    Damaged { replica: PathBuf, damage: Corruption },
    /// The record and the replica contradict each other.
    #[error("the record and the replica {} have diverged: {cause}", replica.display())]
    Diverged { replica: PathBuf, cause: Arc<str> },
    /// An epoch gives up commits that only the replica has.
    #[error("the record and the replica {} have diverged: {cause}", address.replica().display())]
    CutOff { address: RecordAddress, cause: Divergence },
    /// There is no record.
    #[error("{address} has no record")]
    NoRecord { address: RecordAddress },
    /// The replica belongs to another record.
    #[error("the replica {} is of the store {own}, and the record is of the store {record}", replica.display())]
    OtherRecord { replica: PathBuf, own: Uuid, record: Uuid },
    /// The record could not be looked at.
    #[error("{address}: {problem}")]
    Inspect { address: RecordAddress, problem: InspectError },
    /// The record and the replica contradict each other, as the report says.
    #[error("the record and the replica {} contradict each other: {problems} found", replica.display())]
    Contradicts { replica: PathBuf, problems: String },
    /// The record was not repaired.
    #[error("{address}: {problem}")]
    Repair { address: RecordAddress, problem: RepairError },
    /// The record was not created.
    #[error("{address}: {problem}")]
    Create { address: RecordAddress, problem: CreateError },
}
