//! What the suite needs to know of a backend: how to get one, and how to harm it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use annals::Backend;

use crate::Sample;
use crate::fault::{Hold, Loss};

/// A kind of backend to be tested.
pub trait Subject: Sync {
    /// The backend.
    type Backend: Backend<Sample> + 'static;

    /// A new place for a log, empty and apart from all others.
    fn fixture(&self) -> Arc<dyn Fixture<Self::Backend>>;

    /// Whether it encodes events when they are appended, and so can refuse those that have no encoding or are too
    /// large. By default it does.
    fn encodes(&self) -> bool {
        true
    }

    /// Returns how long to wait for what should come at once, until it counts as missing: 2 minutes by default, which
    /// also a busy machine seldom takes.
    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }
}

/// A place where one log lives. What it cannot do it answers `false` or `None` to, and what needs that is skipped.
pub trait Fixture<B>: Send + Sync {
    /// Opens the log.
    ///
    /// # Errors
    /// Whatever the backend says.
    fn open(&self) -> Result<B, Box<dyn Error + Send + Sync>>;

    /// Whether a log that was dropped is there when it is opened again.
    fn keeps(&self) -> bool {
        false
    }

    /// Whether a log that is open cannot be opened a second time.
    fn is_exclusive(&self) -> bool {
        false
    }

    /// Loses what the backend's durability does not promise to keep, now: a power cut, or the end of the process. May
    /// be called while the log is open, and from its callbacks; whoever has it open can no more use it.
    fn crash(&self, loss: Loss) -> bool {
        let _ = loss;
        false
    }

    /// Makes what the next append needs fail.
    fn fail(&self, fault: Fault) -> bool {
        let _ = fault;
        false
    }

    /// Makes room again after [`Fault::Full`].
    fn heal(&self) {}

    /// Stops the next append in the middle, before what it appends is durable, until the answer is dropped.
    fn hold(&self) -> Option<Hold> {
        None
    }

    /// Changes a byte of the recorded event whose payload contains `needle`, while the log is not open.
    fn damage(&self, needle: &[u8]) -> bool {
        let _ = needle;
        false
    }
}

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The next write: half of it is done.
    Write,
    /// The next sync.
    Sync,
    /// There is no more room, until it is healed.
    Full,
}
