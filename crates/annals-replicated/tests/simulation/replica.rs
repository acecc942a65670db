//! A replica in memory, which may lose its end when its process ends.

use std::sync::Arc;

use annals::{Condition, RawEvent, ReadError};
use annals_replicated::history::PrefixDigest;
use annals_replicated::{Commit, Position, Replica};

/// The events of a replica, and its commits with their positions in the record. It may have more events than its last
/// position says.
#[derive(Debug, Default)]
pub(crate) struct MemoryReplica {
    pub(crate) events: Vec<RawEvent>,
    pub(crate) positions: Vec<Position>,
    pub(crate) commits: Vec<Arc<Commit>>,
    digests: Vec<PrefixDigest>,
}

impl MemoryReplica {
    /// Applies a commit, or compares it with the events that are there. Returns whether they are the same.
    pub(crate) fn apply(&mut self, commit: &Arc<Commit>, position: Position) -> bool {
        let first = usize::try_from(commit.header().first_offset).expect("in memory");
        let batches = commit.content().batches().iter();
        let events: Vec<&RawEvent> = batches.flat_map(|batch| &batch.events).collect();
        let own = self.events.iter().skip(first);
        let is_gap = first > self.events.len() && !events.is_empty();
        if is_gap || events.iter().zip(own).any(|(event, own)| *event != own) {
            return false;
        }
        let number = usize::try_from(position.tip.number).expect("in memory");
        assert!(number <= self.positions.len(), "commits are applied in order");
        let is_known = self.commits.get(number).is_some_and(|own| own.hash() == commit.hash());
        if is_known {
            self.positions[number] = position;
        } else {
            self.positions.truncate(number);
            self.commits.truncate(number);
            self.positions.push(position);
            self.commits.push(Arc::clone(commit));
        }
        for event in events.into_iter().skip(self.events.len().saturating_sub(first)) {
            self.digests.push(self.digest().then(event));
            self.events.push(event.clone());
        }
        assert!(position.tip.head <= self.events.len() as u64, "no event is left out");
        true
    }

    pub(crate) fn digest(&self) -> PrefixDigest {
        self.digests.last().copied().unwrap_or_default()
    }

    pub(crate) fn position(&self) -> Option<Position> {
        self.positions.last().copied()
    }

    /// Forgets the last commits, and events whose commit is unknown.
    pub(crate) fn lose(&mut self, commits: usize) {
        if commits == 0 {
            return;
        }
        self.positions.truncate(self.positions.len().saturating_sub(commits));
        self.commits.truncate(self.positions.len());
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
