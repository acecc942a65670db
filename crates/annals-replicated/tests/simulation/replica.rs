//! A replica in memory, which may lose its end when its process ends.

use annals::{Condition, RawEvent, ReadError};
use annals_replicated::history::PrefixDigest;
use annals_replicated::{Commit, Position, Replica};

/// The events of a replica, and where in the record each commit of it ended.
#[derive(Debug, Default)]
pub(crate) struct MemoryReplica {
    pub(crate) events: Vec<RawEvent>,
    pub(crate) positions: Vec<Position>,
    digests: Vec<PrefixDigest>,
}

impl MemoryReplica {
    pub(crate) fn apply(&mut self, commit: &Commit, position: Position) {
        if let Some(last) = self.positions.last() {
            assert_eq!(last.tip.number + 1, position.tip.number, "commits are applied in order");
        }
        assert_eq!(commit.header().first_offset, self.events.len() as u64, "no event is left out");
        for event in commit.content().batches().iter().flat_map(|batch| &batch.events) {
            self.digests.push(self.digest().then(event));
            self.events.push(event.clone());
        }
        assert_eq!(position.tip.head, self.events.len() as u64, "the head is the position's");
        self.positions.push(position);
    }

    pub(crate) fn digest(&self) -> PrefixDigest {
        self.digests.last().copied().unwrap_or_default()
    }

    pub(crate) fn position(&self) -> Option<Position> {
        self.positions.last().copied()
    }

    /// Forgets the last commits.
    pub(crate) fn lose(&mut self, commits: usize) {
        self.positions.truncate(self.positions.len().saturating_sub(commits));
        let head = self.position().map_or(0, |position| position.tip.head);
        let head = usize::try_from(head).expect("a head in memory");
        self.events.truncate(head);
        self.digests.truncate(head);
    }
}

impl Replica for MemoryReplica {
    fn head(&self) -> u64 {
        self.events.len() as u64
    }

    fn conflict(&self, condition: &Condition) -> Result<Option<u64>, ReadError> {
        let from = usize::try_from(condition.head()).expect("an offset in memory");
        let found = self
            .events
            .iter()
            .enumerate()
            .skip(from)
            .find(|(_, event)| condition.query().matches(event.event_type(), event.tags()));
        Ok(found.map(|(offset, _)| offset as u64))
    }

    fn find_id(&self, id: &str) -> Result<Option<u64>, ReadError> {
        let found = self.events.iter().position(|event| event.id() == Some(id));
        Ok(found.map(|offset| offset as u64))
    }

    fn event_type(&self, offset: u64) -> Result<String, ReadError> {
        let offset = usize::try_from(offset).expect("an offset in memory");
        Ok(self.events[offset].event_type().to_owned())
    }
}
