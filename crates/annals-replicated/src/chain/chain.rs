//! Follows the entries of a record in the order of their slots, and decides which of them are valid commits.

use std::hash::{Hash, Hasher};

use bytes::Bytes;
use uuid::Uuid;

use super::slot::Slot;
use super::tip::{Tip, Void};
use crate::format::commit::Commit;
use crate::format::entry::{Entry, EntryError};
use crate::format::hash::CommitHash;
use crate::format::header::{AnyVersion, Kind};

/// A place in a record: its last valid commit there, and the slots that have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The slot of the commit's last entry.
    pub slot: Slot,
    /// The number of the commit's entries, which end at `slot`.
    pub entries: u16,
    /// The commit.
    pub tip: Tip,
}

impl Position {
    /// Returns the slot before the commit's first entry.
    #[must_use]
    pub fn before(&self) -> Slot {
        Slot(self.slot.0 - u64::from(self.entries))
    }

    /// Returns whether these entries are the commit of this position.
    #[must_use]
    pub fn is_at(&self, entries: &[Bytes]) -> bool {
        let parts: Result<Vec<Entry>, EntryError> = entries.iter().map(Entry::decode).collect();
        let commit = parts.ok().and_then(|parts| Commit::from_parts(&parts).ok());
        commit.is_some_and(|commit| commit.hash() == self.tip.hash)
    }
}

/// The result of reading an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The entry completed a valid commit.
    Valid(Commit),
    /// The entry is a part of a commit. It is valid if the rest of the commit follows without anything between.
    Part,
    /// The entry is void: readers skip it.
    Void(Void),
    /// The entry follows the last valid commit, but has a format that this version does not know. The reader must stop:
    /// what it does not understand may be valid.
    Newer(AnyVersion),
}

/// The state of a reader of the record.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The record that is expected: a genesis of another store is void.
    store_id: Option<Uuid>,
    position: Option<Position>,
    read_to: Slot,
    parts: Vec<Entry>,
    /// The bytes of the parts.
    part_bytes: Vec<Bytes>,
    voids: u64,
}

impl Chain {
    /// Returns the reader of a record from its beginning. With a store id, only a genesis with that id counts.
    #[must_use]
    pub fn new(store_id: Option<Uuid>) -> Self {
        let (parts, part_bytes) = (Vec::new(), Vec::new());
        Self { store_id, position: None, read_to: Slot(0), parts, part_bytes, voids: 0 }
    }

    /// Returns a reader that continues behind a position.
    #[must_use]
    pub fn resume(position: Position) -> Self {
        let store_id = Some(position.tip.store_id);
        Self { position: Some(position), read_to: position.slot, ..Self::new(store_id) }
    }

    /// Returns the last valid commit; `None` before the genesis.
    #[must_use]
    pub fn tip(&self) -> Option<&Tip> {
        self.position.as_ref().map(|position| &position.tip)
    }

    /// Returns the last valid commit and its slots; `None` before the genesis.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Returns the slot up to which the record was read.
    #[must_use]
    pub fn read_to(&self) -> Slot {
        self.read_to
    }

    /// Returns the number of void entries since the last valid commit. Parts of an unfinished commit count once they
    /// are void.
    #[must_use]
    pub fn voids(&self) -> u64 {
        self.voids
    }

    /// Takes the entry at the next slot.
    ///
    /// # Panics
    /// If `slot` is not the slot behind the last one.
    pub fn push(&mut self, slot: Slot, bytes: &Bytes) -> Step {
        assert_eq!(slot, self.read_to.next(), "entries are read in order and without a gap");
        self.read_to = slot;
        let entry = match Entry::decode(bytes) {
            Ok(entry) => entry,
            Err(EntryError::Newer(any)) if self.could_follow(&any) => return Step::Newer(any),
            Err(EntryError::Foreign) => return self.void(Void::Foreign),
            Err(EntryError::Newer(_)) => return self.void(Void::NotNext),
            Err(EntryError::Damaged(what)) => return self.void(Void::Damaged(what)),
        };
        let continues = self.parts.last().is_some_and(|last| {
            last.header == entry.header
                && last.part.count == entry.part.count
                && last.part.index.checked_add(1) == Some(entry.part.index)
                && last.part.start + last.part.bytes == entry.part.start
        });
        if !continues {
            self.drop_parts();
            if let Err(void) = self.may_begin(&entry) {
                return self.void(void);
            }
        }
        let is_last = entry.part.index + 1 == entry.part.count;
        self.parts.push(entry);
        self.part_bytes.push(bytes.clone());
        if !is_last {
            return Step::Part;
        }
        match self.complete() {
            Ok((commit, tip)) => {
                let entries = commit.1;
                self.clear_parts();
                self.voids = 0;
                self.position = Some(Position { slot, entries, tip });
                Step::Valid(commit.0)
            }
            Err(void) => {
                self.parts.pop();
                self.part_bytes.pop();
                self.void(void)
            }
        }
    }

    /// Returns the number of parts of an unfinished commit at the end of what was read, if they are the first of these
    /// entries; otherwise 0. Another commit may have the same header and as many parts, so the bytes are compared.
    pub(crate) fn parts_of(&self, entries: &[Bytes]) -> usize {
        let is_same = |(part, entry): (&Bytes, &Bytes)| {
            (part.as_ptr() == entry.as_ptr() && part.len() == entry.len()) || part == entry
        };
        let is_first = self.part_bytes.len() < entries.len();
        if is_first && self.part_bytes.iter().zip(entries).all(is_same) {
            self.part_bytes.len()
        } else {
            0
        }
    }

    /// Returns whether one of these entries completes a commit behind the last one that was read, or may do so in a
    /// format that this version does not know.
    pub(crate) fn completes_one(&self, entries: &[Bytes]) -> bool {
        let mut chain = self.clone();
        let mut push = |entry| chain.push(chain.read_to().next(), entry);
        entries.iter().any(|entry| matches!(push(entry), Step::Valid(_) | Step::Newer(_)))
    }

    /// Notes that `commit` landed at the slots behind the last one that was read, in as many entries.
    ///
    /// # Panics
    /// If the commit is not valid there.
    pub fn landed(&mut self, commit: &Commit, entries: u16) {
        let tip = self.tip().expect("a record begins with its genesis");
        let tip = tip.after(commit).expect("a commit that landed is valid");
        self.read_to = Slot(self.read_to.0 + u64::from(entries));
        self.clear_parts();
        self.voids = 0;
        self.position = Some(Position { slot: self.read_to, entries, tip });
    }

    /// Notes that the last entry of `commit` landed at the next slot. Its other entries were read before.
    ///
    /// # Panics
    /// If the commit is not valid there.
    pub(crate) fn last_landed(&mut self, commit: &Commit, entries: u16) {
        self.read_to = Slot(self.read_to.0 + 1 - u64::from(entries));
        self.landed(commit, entries);
    }

    /// Returns whether both have read the same slots, and judge the next entries alike.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.position == other.position
            && self.read_to == other.read_to
            && self.part_bytes == other.part_bytes
    }

    /// Hashes everything that decides how the next entries are judged.
    pub(crate) fn hash_into(&self, hasher: &mut impl Hasher) {
        (self.store_id, self.position, self.read_to, self.voids).hash(hasher);
        self.part_bytes.hash(hasher);
    }

    /// Goes back to the last valid commit, so that the entries behind it are read again.
    pub(crate) fn rewind(&mut self) {
        self.read_to = self.position.map_or(Slot(0), |position| position.slot);
        self.clear_parts();
        self.voids = 0;
    }

    /// Counts the parts of an unfinished commit as void.
    fn drop_parts(&mut self) {
        self.voids += self.parts.len() as u64;
        self.clear_parts();
    }

    fn clear_parts(&mut self) {
        self.parts.clear();
        self.part_bytes.clear();
    }

    fn void(&mut self, void: Void) -> Step {
        self.drop_parts();
        self.voids += 1;
        Step::Void(void)
    }

    /// Checks whether a valid commit may begin with this entry.
    fn may_begin(&self, entry: &Entry) -> Result<(), Void> {
        if entry.part.index != 0 {
            return Err(Void::StrayPart);
        }
        let header = &entry.header;
        match self.tip() {
            Some(tip) => tip.check(header),
            None if header.kind != Kind::Genesis => Err(Void::NotNext),
            None if self.store_id.is_some_and(|id| id != header.store_id) => Err(Void::OtherStore),
            None => Ok(()),
        }
    }

    /// Returns the commit of the collected parts and their number, and the tip after it.
    fn complete(&self) -> Result<((Commit, u16), Tip), Void> {
        let count = self.parts.last().map_or(0, |last| last.part.count);
        let commit = Commit::from_parts(&self.parts).map_err(Void::Damaged)?;
        let tip = match self.tip() {
            Some(tip) => tip.after(&commit)?,
            None => Tip::of_genesis(&commit),
        };
        Ok(((commit, count), tip))
    }

    /// Returns whether an entry of a newer format may be the next valid commit.
    fn could_follow(&self, any: &AnyVersion) -> bool {
        match self.tip() {
            Some(tip) => {
                any.store_id == tip.store_id
                    && Some(any.number) == tip.number.checked_add(1)
                    && any.previous == tip.hash
            }
            None => {
                any.number == 0
                    && any.previous == CommitHash::NONE
                    && self.store_id.is_none_or(|id| id == any.store_id)
            }
        }
    }
}
