//! Appends commits by the chain rule, and checks what the engine answers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use annals::RawEvent;
use bytes::Bytes;
use uuid::Uuid;

use super::reader::Reader;
use super::subject::{Found, HANGS, TRIES};
use crate::chain::slot::Slot;
use crate::chain::tip::Tip;
use crate::format::body::{CommitBatch, Content};
use crate::format::commit::Commit;
use crate::log::commit_log::{AppendAnswer, AppendOutcome, CommitLog, NewEntry};

/// Appends commits, and settles them before the next ones.
pub(super) struct Writer<'a, L> {
    log: &'a L,
    pub(super) reader: Reader<'a, L>,
    pub(super) id: Uuid,
}

/// How commits are sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending {
    /// The number of entries that may be under way.
    pub(super) window: usize,
    /// The largest entry, in bytes.
    pub(super) entry_bytes: usize,
}

/// One entry under way at a time, each a whole commit.
const PLAIN: Sending = Sending { window: 1, entry_bytes: usize::MAX };

/// What became of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// All are in the record.
    Landed,
    /// Another commit came before them.
    Lost,
    /// The engine says that an entry is too large. Nothing was stored of its commit.
    TooLarge,
}

/// Sends the outcome of an append to the check that waits for it: none if the engine drops the function.
struct Answer {
    index: usize,
    sender: Sender<(usize, Option<AppendOutcome>)>,
    outcome: Option<AppendOutcome>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        // The check may have ended.
        drop(self.sender.send((self.index, self.outcome.take())));
    }
}

/// Returns a commit as the entries that an engine gets.
fn entries_of(commit: &Commit, entry_bytes: usize) -> Vec<NewEntry> {
    let whole = NewEntry::whole(commit);
    let entries = commit.entries(entry_bytes);
    let count = u16::try_from(entries.len()).expect("few parts");
    let part = |(bytes, index)| NewEntry { bytes, part: (index, count), ..whole.clone() };
    entries.into_iter().zip(0..).map(part).collect()
}

/// Returns the commit behind `tip` with an event of about this size.
pub(super) fn commit_on(tip: &Tip, writer_id: Uuid, bytes: usize) -> Result<Commit, String> {
    let event = RawEvent::builder("e").data(vec![7; bytes]).build();
    let events = vec![event.map_err(|error| error.to_string())?];
    let batch = CommitBatch { time_ms: tip.time_ms + 1, events };
    Ok(tip.next(writer_id, Content::Events(vec![batch])))
}

impl<'a, L: CommitLog> Writer<'a, L> {
    pub(super) fn new(log: &'a L) -> Self {
        Self { log, reader: Reader::new(log), id: Uuid::new_v4() }
    }

    /// Returns the last valid commit that was read.
    pub(super) fn tip(&mut self) -> Result<Tip, String> {
        self.reader.read_until(|reader| reader.chain.tip().is_some())?;
        self.reader.chain.tip().copied().ok_or_else(|| "no genesis".to_owned())
    }

    /// Returns the next commit, with an event of about this size.
    pub(super) fn next(&mut self, bytes: usize) -> Result<Commit, String> {
        commit_on(&self.tip()?, self.id, bytes)
    }

    /// Appends a commit of one event of about this size, and returns it once the record shows it.
    pub(super) fn put(&mut self, bytes: usize) -> Result<Commit, String> {
        for _ in 0..TRIES {
            let commit = self.next(bytes)?;
            match self.settle(std::slice::from_ref(&commit), PLAIN)? {
                Settled::Landed => return Ok(commit),
                Settled::Lost => {}
                Settled::TooLarge => {
                    return Err(format!("an entry of {} bytes is too large", commit.body_bytes()));
                }
            }
        }
        Err("a writer lost every race".into())
    }

    /// Sends commits that chain until all have landed, or another one has. At first, as many entries are under way as
    /// `sending` says. After an answer that leaves a doubt, the entries are sent one by one.
    pub(super) fn settle(
        &mut self,
        commits: &[Commit],
        mut sending: Sending,
    ) -> Result<Settled, String> {
        let mut may_be_stored = vec![false; commits.len()];
        for _ in 0..TRIES {
            let is_missing = |commit: &Commit| self.reader.commit(commit.header().number).is_none();
            let missing = commits.iter().enumerate().filter(|(_, commit)| is_missing(commit));
            let (owners, entries): (Vec<usize>, Vec<NewEntry>) = missing
                .flat_map(|(at, commit)| {
                    entries_of(commit, sending.entry_bytes).into_iter().map(move |it| (at, it))
                })
                .unzip();
            let after = self.reader.chain.read_to();
            let outcomes = self.send(after, &entries, sending.window)?;
            sending.window = 1;
            for ((outcome, entry), slot) in outcomes.iter().zip(&entries).zip(after.0 + 1..) {
                if let AppendOutcome::At(named) = outcome {
                    self.is_stored(*named, Slot(slot), &entry.bytes)?;
                }
            }
            for (outcome, owner) in outcomes.iter().zip(owners) {
                may_be_stored[owner] |= !is_absent(outcome);
            }
            self.reader.read_on()?;
            if let Some(settled) = self.settled(commits, &may_be_stored, &outcomes)? {
                return Ok(settled);
            }
            self.log.wait(self.reader.chain.read_to(), Instant::now() + Duration::from_millis(1));
        }
        Err("an entry was sent again and again, and is not there".into())
    }

    /// Returns what became of commits, as far as the record shows it. Checks that none is stored whose answers all said
    /// that it was not, and will not be.
    fn settled(
        &self,
        commits: &[Commit],
        may_be_stored: &[bool],
        outcomes: &[AppendOutcome],
    ) -> Result<Option<Settled>, String> {
        let mut has_all = true;
        for (commit, may_be_stored) in commits.iter().zip(may_be_stored) {
            let number = commit.header().number;
            match self.reader.commit(number) {
                Some(landed) if landed != commit => return Ok(Some(Settled::Lost)),
                Some(_) if !may_be_stored => {
                    return Err(format!(
                        "commit {number} is stored, and the answer was {outcomes:?}"
                    ));
                }
                Some(_) => {}
                None => has_all = false,
            }
        }
        let is_too_large = outcomes.iter().any(|it| matches!(it, AppendOutcome::TooLarge));
        Ok(match has_all {
            true => Some(Settled::Landed),
            false if is_too_large && !may_be_stored.contains(&true) => Some(Settled::TooLarge),
            false => None,
        })
    }

    /// Checks that an entry is stored, as the engine says: at the slot that it names, if that was expected. Otherwise
    /// it may be an earlier copy, at any slot.
    fn is_stored(&mut self, slot: Slot, expected: Slot, entry: &Bytes) -> Found {
        if slot == expected {
            // Every read shows it there, now or soon.
            self.reader.read_until(|reader| reader.chain.read_to() >= slot)?;
            if self.reader.entry(slot) != Some(entry) {
                return Err(format!("slot {slot} was acknowledged and has another entry"));
            }
            return Ok(());
        }
        let is_there = |reader: &Reader<'a, L>| reader.entries.contains(entry);
        let read = self.reader.read_until(is_there);
        read.map_err(|found| format!("an entry was acknowledged and is not there: {found}"))
    }

    /// Sends entries for the slots behind `after`, once each, and returns the outcomes. At most `window` are under way.
    /// If that is one, ends with the first that was not stored at its slot.
    pub(super) fn send(
        &self,
        after: Slot,
        entries: &[NewEntry],
        window: usize,
    ) -> Result<Vec<AppendOutcome>, String> {
        let (sender, answers) = channel();
        let mut outcomes: Vec<Option<AppendOutcome>> = vec![None; entries.len()];
        let mut open = 0;
        for (index, entry) in entries.iter().enumerate() {
            while open >= window {
                take(&answers, &mut outcomes)?;
                open -= 1;
            }
            let after = Slot(after.0 + index as u64);
            let before = index.checked_sub(1).map(|before| &outcomes[before]);
            let is_stored = match before {
                Some(Some(AppendOutcome::At(slot))) => *slot == after,
                Some(_) => false,
                None => true,
            };
            if window == 1 && !is_stored {
                break;
            }
            let answer = Answer { index, sender: sender.clone(), outcome: None };
            let done = Box::new(move |given: AppendAnswer| {
                let mut answer = answer;
                answer.outcome = Some(given.outcome);
            });
            self.log.append(after, entry.clone(), done);
            open += 1;
        }
        for _ in 0..open {
            take(&answers, &mut outcomes)?;
        }
        Ok(outcomes.into_iter().flatten().collect())
    }
}

/// Waits for one answer.
fn take(
    answers: &Receiver<(usize, Option<AppendOutcome>)>,
    outcomes: &mut [Option<AppendOutcome>],
) -> Found {
    match answers.recv_timeout(HANGS) {
        Ok((index, Some(outcome))) => outcomes[index] = Some(outcome),
        Ok((_, None)) => return Err("the function of an append was dropped, not called".into()),
        Err(_) => return Err("an append was never answered".into()),
    }
    Ok(())
}

/// Returns whether an outcome means that this call did not store the entry and will not.
fn is_absent(outcome: &AppendOutcome) -> bool {
    matches!(outcome, AppendOutcome::NotSent(_) | AppendOutcome::TooLarge | AppendOutcome::Full)
}
