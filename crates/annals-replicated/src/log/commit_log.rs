//! The seam to an engine.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::chain::slot::Slot;
use crate::format::commit::Commit;
use crate::format::hash::CommitHash;

/// Stores the entries of a record. An engine's crate implements it, and
/// [`suite`](crate::suite) tests it.
///
/// # What an engine promises
/// * **E1, order:** all readers see the same bytes at a slot, for ever.
/// * **E2:** slots have no gaps.
/// * **E3:** [`At`](AppendOutcome::At) means that the entry is stored, there or as an earlier copy, and is as durable
///   as the engine's documentation promises for a majority.
/// * **E4:** [`read`](Self::read) returns only what is as durable as an entry whose append was answered with
///   [`At`](AppendOutcome::At). This holds for the entries of other writers too, and for those whose append was
///   answered with [`Unknown`](AppendOutcome::Unknown): the protocol takes an entry that a read returns as stored, and
///   the caller's append succeeds. If the engine shows entries before a majority has them, `read` leaves them out.
/// * **E5:** [`NotSent`](AppendOutcome::NotSent), [`TooLarge`](AppendOutcome::TooLarge) and
///   [`Full`](AppendOutcome::Full) mean that this call did not store the entry and will not.
///
/// Safety rests on nothing else. An engine need not compare `after` correctly, nor deliver an entry only once. A
/// refusal may be wrong, and a read may miss the newest entries.
pub trait CommitLog: Send + Sync {
    /// Stores `entry` at the slot behind `after`, if `after` is the last slot. Calls `done` once, from any thread.
    fn append(&self, after: Slot, entry: NewEntry, done: Done);

    /// Returns the next entries behind `after`, in order and without a gap. Returns none if the engine shows no more at
    /// present. Returns at least one entry if there is one, even if it exceeds the limit. Leaves out an entry that is
    /// not yet as durable as E4 says, and those behind it.
    ///
    /// # Errors
    /// [`LogError::Trimmed`] if the entry behind `after` no longer exists, and [`LogError::Unavailable`] if the engine
    /// does not answer.
    fn read(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError>;

    /// Returns the first and the last slot, or the slots 1 and 0 if there are no entries. They may be out of date.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if the engine does not answer.
    fn ends(&self) -> Result<(Slot, Slot), LogError>;

    /// Blocks until there may be an entry behind `after`, or until `until`.
    fn wait(&self, after: Slot, until: Instant);

    /// Reports what the engine is. Refuses settings under which it loses acknowledged entries.
    ///
    /// # Errors
    /// [`CheckError::Unfit`] if the engine cannot be trusted. [`CheckError::Unavailable`] if it does not answer, for
    /// example during a failover: then it is asked again.
    fn check(&self) -> Result<Fitness, CheckError>;

    /// Returns the largest entry, and how many appends may be under way.
    fn limits(&self) -> LogLimits;

    /// Reads entries that were read before, to find out whether the record still has them. An engine whose servers may
    /// disagree asks the server that takes appends. Otherwise as [`read`](Self::read), which it calls by default.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    fn read_again(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        self.read(after, limit)
    }

    /// Returns whether the engine stores an entry only behind the commit that it was decided on: behind an entry with
    /// the hash [`NewEntry::previous`]. By default not. Then a process reads its last commit, and the entries behind it,
    /// again two to four times a second while it takes commits, its own or those of others, because the engine may have
    /// lost these entries and stored others in their slots.
    fn compares_hashes(&self) -> bool {
        false
    }

    /// Returns a number that changes when the engine is connected again, before it answers an append on the new
    /// connection. A process then reads its last commit again. Always 0 by default: then this happens after a call has
    /// failed. It is called often, and does not block.
    fn connection(&self) -> u64 {
        0
    }

    /// Returns the engine's name, the value of the label `backend` of the metrics: "replicated" by default.
    fn name(&self) -> &'static str {
        "replicated"
    }

    /// Sends "I wait for a turn" to the other writers. It may be lost.
    fn hint(&self) {}

    /// Sets the function that is called when another writer waits for a turn.
    fn on_hint(&self, _see: Box<dyn Fn() + Send + Sync>) {}
}

/// The function that an engine calls with the outcome of an append.
pub type Done = Box<dyn FnOnce(AppendAnswer) + Send>;

/// An entry to store, and what an engine may use to index or check it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The bytes to store.
    pub bytes: Bytes,
    /// The number of the commit.
    pub number: u64,
    /// The hash of the commit.
    pub hash: CommitHash,
    /// The hash of the commit that this one was decided on.
    pub previous: CommitHash,
    /// The offset of the commit's first event.
    pub first_offset: u64,
    /// The number of the commit's events.
    pub events: u32,
    /// The number of this part, from 0, and the number of parts.
    pub part: (u16, u16),
}

impl NewEntry {
    /// Returns a commit in one piece.
    #[must_use]
    pub fn whole(commit: &Commit) -> Self {
        let header = commit.header();
        Self {
            bytes: commit.entries(usize::MAX).remove(0),
            number: header.number,
            hash: commit.hash(),
            previous: header.previous,
            first_offset: header.first_offset,
            events: header.events,
            part: (0, 1),
        }
    }
}

/// The answer to an append.
#[derive(Debug, Clone)]
pub struct AppendAnswer {
    /// The outcome for the entry.
    pub outcome: AppendOutcome,
    /// The engine's clock at that time, in ms since 1970 UTC, if the engine has one.
    pub time_ms: Option<u64>,
}

/// The outcome of an append for its entry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AppendOutcome {
    /// The entry is stored at this slot.
    At(Slot),
    /// The engine says that `after` was not the last slot. It may be wrong.
    Refused,
    /// The entry was sent, and whether it is or will be stored is unknown. The protocol then reads, and takes an entry
    /// that [`read`](CommitLog::read) returns as stored: see E4.
    Unknown(Cause),
    /// The entry was not sent, and will not be.
    NotSent(Cause),
    /// The entry is larger than the engine stores. It is not stored.
    TooLarge,
    /// The engine has no room. The entry is not stored.
    Full,
}

/// The reason for a failure, for people.
#[derive(Clone)]
pub struct Cause {
    reason: Arc<str>,
    is_lasting: bool,
}

impl Cause {
    /// Returns a reason that may pass by itself, for example that a server starts.
    #[must_use]
    pub fn new(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string().into(), is_lasting: false }
    }

    /// Returns a reason that stays until a person changes something, for example a wrong password. Opening a log and
    /// creating a record then fail at once, and do not wait for the engine.
    #[must_use]
    pub fn lasting(reason: impl fmt::Display) -> Self {
        Self { is_lasting: true, ..Self::new(reason) }
    }

    /// Returns whether the reason stays until a person changes something.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.is_lasting
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.reason, f)
    }
}

/// How much a read may return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// The largest number of entries, at least 1.
    pub entries: usize,
    /// The largest size of all entries, in bytes. One entry may exceed it.
    pub bytes: usize,
}

impl Default for ReadLimit {
    /// Returns a limit of 1,024 entries and 8 MiB.
    fn default() -> Self {
        Self { entries: 1_024, bytes: 8 << 20 }
    }
}

/// Entries that were read.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The entries behind the slot that was asked for, in order and without a gap.
    pub entries: Vec<(Slot, Bytes)>,
    /// The engine's clock at that time, in ms since 1970 UTC, if the engine has one: also without entries, since a
    /// process that has read everything compares its clock with nothing else.
    pub time_ms: Option<u64>,
}

impl Page {
    /// Checks that an engine has returned the entries behind this slot.
    pub(crate) fn check(&self, after: Slot) -> Result<(), LogError> {
        let found = self.entries.iter().map(|(slot, _)| *slot);
        let wanted = (after.0..).map(|before| Slot(before).next());
        match found.zip(wanted).find(|(found, wanted)| found != wanted) {
            None => Ok(()),
            Some((found, wanted)) => Err(LogError::Unavailable(Cause::new(format!(
                "it returned slot {found} in the place of slot {wanted}"
            )))),
        }
    }
}

/// Why a record could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The record no longer has the entries that were asked for.
    #[error("the record begins at slot {first}, and the entries before it no longer exist")]
    Trimmed {
        /// The first slot that exists.
        first: Slot,
    },
    /// The engine does not answer.
    #[error("the engine does not answer: {0}")]
    Unavailable(Cause),
}

/// A description of an engine, for people and for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitness {
    /// The engine, its version, and the settings that matter.
    pub engine: String,
    /// Warnings for an operator, for example that there is only one server.
    pub warnings: Vec<String>,
}

/// Why an engine is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the engine cannot be trusted with a record: {}", reasons.join("; "))]
pub struct Unfit {
    /// The reasons, each with what to do.
    pub reasons: Vec<String>,
}

/// Why an engine did not pass its check.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The engine cannot be trusted with a record.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The engine does not answer.
    #[error("the engine does not answer: {0}")]
    Unavailable(Cause),
}

/// The limits of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// The largest entry, in bytes.
    pub entry_bytes: usize,
    /// How many appends may be under way at the same time, at least 1.
    pub under_way: usize,
}
