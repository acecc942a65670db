//! Reads a record, and checks that its slots have no gap.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::subject::{Found, TRIES};
use crate::chain::chain::{Chain, Step};
use crate::chain::slot::Slot;
use crate::format::commit::Commit;
use crate::log::commit_log::{CommitLog, LogError, Page, ReadLimit};

/// Waits a moment, whatever the record has.
pub(super) fn pause(log: &impl CommitLog) {
    log.wait(Slot(u64::MAX - 1), Instant::now() + Duration::from_millis(10));
}

/// Returns the first and the last slot, trying again while the engine does not answer.
pub(super) fn try_ends(log: &impl CommitLog) -> Result<(Slot, Slot), String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match log.ends() {
            Ok(ends) => return Ok(ends),
            Err(error) => last = error.to_string(),
        }
        pause(log);
    }
    Err(last)
}

/// Reads entries behind `after`, trying again while there are none or the engine does not answer.
pub(super) fn try_read(
    log: &impl CommitLog,
    after: Slot,
    call: impl Fn() -> Result<Page, LogError>,
) -> Result<Vec<Bytes>, String> {
    let mut last = String::from("no entries");
    for _ in 0..TRIES {
        match checked(after, call()) {
            Ok(entries) if !entries.is_empty() => return Ok(entries),
            Ok(_) => {}
            Err(Failed::Broken(found)) => return Err(found),
            Err(Failed::Unavailable(found)) => last = found,
        }
        log.wait(after, Instant::now() + Duration::from_millis(10));
    }
    Err(format!("nothing behind slot {after}: {last}"))
}

enum Failed {
    Broken(String),
    Unavailable(String),
}

/// Returns the entries of a page that was read behind `after`. Checks that their slots have no gap.
fn checked(after: Slot, page: Result<Page, LogError>) -> Result<Vec<Bytes>, Failed> {
    let page = page.map_err(|error| Failed::Unavailable(error.to_string()))?;
    let mut entries = Vec::new();
    for ((slot, entry), expected) in page.entries.into_iter().zip(after.0 + 1..) {
        if slot != Slot(expected) {
            return Err(Failed::Broken(format!("slot {slot} stands where {expected} should be")));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// What was read of a record.
pub(super) struct Reader<'a, L> {
    log: &'a L,
    pub(super) chain: Chain,
    pub(super) entries: Vec<Bytes>,
    pub(super) commits: Vec<Commit>,
}

impl<L> Clone for Reader<'_, L> {
    fn clone(&self) -> Self {
        let (chain, entries) = (self.chain.clone(), self.entries.clone());
        Self { log: self.log, chain, entries, commits: self.commits.clone() }
    }
}

impl<'a, L: CommitLog> Reader<'a, L> {
    pub(super) fn new(log: &'a L) -> Self {
        Self { log, chain: Chain::new(None), entries: Vec::new(), commits: Vec::new() }
    }

    fn push(&mut self, entry: Bytes) {
        if let Step::Valid(commit) = self.chain.push(self.chain.read_to().next(), &entry) {
            self.commits.push(commit);
        }
        self.entries.push(entry);
    }

    /// Reads what the engine shows at present.
    pub(super) fn read_on(&mut self) -> Found {
        loop {
            let after = self.chain.read_to();
            match checked(after, self.log.read(after, ReadLimit::default())) {
                Ok(entries) if entries.is_empty() => return Ok(()),
                Ok(entries) => entries.into_iter().for_each(|entry| self.push(entry)),
                Err(Failed::Broken(found)) => return Err(found),
                Err(Failed::Unavailable(_)) => return Ok(()),
            }
        }
    }

    /// Reads until `is_there` holds.
    pub(super) fn read_until(&mut self, is_there: impl Fn(&Self) -> bool) -> Found {
        for _ in 0..TRIES {
            self.read_on()?;
            if is_there(self) {
                return Ok(());
            }
            self.log.wait(self.chain.read_to(), Instant::now() + Duration::from_millis(10));
        }
        Err(format!("the record ends at slot {}, too early", self.chain.read_to()))
    }

    pub(super) fn catch_up(&self) -> Result<Self, String> {
        let mut reader = self.clone();
        reader.read_until(|reader| reader.chain.tip().is_some())?;
        Ok(reader)
    }

    pub(super) fn at_least(mut self, slot: Slot) -> Result<Self, String> {
        self.read_until(|reader| reader.chain.read_to() >= slot)?;
        Ok(self)
    }

    pub(super) fn until(mut self, number: u64) -> Result<Self, String> {
        self.read_until(|reader| reader.chain.tip().is_some_and(|tip| tip.number >= number))?;
        Ok(self)
    }

    /// Returns the entry at a slot.
    pub(super) fn entry(&self, slot: Slot) -> Option<&Bytes> {
        self.entries.get(usize::try_from(slot.0.checked_sub(1)?).ok()?)
    }

    /// Returns the commit with this number.
    pub(super) fn commit(&self, number: u64) -> Option<&Commit> {
        self.commits.get(usize::try_from(number).ok()?)
    }

    /// Checks that two readers saw the same entries, as far as both have read.
    pub(super) fn compare(&self, other: &Self) -> Found {
        let differ = |(one, two): (&Bytes, &Bytes)| one != two;
        match self.entries.iter().zip(&other.entries).position(differ) {
            Some(at) => Err(format!("two readers saw different entries at slot {}", at + 1)),
            None => Ok(()),
        }
    }
}
