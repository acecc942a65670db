//! Snapshots: a projection's state at a head, kept so that a fold need not begin at 0. Never the truth.
//!
//! ```text
//!   series   what one projection with one query keeps        "seat-51c1…"
//!     head   how far the log was folded                      1000, 2000, …
//!       bytes  checksum, what it is bound to, the state      format
//! ```
//! Whatever is wrong with a snapshot, the fold begins earlier and the answer is the same.

pub(crate) mod canonical;
pub(crate) mod compare;
pub(crate) mod digest;
pub(crate) mod format;
pub(crate) mod memory;
pub(crate) mod series;

use std::fmt::Debug;
use std::io;

/// A place for snapshots: named bytes, of which any may be lost without harm.
///
/// Backends have one of their own ([`Backend::snapshots`](crate::Backend::snapshots)): a Journal the directory
/// `snapshots/`, memory its memory. A place belongs to one log; several projections share it, each with its series.
/// Logs that share a place all the same are told apart by their [store ids](crate::Backend::store_id).
///
/// A series has a name of 1 to 200 bytes without control characters and without `/`, `\` and `:`, which does not end
/// with a dot or a space: one file name on every system. All methods refuse another name with an error of the kind
/// [`InvalidInput`](io::ErrorKind::InvalidInput). Authors of a store call
/// [`backend::check_series`](crate::backend::check_series) for that.
pub trait SnapshotStore: Send + Sync + Debug {
    /// Keeps `bytes` as the snapshot at `head`, in place of what is there: whole, or not at all.
    ///
    /// # Errors
    /// The system's.
    fn save(&self, series: &str, head: u64, bytes: &[u8]) -> io::Result<()>;

    /// The bytes of the snapshot at `head`.
    ///
    /// # Errors
    /// The system's; there is none.
    fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>>;

    /// The heads at which the series has snapshots, in any order.
    ///
    /// # Errors
    /// The system's.
    fn heads(&self, series: &str) -> io::Result<Vec<u64>>;

    /// Forgets the snapshot at `head`; if there is none, nothing happens.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, series: &str, head: u64) -> io::Result<()>;
}

/// How often a snapshot is taken, and how many are kept.
///
/// A fold that comes by many such places at once takes snapshots only at the last of them, as many as are kept. Where
/// its projection reads few of the log's events, these cannot be told beforehand; then there are fewer, further apart,
/// and one at the end.
///
/// ```
/// use annals::SnapshotPolicy;
/// let policy = SnapshotPolicy::default(); // every 1,000 events, the last 10
/// let rare = SnapshotPolicy::every(50_000).keep(2);
/// assert_ne!(policy, rare);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    pub(crate) every: u64,
    pub(crate) keep: usize,
}

impl SnapshotPolicy {
    /// A snapshot each time so many events were folded, 1 or more (0 counts as 1); 1,000 by default.
    #[must_use]
    pub fn every(events: u64) -> Self {
        Self { every: events.max(1), keep: 10 }
    }

    /// Keeps the last so many snapshots, 1 or more (0 counts as 1); 10 by default.
    #[must_use]
    pub fn keep(mut self, count: usize) -> Self {
        self.keep = count.max(1);
        self
    }
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self::every(1_000)
    }
}
