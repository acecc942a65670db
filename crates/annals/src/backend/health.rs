//! Whether a store takes appends, and why not.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Whether a store takes appends, and if not, why.
///
/// ```
/// use annals::{EventStore, Health, RawEvent};
/// let store = EventStore::<RawEvent>::in_memory();
/// assert!(store.health().takes_appends());
/// store.close()?;
/// assert!(matches!(store.health(), Health::Closed));
/// # Ok::<(), annals::AppendError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Health {
    /// The store takes appends.
    Open,
    /// The store takes appends, but had no room for the last one. The next append that succeeds ends this state.
    NoRoom {
        /// The number of bytes that the batch needed.
        bytes: u64,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// The store was opened read-only.
    ReadOnly,
    /// The store was closed.
    Closed,
    /// A write or sync failed. The store takes no appends until it is reopened.
    Poisoned {
        /// The failure.
        cause: Arc<str>,
    },
    /// The record of a replicated log lost or changed events that this replica has. The store takes no more appends,
    /// and its subscriptions have ended. The events of the replica stay readable.
    Diverged {
        /// How they differ.
        cause: Arc<str>,
    },
}

impl Health {
    /// Returns whether the store takes appends. Also returns true if the last append found no room.
    #[must_use]
    pub fn takes_appends(&self) -> bool {
        matches!(self, Self::Open | Self::NoRoom { .. })
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => write!(f, "open"),
            Self::NoRoom { bytes, source } => {
                write!(f, "open, but there was no room for the last {bytes} bytes: {source}")
            }
            Self::ReadOnly => write!(f, "open read-only"),
            Self::Closed => write!(f, "closed"),
            Self::Poisoned { cause } => write!(f, "a write failed ({cause}); reopen the store"),
            Self::Diverged { cause } => write!(f, "the record has diverged: {cause}"),
        }
    }
}
