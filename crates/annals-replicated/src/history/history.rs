//! The calls that processes made on a log, and their results.

use annals::{Appended, Condition, RawEvent};
use sha2::{Digest as _, Sha256};

/// The result of an append, as its caller got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The batch is in the log, at these offsets.
    Appended(Appended),
    /// The batch is not in the log, since the event at this offset is forbidden by one of its conditions.
    Conflict {
        /// The offset of the event.
        offset: u64,
        /// The position of the condition in the batch.
        condition: usize,
    },
    /// The batch is not in the log and never will be.
    Absent,
    /// The batch may be in the log or come into it, or the caller's process ended before it was told anything.
    InDoubt,
}

/// An append by a process. The times are of one clock for all processes.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The process. A process that was started again is another one.
    pub process: u64,
    /// The events. Events of different batches differ; a batch that is appended again has the same events, and each of
    /// them has an id. Without events it is a barrier.
    pub events: Vec<RawEvent>,
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// The time when the append began.
    pub began: u64,
    /// The time when it returned.
    pub ended: u64,
    /// The result that the caller got.
    pub told: Told,
}

/// A prefix of the log that a process has read.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    /// The process.
    pub process: u64,
    /// The time of the reading.
    pub time: u64,
    /// The number of events that it saw.
    pub head: u64,
    /// The digest of these events.
    pub digest: PrefixDigest,
}

/// The digest of a prefix of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrefixDigest([u8; 32]);

impl PrefixDigest {
    /// Returns the digest of this prefix and the next event.
    #[must_use]
    pub fn then(&self, event: &RawEvent) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(event.body());
        Self(hasher.finalize().into())
    }
}

impl From<[u8; 32]> for PrefixDigest {
    /// Returns the digest with these bytes, which another process has written down.
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<PrefixDigest> for [u8; 32] {
    fn from(digest: PrefixDigest) -> Self {
        digest.0
    }
}

/// The calls of a run and their results, in any order.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The appends.
    pub operations: Vec<Operation>,
    /// The prefixes that processes read.
    pub observations: Vec<Observation>,
}
