//! What the core reads in a replica to admit a batch.

use annals::{Condition, ReadError};

/// The events that were applied to a replica, as the core reads them.
pub trait Replica {
    /// Returns the number of events that were applied.
    fn head(&self) -> u64;

    /// Returns the lowest offset of an event that the condition forbids.
    ///
    /// # Errors
    /// [`ReadError`] if the replica cannot be read.
    fn conflict(&self, condition: &Condition) -> Result<Option<u64>, ReadError>;

    /// Returns the offset of the event with this id.
    ///
    /// # Errors
    /// [`ReadError`] if the replica cannot be read.
    fn find_id(&self, id: &str) -> Result<Option<u64>, ReadError>;

    /// Returns the type of the event at `offset`, which is below the head.
    ///
    /// # Errors
    /// [`ReadError`] if the replica cannot be read.
    fn event_type(&self, offset: u64) -> Result<String, ReadError>;

    /// Returns whether two names are names of the same event type. Either may be an older one.
    fn is_same_type(&self, recorded: &str, given: &str) -> bool {
        recorded == given
    }
}
