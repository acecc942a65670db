//! The faults of a simulated engine.

/// The faults of a simulated engine and of the way to it. Each number is a probability in percent.
///
/// Without [`Broken`], an engine with any of these keeps its promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// The entry is handled, and its answer is lost: the outcome is unknown.
    pub lost_answers: u64,
    /// The entry is lost: the outcome is unknown.
    pub lost_entries: u64,
    /// The entry arrives a second time, later.
    pub doubled: u64,
    /// The entry arrives much later, and its answer is lost.
    pub delayed: u64,
    /// The entry is handled, and the answer says that it was refused.
    pub wrong_refusals: u64,
    /// The entry is stored, and the answer has the slot of an earlier copy, or of another entry before it.
    pub other_slots: u64,
    /// A read does not return the newest entries.
    pub stale_reads: u64,
    /// A read fails.
    pub failed_reads: u64,
    /// The engine cannot be reached: nothing is sent.
    pub not_sent: u64,
    /// The engine has no room.
    pub full: u64,
    /// Another program puts an entry into the record.
    pub strangers: u64,
    /// Whether the engine stores an entry also if it is not behind the last slot.
    pub accepts_everything: bool,
}

impl Faults {
    /// Returns an engine that works.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }
}

/// A promise that a simulated engine breaks, so that tests can show that this is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broken {
    /// The last entries are lost (E1, E3).
    LostTail,
    /// The last entries are lost, and another writer has appended as many (E1, E3). An engine that compares only slots
    /// stores what is appended behind the lost entries.
    ReplacedTail,
    /// An entry has other bytes than before (E1).
    ChangedEntry,
    /// Two entries have changed places (E1).
    SwappedEntries,
    /// An entry is gone, and the later ones have moved up (E1, E2).
    LostEntry,
    /// The record was made anew: it has another genesis.
    MadeAnew,
}
