//! The trait that a backend implements for the commit path.

use std::borrow::Cow;
use std::io;

use crate::backend::encode::Encoded;
use crate::backend::head::callbacks::Published;
use crate::error::ReadError;
use crate::event::name::Name;
use crate::query::Condition;

/// The side of a backend that the commit path writes to. Only the leader calls it, one call at a time.
///
/// The author of a backend implements it and passes it to [`Committer::new`](crate::backend::Committer::new), or to a
/// [`LogAccess`](crate::backend::LogAccess), which has a committer. The module [`backend`](crate::backend) has an example.
pub trait CommitTarget<E>: Send + 'static {
    /// Returns the offset that the next staged event gets.
    fn next_offset(&self) -> u64;

    /// Returns the time of the last event, in ms since 1970 UTC, or 0 if the log is empty.
    fn last_time_ms(&self) -> u64;

    /// Reserves room for so many more bytes and labels in this commit.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`], `QuotaExceeded` or `FileTooLarge` when there is no room. Nothing has changed
    /// then, and the call may be repeated. Any other error poisons the log.
    fn reserve(&mut self, bytes: usize, labels: usize) -> io::Result<()>;

    /// Returns the offset of the first event that the condition forbids, among recorded and staged events.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read.
    fn conflict(&mut self, condition: &Condition) -> Result<Option<u64>, ReadError>;

    /// Returns the offset of the event with this id, among recorded and staged events.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read.
    fn find_id(&mut self, id: Name<'_>) -> Result<Option<u64>, ReadError>;

    /// Returns the type of the event at `offset`, which is recorded or staged.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read.
    fn event_type(&self, offset: u64) -> Result<Cow<'_, str>, ReadError>;

    /// Stages a batch's events at the next offsets. Readers do not see them yet.
    fn stage(&mut self, events: Vec<E>, batch: Encoded, time_ms: u64);

    /// Makes the staged events durable, and readable below the new head. Returns them for the callbacks.
    ///
    /// # Errors
    /// The system's error. The log then takes no more appends.
    fn commit(&mut self) -> io::Result<Published<E>>;

    /// Makes everything committed so far durable.
    ///
    /// # Errors
    /// The system's error. The log then takes no more appends.
    fn sync(&mut self) -> io::Result<()>;

    /// Marks the log as cleanly closed, so that the next opening need not search for its end. Called after everything
    /// is synced and no more appends are taken, but not after a failed write. Called again only if it failed.
    ///
    /// # Errors
    /// The system's error. What was synced stays durable.
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Releases what only one process can have: a lock, an open database. It is the last call, made after the backend
    /// was dropped. The helper thread may keep the target itself for a while longer.
    fn release(&mut self) {}
}
