//! Finds where a record and a replica part.

use bytes::Bytes;

use super::error::RepairError;
use super::held::Held;
use super::reading::{Patience, read_to_end, read_whole};
use super::standing::{Lost, OtherCommit, Standing};
use crate::chain::chain::{Chain, Position, Step};
use crate::chain::slot::Slot;
use crate::format::body::{Content, Epoch};
use crate::format::commit::Commit;
use crate::log::commit_log::CommitLog;

/// Compares a record with a replica: commits whose positions the replica knows by their hashes, and others by their
/// events.
///
/// # Errors
/// [`RepairError`] if the record or the replica cannot be read.
pub fn compare(
    log: &dyn CommitLog,
    held: &dyn Held,
    patience: Patience,
) -> Result<Standing, RepairError> {
    let start = confirmed(log, held.positions(), patience)?;
    let chain = start.map_or_else(|| Chain::new(Some(held.store_id())), Chain::resume);
    let mut comparison = Comparison { held, chain, shared: start, other: None, epoch: None };
    let after = comparison.chain.read_to();
    read_to_end(log, after, patience, |slot, entry| comparison.take(slot, entry))?;
    comparison.finish()
}

/// Returns the oldest position, if the record confirms it. What is behind it is read again: the entries at a later
/// position may be the replica's, and void nevertheless, because other writers appended before them.
fn confirmed(
    log: &dyn CommitLog,
    positions: &[Position],
    patience: Patience,
) -> Result<Option<Position>, RepairError> {
    let Some(&position) = positions.first() else { return Ok(None) };
    let count = usize::from(position.entries);
    let entries = read_whole(log, position.before(), count, patience)?;
    Ok((entries.len() == count && position.is_at(&entries)).then_some(position))
}

/// A comparison under way.
struct Comparison<'a> {
    held: &'a dyn Held,
    chain: Chain,
    shared: Option<Position>,
    other: Option<OtherCommit>,
    epoch: Option<(u64, Epoch)>,
}

impl Comparison<'_> {
    fn take(&mut self, slot: Slot, entry: &Bytes) -> Result<(), RepairError> {
        match self.chain.push(slot, entry) {
            Step::Valid(commit) => self.valid(slot, &commit),
            Step::Part | Step::Void(_) => Ok(()),
            Step::Newer(any) => Err(RepairError::Newer(any)),
        }
    }

    fn valid(&mut self, slot: Slot, commit: &Commit) -> Result<(), RepairError> {
        if self.other.is_none() {
            if self.is_shared(commit)? {
                self.shared = self.chain.position().copied();
                return Ok(());
            }
            let header = commit.header();
            let (number, writer_id) = (header.number, header.writer_id);
            self.other = Some(OtherCommit { number, slot, writer_id });
        }
        if let Content::Epoch(epoch) = commit.content()
            && let Some(shared) = &self.shared
            && (epoch.cut, epoch.cut_hash) == (shared.tip.number, shared.tip.hash)
        {
            self.epoch = Some((commit.header().number, epoch.clone()));
        }
        Ok(())
    }

    fn is_shared(&self, commit: &Commit) -> Result<bool, RepairError> {
        let number = commit.header().number;
        let positions = self.held.positions();
        let first = positions.first().map_or(u64::MAX, |position| position.tip.number);
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| positions.get(index)) {
            Some(known) => Ok(known.tip.hash == commit.hash()),
            None => self.held.agrees(commit).map_err(RepairError::ReplicaFailed),
        }
    }

    fn finish(self) -> Result<Standing, RepairError> {
        let (Some(&record), Some(shared)) = (self.chain.position(), self.shared) else {
            return Err(RepairError::NoRecord);
        };
        let newest = self.held.positions().last().map_or(0, |position| position.tip.number);
        let numbers = shared.tip.number + 1..newest.max(shared.tip.number) + 1;
        let events = shared.tip.head..self.held.head().max(shared.tip.head);
        let lost = Lost { numbers, events };
        let (other, epoch) = (self.other, self.epoch);
        Ok(Standing { shared, record, lost, other, epoch })
    }
}
