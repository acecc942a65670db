//! Records that a test makes.

use crate::log::commit_log::CommitLog;
use crate::sim::{Faults, SimLog};

/// An engine in which a test makes records.
pub trait TestEngine: Sync {
    /// A record.
    type Record: TestRecord;

    /// Makes a new record that has only its genesis.
    fn create(&self) -> Self::Record;
}

/// A record that a test made.
pub trait TestRecord: Send + Sync + 'static {
    /// A connection to it.
    type Log: CommitLog + 'static;

    /// Connects to the record.
    fn connect(&self) -> Self::Log;

    /// Makes the engine refuse the appends to this record for want of room, or take them again. Returns `false` if the
    /// engine cannot be made to, which is the default.
    fn set_full(&self, is_full: bool) -> bool {
        let _ = is_full;
        false
    }
}

impl TestRecord for SimLog {
    type Log = Self;

    fn connect(&self) -> Self {
        self.clone()
    }

    fn set_full(&self, is_full: bool) -> bool {
        self.set_faults(Faults { full: if is_full { 100 } else { 0 }, ..Faults::none() });
        true
    }
}
