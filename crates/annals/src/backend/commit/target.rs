//! What a target does for the commit path.

use std::borrow::Cow;
use std::io;

use crate::backend::encode::Encoded;
use crate::backend::head::callbacks::Published;
use crate::error::ReadError;
use crate::event::name::Name;
use crate::query::Condition;

/// What a target does for the commit path. The leader alone calls it.
pub trait CommitTarget<E>: Send + 'static {
    /// The offset that the next event staged gets.
    fn next_offset(&self) -> u64;

    /// When the last event was recorded; 0 if there is none.
    fn last_time_ms(&self) -> u64;

    /// Makes sure that so many more bytes and labels can be in this commit. If there is no room for them
    /// ([`io::ErrorKind::StorageFull`] and its like), everything stays as it was and may be tried again.
    ///
    /// # Errors
    /// There is no room, or the system's.
    fn reserve(&mut self, bytes: usize, labels: usize) -> io::Result<()>;

    /// The first event that the condition forbids, staged ones included.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read.
    fn conflict(&mut self, condition: &Condition) -> Result<Option<u64>, ReadError>;

    /// The event with this id, staged ones included.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read.
    fn find_id(&mut self, id: Name<'_>) -> Result<Option<u64>, ReadError>;

    /// Returns the type that the event at `offset` was recorded with, a staged event's included.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read.
    fn event_type(&self, offset: u64) -> Result<Cow<'_, str>, ReadError>;

    /// Takes a batch's events at the next offsets. No reader sees them yet.
    fn stage(&mut self, events: Vec<E>, batch: Encoded, time_ms: u64);

    /// Makes all that is staged durable, and readable below the new head.
    ///
    /// # Errors
    /// The system's; then no more appends are taken.
    fn commit(&mut self) -> io::Result<Published<E>>;

    /// Makes all that was ever committed durable.
    ///
    /// # Errors
    /// The system's; then no more appends are taken.
    fn sync(&mut self) -> io::Result<()>;

    /// Closes cleanly what was committed and synced: the next opening need not look for its end. Called when no more
    /// appends are taken, unless a write failed; and again only if it failed.
    ///
    /// # Errors
    /// The system's. What was synced is durable all the same.
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Lets go of what only one process may have (a lock, an open database): the backend is gone, and nothing else is
    /// called after this. The thread that commits for asynchronous appends may keep the target for a while.
    fn release(&mut self) {}
}
