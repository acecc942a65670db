//! Snapshots: stored states of projections, so that a fold need not start at offset 0.
//!
//! ```text
//!   series   the snapshots of one projection with one query    "Seat-51c1…"
//!     head   the number of events before the snapshot          1000, 2000, …
//!       bytes  checksum, binding and state                     format.rs
//! ```
//! The log stays the only truth. If a snapshot is missing, damaged or outdated, the fold starts earlier and returns the
//! same state.
//!
//! ```text
//!   format      the bytes of a snapshot, and the binding that decides whether it can be used
//!   compare     checks that a state is read back from its JSON as the same state
//!   canonical   the canonical JSON of a state and its hash
//!   digest      `EventDigest`, the hash of an event
//!   series      the rules for names of series
//!   memory      `MemorySnapshots`
//! ```

pub(crate) mod canonical;
pub(crate) mod compare;
pub(crate) mod digest;
pub(crate) mod format;
pub(crate) mod memory;
pub(crate) mod policy;
pub(crate) mod series_name;

use std::fmt::Debug;
use std::io;

/// A store for the snapshots of projections.
///
/// Losing a snapshot is harmless: the next fold takes longer and returns the same state.
///
/// Each backend has a snapshot store of its own ([`Backend::snapshots`](crate::Backend::snapshots)): a Journal writes
/// to the directory `snapshots/`, a log in memory keeps them in memory. A snapshot store should belong to one log. All
/// projections of the log share it; each has a series for each of its queries. If several logs share a snapshot store,
/// their [store ids](crate::Backend::store_id) distinguish their snapshots.
///
/// The name of a series has 1 to 200 bytes. It has no control characters and none of `/`, `\` and `:`, and does not end
/// with a dot or a space, so it is one file name on every system. All methods fail with
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for any other name. An implementation calls
/// [`backend::check_series`](crate::backend::check_series) to check it.
///
/// ```
/// use std::collections::HashMap;
/// use std::io;
/// use std::sync::Mutex;
///
/// use annals::SnapshotStore;
/// use annals::backend::check_series;
///
/// #[derive(Debug, Default)]
/// struct InMap(Mutex<HashMap<(String, u64), Vec<u8>>>);
///
/// impl SnapshotStore for InMap {
///     fn save(&self, series: &str, head: u64, bytes: &[u8]) -> io::Result<()> {
///         check_series(series)?;
///         self.0.lock().unwrap().insert((series.into(), head), bytes.into());
///         Ok(())
///     }
///
///     fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>> {
///         check_series(series)?;
///         let found = self.0.lock().unwrap().get(&(series.into(), head)).cloned();
///         found.ok_or_else(|| io::ErrorKind::NotFound.into())
///     }
///
///     fn heads(&self, series: &str) -> io::Result<Vec<u64>> {
///         check_series(series)?;
///         let map = self.0.lock().unwrap();
///         Ok(map.keys().filter(|(name, _)| name == series).map(|(_, head)| *head).collect())
///     }
///
///     fn remove(&self, series: &str, head: u64) -> io::Result<()> {
///         check_series(series)?;
///         self.0.lock().unwrap().remove(&(series.into(), head));
///         Ok(())
///     }
/// }
/// ```
pub trait SnapshotStore: Send + Sync + Debug {
    /// Stores `bytes` as the snapshot at `head`, and replaces an older snapshot at that head. After a failure or a
    /// crash, no snapshot may be stored in part.
    ///
    /// # Errors
    /// An error of the system, or `series` is not a valid name.
    fn save(&self, series: &str, head: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns the bytes of the snapshot at `head`.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) if no snapshot is at `head`, an error of the system, or `series` is
    /// not a valid name.
    fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>>;

    /// Returns the heads at which the series has snapshots, in any order.
    ///
    /// # Errors
    /// An error of the system, or `series` is not a valid name.
    fn heads(&self, series: &str) -> io::Result<Vec<u64>>;

    /// Removes the snapshot at `head`, if there is one.
    ///
    /// # Errors
    /// An error of the system, or `series` is not a valid name.
    fn remove(&self, series: &str, head: u64) -> io::Result<()>;

    /// Returns whether this process can load snapshots but not save or remove any: false by default. Projections then
    /// begin at the snapshots that other processes save, and save none.
    ///
    /// ```
    /// use annals::{MemorySnapshots, SnapshotStore};
    /// use std::io;
    ///
    /// /// The snapshots of a store, for a process that only reads.
    /// #[derive(Debug)]
    /// struct ReadOnly<S>(S);
    ///
    /// impl<S: SnapshotStore> SnapshotStore for ReadOnly<S> {
    ///     fn save(&self, _: &str, _: u64, _: &[u8]) -> io::Result<()> {
    ///         Err(io::ErrorKind::ReadOnlyFilesystem.into())
    ///     }
    ///     fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>> {
    ///         self.0.load(series, head)
    ///     }
    ///     fn heads(&self, series: &str) -> io::Result<Vec<u64>> {
    ///         self.0.heads(series)
    ///     }
    ///     fn remove(&self, _: &str, _: u64) -> io::Result<()> {
    ///         Err(io::ErrorKind::ReadOnlyFilesystem.into())
    ///     }
    ///     fn is_read_only(&self) -> bool {
    ///         true
    ///     }
    /// }
    ///
    /// let snapshots = MemorySnapshots::default();
    /// snapshots.save("count", 1000, b"state")?;
    /// let reader = ReadOnly(snapshots);
    /// assert!(reader.is_read_only());
    /// assert_eq!(reader.load("count", 1000)?, b"state");
    /// # Ok::<(), io::Error>(())
    /// ```
    fn is_read_only(&self) -> bool {
        false
    }
}
