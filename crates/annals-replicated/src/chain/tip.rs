//! The last valid commit of a record, and what may follow it.

use uuid::Uuid;

use crate::format::body::{Content, Epoch, Genesis};
use crate::format::commit::Commit;
use crate::format::hash::CommitHash;
use crate::format::header::{Header, Kind};

/// The last valid commit, and what the valid commits up to it add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tip {
    /// The id of the store.
    pub store_id: Uuid,
    /// The number of the commit.
    pub number: u64,
    /// Its hash.
    pub hash: CommitHash,
    /// The number of events in the commits up to it: the offset that the next event gets.
    pub head: u64,
    /// The time of the last event, in ms since 1970 UTC; 0 if there is none.
    pub time_ms: u64,
}

/// Why an entry is void: every reader skips it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// The entry was not written by annals.
    #[error("not an entry of an annals record")]
    Foreign,
    /// The entry is not whole, or its content is not valid.
    #[error("not whole: {0}")]
    Damaged(&'static str),
    /// The entry belongs to another store.
    #[error("of another store")]
    OtherStore,
    /// The entry was not decided on the last valid commit: it lost a race, or it is a copy.
    #[error("not decided on the last valid commit")]
    NotNext,
    /// The entry is a part of a commit whose parts before it are missing.
    #[error("a part without the parts before it")]
    StrayPart,
    /// The commit's first offset or times do not follow the commits before it.
    #[error("its offsets or times do not follow the commits before it")]
    Misfit,
}

impl Tip {
    /// Returns the genesis of a new record.
    #[must_use]
    pub fn genesis(store_id: Uuid, writer_id: Uuid, genesis: Genesis) -> Commit {
        let content = Content::Genesis(genesis);
        Commit::new(0, CommitHash::NONE, store_id, writer_id, 0, content)
    }

    /// Returns the tip after a genesis.
    pub(super) fn of_genesis(commit: &Commit) -> Self {
        let header = commit.header();
        Self { store_id: header.store_id, number: 0, hash: commit.hash(), head: 0, time_ms: 0 }
    }

    /// Returns a commit with this content that is decided on this tip.
    #[must_use]
    pub fn next(&self, writer_id: Uuid, content: Content) -> Commit {
        Commit::new(self.number + 1, self.hash, self.store_id, writer_id, self.head, content)
    }

    /// Checks whether a commit with this header may follow, as far as the header shows it.
    pub(super) fn check(&self, header: &Header) -> Result<(), Void> {
        if header.store_id != self.store_id {
            return Err(Void::OtherStore);
        }
        if Some(header.number) != self.number.checked_add(1) || header.previous != self.hash {
            return Err(Void::NotNext);
        }
        if header.kind == Kind::Genesis || header.first_offset != self.head {
            return Err(Void::Misfit);
        }
        Ok(())
    }

    /// Returns the tip after `commit`.
    ///
    /// # Errors
    /// [`Void`] if the commit may not follow this one.
    pub fn after(&self, commit: &Commit) -> Result<Self, Void> {
        let header = commit.header();
        self.check(header)?;
        let mut time_ms = self.time_ms;
        match commit.content() {
            Content::Events(batches) => {
                if batches.first().is_some_and(|batch| batch.time_ms < self.time_ms) {
                    return Err(Void::Misfit);
                }
                time_ms = batches.last().map_or(time_ms, |batch| batch.time_ms);
            }
            Content::Epoch(epoch) if !self.allows(epoch) => return Err(Void::Misfit),
            _ => {}
        }
        let head = self.head + u64::from(header.events);
        Ok(Self { number: header.number, hash: commit.hash(), head, time_ms, ..*self })
    }

    /// Returns whether an epoch may follow: it cuts at this commit, or before it.
    fn allows(&self, epoch: &Epoch) -> bool {
        epoch.cut < self.number || (epoch.cut == self.number && epoch.cut_hash == self.hash)
    }
}
