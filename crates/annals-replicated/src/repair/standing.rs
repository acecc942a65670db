//! The findings and the results of a repair.

use std::ops::Range;
use std::path::PathBuf;

use uuid::Uuid;

use crate::chain::chain::Position;
use crate::chain::slot::Slot;
use crate::format::body::Epoch;

/// How a record and a replica stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The last commit that both have, where the record has it.
    pub shared: Position,
    /// The last valid commit of the record.
    pub record: Position,
    /// The commits and events that only the replica has.
    pub lost: Lost,
    /// The first commit of the record behind the shared one, if the replica has another one with that number.
    pub other: Option<OtherCommit>,
    /// The epoch with which an operator gave up what only the replica has, and its number.
    pub epoch: Option<(u64, Epoch)>,
}

/// The commits and events that a record has lost, and a replica has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// The numbers of the commits. Empty if there are none, or if the replica does not know them.
    pub numbers: Range<u64>,
    /// The offsets of the events.
    pub events: Range<u64>,
}

impl Lost {
    /// Returns the number of commits.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.numbers.end.saturating_sub(self.numbers.start)
    }

    /// Returns whether nothing is lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.events.is_empty()
    }
}

/// A commit of the record that the replica does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtherCommit {
    /// Its number.
    pub number: u64,
    /// The slot of its last entry.
    pub slot: Slot,
    /// The writer that appended it.
    pub writer_id: Uuid,
}

/// The result of [`heal`](super::Repair::heal), also of a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Healed {
    /// The commits and events that the record had lost.
    pub lost: Lost,
    /// The number of commits that were appended: 0 in a dry run, and if nothing was lost.
    pub appended: u64,
    /// The last valid commit of the record: after the repair, or as it is if nothing was appended.
    pub record: Position,
}

/// The result of [`append_epoch`](super::Repair::append_epoch), also of a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EpochMade {
    /// The commits and events that the operator gave up.
    pub lost: Lost,
    /// The epoch. With a new one, this is what was appended or would be.
    pub epoch: Epoch,
    /// The number of the epoch; `None` in a dry run.
    pub number: Option<u64>,
    /// Whether the record had the epoch already.
    pub is_old: bool,
}

/// The result of [`set_aside`](super::Repair::set_aside), also of a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetAside {
    /// Where the replica is now, or would be.
    pub path: PathBuf,
    /// The commits and events that only this replica has.
    pub lost: Lost,
    /// The number of the epoch, and the epoch.
    pub epoch: (u64, Epoch),
}
