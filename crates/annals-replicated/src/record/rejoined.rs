//! Finds out why a record does not have the last commit of a replica where the replica has read it.

use std::slice::Iter;

use bytes::Bytes;

use super::asking::{read, read_whole};
use super::error::InspectError;
use crate::chain::chain::{Chain, Position, Step};
use crate::chain::slot::Slot;
use crate::chain::tip::Tip;
use crate::core::messages::Divergence;
use crate::format::body::Content;
use crate::log::commit_log::{CommitLog, ReadLimit};

/// Takes what the replica's last position has shown, and returns how the record differs from the replica. Reads the
/// record from the newest of these positions that it still has up to the slot `last`. Returns `None` if the record has
/// all commits of the replica, at other slots, as after a repair.
pub(super) fn rejoined(
    log: &dyn CommitLog,
    positions: &[Position],
    last: Slot,
    found: Divergence,
) -> Result<Option<Divergence>, InspectError> {
    let count = count_confirmed(log, positions, last)?;
    let Some(start) = positions[..count].last() else { return Ok(Some(found)) };
    let mut search = Search::new(start, &positions[count..]);
    while search.chain.read_to() < last {
        let after = search.chain.read_to();
        let entries = read(log, after, last, ReadLimit::default())?;
        if entries.is_empty() {
            break;
        }
        for (slot, entry) in &entries {
            search.take(*slot, entry);
        }
        if search.has_all() {
            return Ok(None);
        }
    }
    let cut = search.shared.number;
    Ok(Some(search.epoch.map_or(found, |epoch| Divergence::Cut { cut, epoch })))
}

/// Returns how many of the first positions the record has, by bisection: it lost the others.
fn count_confirmed(
    log: &dyn CommitLog,
    positions: &[Position],
    last: Slot,
) -> Result<usize, InspectError> {
    let (mut confirmed, mut end) = (0, positions.partition_point(|known| known.slot <= last));
    while confirmed < end {
        let middle = usize::midpoint(confirmed, end);
        let position = &positions[middle];
        let entries = read_whole(log, position.before(), usize::from(position.entries))?;
        if position.is_at(&entries) { confirmed = middle + 1 } else { end = middle }
    }
    Ok(confirmed)
}

/// Follows the record behind a commit that the replica has too.
struct Search<'a> {
    chain: Chain,
    /// The last commit that both have.
    shared: Tip,
    /// The commits of the replica that the record has not shown yet.
    known: Iter<'a, Position>,
    is_forked: bool,
    /// The number of the epoch that gives up what only the replica has.
    epoch: Option<u64>,
}

impl<'a> Search<'a> {
    fn new(start: &Position, known: &'a [Position]) -> Self {
        let (chain, shared) = (Chain::resume(*start), start.tip);
        Self { chain, shared, known: known.iter(), is_forked: false, epoch: None }
    }

    fn has_all(&self) -> bool {
        !self.is_forked && self.known.len() == 0
    }

    fn take(&mut self, slot: Slot, entry: &Bytes) {
        let Step::Valid(commit) = self.chain.push(slot, entry) else { return };
        if self.has_all() {
            return;
        }
        if !self.is_forked {
            match self.known.next() {
                Some(known) if known.tip.hash == commit.hash() => {
                    self.shared = known.tip;
                    return;
                }
                _ => self.is_forked = true,
            }
        }
        if let Content::Epoch(epoch) = commit.content()
            && (epoch.cut, epoch.cut_hash) == (self.shared.number, self.shared.hash)
        {
            self.epoch = Some(commit.header().number);
        }
    }
}
