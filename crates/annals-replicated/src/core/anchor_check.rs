//! A check that the record still has a commit, and the entries around it.

use bytes::Bytes;

use super::messages::Asked;
use super::settings::{LEAST_ABSENT_READS, MOST_BETWEEN};
use crate::chain::chain::{Chain, Position, Step};
use crate::chain::slot::Slot;

/// A check that the record still has a commit, and the entries that were read behind it.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) struct AnchorCheck {
    pub(super) position: Position,
    /// The commit before it, if the entries between the two are checked as well.
    previous: Option<Position>,
    /// The last slot that is checked.
    last: Slot,
    /// When the read was asked for that is under way; `None` if none is.
    pub(super) asked: Option<Asked>,
    pub(super) absence: Absence,
    /// The steady time at which to read again, in ms.
    pub(super) again_ms: u64,
}

impl AnchorCheck {
    /// Returns a check that was not begun, up to the slot `last`. With the commit before it, it also finds a valid commit
    /// between the two: the record may have lost void entries there, and other writers may have appended since.
    pub(super) fn new(position: Position, previous: Option<Position>, last: Slot) -> Self {
        let is_near = |previous: &Position| {
            let between = position.before().0.checked_sub(previous.slot.0);
            between.is_some_and(|between| between <= MOST_BETWEEN)
        };
        let previous = previous.filter(is_near);
        Self { position, previous, last, asked: None, absence: Absence::default(), again_ms: 0 }
    }

    /// Returns the slot behind which to read.
    pub(super) fn after(&self) -> Slot {
        self.previous.map_or(self.position.before(), |previous| previous.slot)
    }

    /// Returns the last slot that is checked.
    pub(super) fn last(&self) -> Slot {
        self.last
    }

    /// Returns the number of entries to read.
    pub(super) fn count(&self) -> usize {
        entries_between(self.after(), self.last)
    }

    /// Returns how many of them, at the beginning, lead to the position.
    pub(super) fn count_to_position(&self) -> usize {
        entries_between(self.after(), self.position.slot)
    }

    /// Returns the chain behind these entries; `None` if they do not lead to the position.
    pub(super) fn chain_behind(&self, entries: &[Bytes]) -> Option<Chain> {
        let (to_position, behind) = entries.split_at_checked(self.count_to_position())?;
        let mut chain = match self.previous {
            None if self.position.is_at(to_position) => Chain::resume(self.position),
            None => return None,
            Some(previous) => {
                let mut chain = Chain::resume(previous);
                let is_known = push_all(&mut chain, to_position);
                if !is_known || chain.position() != Some(&self.position) {
                    return None;
                }
                chain
            }
        };
        if !push_all(&mut chain, behind) {
            // What is there now may be valid, and was not there before.
            chain.rewind();
        }
        Some(chain)
    }
}

fn entries_between(after: Slot, last: Slot) -> usize {
    usize::try_from(last.0 - after.0).expect("entries that were read")
}

/// Passes entries to a chain. Returns `false` if one has a format that this version does not know, and may be valid.
fn push_all(chain: &mut Chain, entries: &[Bytes]) -> bool {
    let mut push = |entry| chain.push(chain.read_to().next(), entry);
    entries.iter().all(|entry| !matches!(push(entry), Step::Newer(_)))
}

/// Since when reads show less of the record than this replica has. A read may be stale, so only time and many reads
/// tell that something is lost. Time alone does not, since this process may have been paused between two reads.
#[derive(Debug, Clone, Copy, Default, Hash)]
pub(super) struct Absence {
    /// The steady time of the first of these reads, in ms.
    since_ms: Option<u64>,
    reads: u32,
}

impl Absence {
    /// Returns the number of reads that were noted.
    pub(super) fn reads(&self) -> u32 {
        self.reads
    }

    /// Notes a read that showed too little. Returns whether something is lost.
    pub(super) fn note(&mut self, now_ms: u64, limit_ms: u64) -> bool {
        let since = *self.since_ms.get_or_insert(now_ms);
        self.reads += 1;
        now_ms.saturating_sub(since) >= limit_ms && self.reads >= LEAST_ABSENT_READS
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::chain::tip::Tip;
    use crate::format::body::Genesis;

    /// A writer may make a commit of as many parts as the format allows, behind as many void entries as a check reads.
    #[test]
    fn the_largest_commit_and_the_entries_before_it_are_counted() {
        let genesis = Genesis { time_ms: 0, made_by: "a test".into() };
        let genesis = Tip::genesis(Uuid::from_u128(1), Uuid::nil(), genesis);
        let mut chain = Chain::new(None);
        chain.push(Slot(1), &genesis.entries(usize::MAX)[0]);
        let previous = *chain.position().expect("a genesis");
        let entries = u64::from(u16::MAX);
        let slot = Slot(previous.slot.0 + MOST_BETWEEN + entries);
        let position = Position { slot, entries: u16::MAX, ..previous };
        let check = AnchorCheck::new(position, Some(previous), position.slot);
        assert_eq!(check.after(), previous.slot);
        assert_eq!(check.count() as u64, MOST_BETWEEN + entries);
    }
}
