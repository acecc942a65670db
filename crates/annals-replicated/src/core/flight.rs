//! A commit that was sent and whose outcome is not known yet.

use std::sync::Arc;

use annals::Appended;
use bytes::Bytes;

use super::messages::{Asked, NewBatch, Refusal, RequestId};
use crate::chain::slot::Slot;
use crate::chain::tip::Tip;
use crate::format::commit::Commit;
use crate::log::commit_log::NewEntry;

/// A request that waits to be admitted, or for the outcome of a commit.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) request: RequestId,
    pub(super) batch: Arc<NewBatch>,
    /// The steady time at which the caller gets an answer in any case, in ms.
    pub(super) deadline_ms: u64,
}

/// A request, and its reply if the commit on which it rests lands.
#[derive(Debug, Clone)]
pub(super) struct Admitted {
    pub(super) waiting: Waiting,
    pub(super) reply: Result<Appended, Refusal>,
    /// Whether the caller was told that the outcome is in doubt.
    pub(super) told: bool,
}

/// An answer of the engine that it stored an entry.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) struct Stored {
    pub(super) slot: Slot,
    /// When the entry was sent.
    pub(super) asked: Asked,
    /// The steady time of the answer, in ms.
    pub(super) answered_ms: u64,
}

/// A commit under way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    /// The number of the flight, for finding it by its sends.
    pub(super) id: u64,
    pub(super) commit: Arc<Commit>,
    /// The tip after the commit.
    pub(super) tip: Tip,
    pub(super) entries: Vec<Bytes>,
    /// Where the engine said that it stored each entry.
    pub(super) slots: Vec<Vec<Stored>>,
    /// The number of entries that were sent in the current attempt.
    pub(super) sent: usize,
    /// The number of sends of the current attempt that were not answered.
    pub(super) open: usize,
    /// The first attempt in which the entries were as they are now.
    pub(super) split_at: u64,
    /// Whether a send ended in any other way than that nothing was stored.
    pub(super) may_be_stored: bool,
    /// Whether a commit that nobody waits for may still land unless this one does.
    pub(super) ends_doubt: bool,
    /// The steady time of the last send, in ms.
    pub(super) sent_ms: u64,
    pub(super) requests: Vec<Admitted>,
}

impl Flight {
    pub(super) fn new(
        id: u64,
        commit: Commit,
        tip: Tip,
        entry_bytes: usize,
        requests: Vec<Admitted>,
    ) -> Self {
        let entries = commit.entries(entry_bytes);
        Self {
            id,
            commit: Arc::new(commit),
            tip,
            slots: vec![Vec::new(); entries.len()],
            entries,
            sent: 0,
            open: 0,
            split_at: 0,
            may_be_stored: false,
            ends_doubt: false,
            sent_ms: 0,
            requests,
        }
    }

    /// Splits the commit anew, into smaller entries. Its hash stays the same.
    pub(super) fn split(&mut self, entry_bytes: usize, attempt: u64) {
        self.split_at = attempt;
        self.entries = self.commit.entries(entry_bytes);
        self.slots = vec![Vec::new(); self.entries.len()];
        self.sent = 0;
    }

    /// Returns the number of entries.
    pub(super) fn parts(&self) -> u16 {
        u16::try_from(self.entries.len()).expect("a commit has at most 65,535 parts")
    }

    /// Returns the engine's answer that it stored entry `part`, or the first one, at `slot`, and which of the two; `None`
    /// if it did not say so. The first one is behind the others if the entries were sent again.
    pub(super) fn next_stored(&self, part: usize, slot: Slot) -> Option<(usize, Stored)> {
        let stored = |part: usize| {
            let stored = self.slots[part].iter().find(|stored| stored.slot == slot);
            stored.map(|stored| (part, *stored))
        };
        stored(part).or_else(|| stored(0))
    }

    /// Forgets the engine's answer that it stored entry `part` at `slot`.
    pub(super) fn forget(&mut self, part: usize, slot: Slot) {
        self.slots[part].retain(|stored| stored.slot != slot);
    }

    /// Returns entry `part` as the engine gets it.
    pub(super) fn entry(&self, part: usize) -> NewEntry {
        let header = self.commit.header();
        NewEntry {
            bytes: self.entries[part].clone(),
            number: header.number,
            hash: self.commit.hash(),
            previous: header.previous,
            first_offset: header.first_offset,
            events: header.events,
            part: (u16::try_from(part).expect("a part's number"), self.parts()),
        }
    }
}
