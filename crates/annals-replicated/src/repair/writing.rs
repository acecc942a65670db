//! Appends one commit after the other to a record, and settles each.

use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::error::RepairError;
use super::reading::{Patience, read};
use crate::chain::chain::{Chain, Position, Step};
use crate::chain::slot::Slot;
use crate::format::commit::Commit;
use crate::format::entry::MIN_ENTRY_BYTES;
use crate::log::commit_log::{AppendOutcome, Cause, CommitLog, NewEntry, ReadLimit};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// A writer at the end of a record.
pub(super) struct Writer<'a> {
    log: &'a dyn CommitLog,
    patience: Patience,
    chain: Chain,
    entry_bytes: usize,
}

/// The outcome of a commit.
pub(super) enum Written {
    /// The record has it, up to this position.
    At(Position),
    /// The record has another commit with its number.
    Overtaken,
}

/// The engine's answers to the entries of a commit.
enum Sent {
    /// All are stored where they were expected.
    Stored,
    TooLarge,
    Unclear(Cause),
}

impl<'a> Writer<'a> {
    /// Returns a writer that begins at a position of the record.
    pub(super) fn new(log: &'a dyn CommitLog, at: Position, patience: Patience) -> Self {
        let entry_bytes = log.limits().entry_bytes.max(MIN_ENTRY_BYTES);
        Self { log, patience, chain: Chain::resume(at), entry_bytes }
    }

    /// Returns the last commit that was read or appended.
    pub(super) fn position(&self) -> Position {
        *self.chain.position().expect("it began at one")
    }

    /// Appends a commit, the same bytes again until the record shows what became of it. Only the record decides.
    pub(super) fn write(&mut self, commit: &Commit) -> Result<Written, RepairError> {
        let number = commit.header().number;
        let deadline = Instant::now() + self.patience.unavailable;
        loop {
            if let Some(written) = self.find(commit)? {
                return Ok(written);
            }
            match self.send(commit) {
                Sent::Stored => {
                    let parts = commit.entries(self.entry_bytes).len();
                    let parts = u16::try_from(parts).expect("a commit has at most 65,535 parts");
                    self.chain.landed(commit, parts);
                    return Ok(Written::At(self.position()));
                }
                Sent::TooLarge if self.entry_bytes > MIN_ENTRY_BYTES => {
                    self.entry_bytes = (self.entry_bytes / 2).max(MIN_ENTRY_BYTES);
                    continue;
                }
                Sent::TooLarge => {
                    let cause = Cause::new("it takes no entry of this size");
                    return Err(RepairError::NotStored { number, cause });
                }
                Sent::Unclear(cause) if Instant::now() >= deadline => {
                    return Err(RepairError::NotStored { number, cause });
                }
                Sent::Unclear(_) => {}
            }
            sleep(PAUSE);
        }
    }

    /// Reads on, until the record shows no more or has a commit with this number.
    fn find(&mut self, commit: &Commit) -> Result<Option<Written>, RepairError> {
        let number = commit.header().number;
        while self.position().tip.number < number {
            let page = read(self.log, self.chain.read_to(), ReadLimit::default(), self.patience)?;
            if page.entries.is_empty() {
                return Ok(None);
            }
            for (slot, entry) in &page.entries {
                if let Step::Newer(any) = self.chain.push(*slot, entry) {
                    return Err(RepairError::Newer(any));
                }
                if self.position().tip.number == number {
                    break;
                }
            }
        }
        let position = self.position();
        let is_own = position.tip.hash == commit.hash();
        Ok(Some(if is_own { Written::At(position) } else { Written::Overtaken }))
    }

    /// Sends the entries of a commit, one after the other, and stops at the first that is not stored where it should
    /// be.
    fn send(&self, commit: &Commit) -> Sent {
        let header = commit.header();
        let entries = commit.entries(self.entry_bytes);
        let count = u16::try_from(entries.len()).expect("a commit has at most 65,535 parts");
        let mut after = self.chain.read_to();
        for (bytes, part) in entries.into_iter().zip(0..) {
            let entry = NewEntry {
                bytes,
                number: header.number,
                hash: commit.hash(),
                previous: header.previous,
                first_offset: header.first_offset,
                events: header.events,
                part: (part, count),
            };
            match self.append(after, entry) {
                AppendOutcome::At(slot) if slot == after.next() => after = slot,
                AppendOutcome::At(_) => return Sent::Unclear(Cause::new("it names another slot")),
                AppendOutcome::Refused => return Sent::Unclear(Cause::new("it refuses the entry")),
                AppendOutcome::Full => return Sent::Unclear(Cause::new("it has no room")),
                AppendOutcome::TooLarge => return Sent::TooLarge,
                AppendOutcome::Unknown(cause) | AppendOutcome::NotSent(cause) => {
                    return Sent::Unclear(cause);
                }
            }
        }
        Sent::Stored
    }

    fn append(&self, after: Slot, entry: NewEntry) -> AppendOutcome {
        let (done, answer) = mpsc::sync_channel(1);
        self.log.append(after, entry, Box::new(move |answer| drop(done.try_send(answer))));
        match answer.recv_timeout(self.patience.unavailable) {
            Ok(answer) => answer.outcome,
            Err(_) => AppendOutcome::Unknown(Cause::new("it did not answer")),
        }
    }
}
