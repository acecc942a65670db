//! The traits that a backend under test implements: how to open it, and how to inject faults.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use annals::Backend;

use crate::Sample;
use crate::fault::{Hold, Loss};

/// A kind of backend under test.
pub trait Subject: Sync {
    /// The type of the backend.
    type Backend: Backend<Sample> + 'static;

    /// Returns a new fixture with an empty log, independent of all others.
    fn fixture(&self) -> Arc<dyn Fixture<Self::Backend>>;

    /// Returns whether the backend encodes events when they are appended, and so refuses events whose encoding fails
    /// or is too large. True by default.
    fn encodes(&self) -> bool {
        true
    }

    /// Returns how long a check waits for something that should happen at once, before it counts as missing: 2
    /// minutes by default, which even a busy machine seldom needs.
    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }
}

/// One log under test, and the faults that can be injected. A method that is not supported returns `false` or `None`,
/// which is the default; the checks that need it are skipped.
pub trait Fixture<B>: Send + Sync {
    /// Opens the log.
    ///
    /// # Errors
    /// The error of the backend.
    fn open(&self) -> Result<B, Box<dyn Error + Send + Sync>>;

    /// Returns whether a log survives being dropped and opened again.
    fn keeps(&self) -> bool {
        false
    }

    /// Returns whether a log that is open cannot be opened again.
    fn is_exclusive(&self) -> bool {
        false
    }

    /// Crashes now, by a loss of power or the end of the process: everything that the backend's durability does not
    /// guarantee may be lost. The suite may call this while the log is open, and from its callbacks. Open handles of
    /// the log are not usable afterwards.
    fn crash(&self, loss: Loss) -> bool {
        let _ = loss;
        false
    }

    /// Makes the next append meet this fault.
    fn fail(&self, fault: Fault) -> bool {
        let _ = fault;
        false
    }

    /// Frees space again after [`Fault::Full`].
    fn heal(&self) {}

    /// Makes the next append stop in the middle, before its events are durable, until the returned hold is dropped.
    fn hold(&self) -> Option<Hold> {
        None
    }

    /// Changes a byte of the stored event whose payload contains `needle`. The log is not open then.
    fn damage(&self, needle: &[u8]) -> bool {
        let _ = needle;
        false
    }
}

/// A fault of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The next write fails when a part of it is done.
    Write,
    /// The next sync fails.
    Sync,
    /// The disk is full until [`Fixture::heal`] is called.
    Full,
}
