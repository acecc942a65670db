//! An engine, as the suite meets it, and what the checks return.

use std::fmt;
use std::time::Duration;

use crate::log::commit_log::CommitLog;

/// An engine, as the suite meets it.
pub trait LogSubject: Sync {
    /// A connection.
    type Log: CommitLog;

    /// Makes a new record that has only its genesis, and connects to it.
    fn create(&self) -> Self::Log;

    /// Returns another connection to the same record.
    fn connect(&self, log: &Self::Log) -> Self::Log;

    /// Ends the connection of `log` to its servers, for example by starting them again, so that its next call needs
    /// a new one. Returns whether it did: by default not, and then the check of
    /// [`CommitLog::connection`] is left out.
    fn reconnect(&self, _log: &Self::Log) -> bool {
        false
    }
}

/// A promise that an engine broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The name of the check.
    pub check: &'static str,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.found)
    }
}

/// What a check returns: an error if a promise is broken.
pub(super) type Found = Result<(), String>;

/// The name of a check, and the check.
pub(super) type Check<S> = (&'static str, fn(&S) -> Found);

/// How often the same entry is sent, and how often a read is tried, until the check counts as failed.
pub(super) const TRIES: u32 = 500;
/// After this time without an answer, an engine counts as hanging, on any machine.
pub(super) const HANGS: Duration = Duration::from_secs(120);
