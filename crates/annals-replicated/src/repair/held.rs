//! A replica's part of a record.

use crate::chain::chain::Position;
use crate::format::commit::Commit;
use crate::format::hash::CommitHash;
use crate::log::commit_log::Cause;
use uuid::Uuid;

/// A replica's part of a record. [`Repair`](super::Repair) reads a replica in files; simulations have one in memory.
pub trait Held {
    /// Returns the id of the store.
    fn store_id(&self) -> Uuid;

    /// Returns the positions that the replica knows, with increasing numbers and no number left out.
    fn positions(&self) -> &[Position];

    /// Returns the number of events.
    fn head(&self) -> u64;

    /// Returns whether the replica has no other event than this commit at any of its offsets. It may lack some.
    ///
    /// # Errors
    /// The reason, if the replica cannot be read.
    fn agrees(&self, commit: &Commit) -> Result<bool, Cause>;

    /// Builds a commit again, behind the commit with the hash `previous`.
    ///
    /// # Errors
    /// The reason, if the replica does not have everything that is needed.
    fn commit(&self, number: u64, previous: CommitHash) -> Result<Commit, Cause>;

    /// Notes where a commit is in the record now.
    fn moved(&mut self, commit: &Commit, position: Position);
}
