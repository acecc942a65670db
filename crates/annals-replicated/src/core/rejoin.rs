//! Finds the commits of a replica in the record again when a core begins.
//!
//! Usually the record has the replica's last commit where the replica has read it, and some earlier ones too. Otherwise
//! the core steps back to an earlier commit that the record confirms, reads from there, and compares the hashes: lost
//! commits that were appended again may be at other slots. The first commit with another hash is where the record and
//! the replica part.

use std::collections::VecDeque;

use super::messages::Divergence;
use crate::chain::chain::Position;
use crate::chain::slot::Slot;
use crate::format::body::Content;
use crate::format::commit::Commit;
use crate::format::hash::CommitHash;

/// How many commits before the last one are sampled: at distances of 1, 3, 7 and so on. A late copy of the last commits
/// may be where the replica has read them, and void, because the record has them earlier or later.
const SAMPLED: usize = 63;

/// The commits of a replica that the record has not shown yet.
#[derive(Debug, Clone, Default, Hash)]
pub(super) struct Rejoin {
    /// The positions of the replica, until the record has confirmed one of them.
    pub(super) row: Vec<Position>,
    /// The index of the position that is checked.
    pub(super) at: usize,
    /// The index of the newest position that was confirmed, if no older one was refuted.
    pub(super) start: Option<usize>,
    /// How far the next step back goes.
    stride: usize,
    /// What the check of the last position has found.
    pub(super) found: Option<Divergence>,
    /// The numbers and hashes of the commits that the record must show next.
    pub(super) expected: VecDeque<(u64, CommitHash)>,
    fork: Option<Fork>,
}

/// Where the record and the replica part.
#[derive(Debug, Clone, Copy, Hash)]
struct Fork {
    /// The slot of the first commit that the replica does not have.
    slot: Slot,
    /// The number and the hash of the commit before it, which both have.
    shared: (u64, CommitHash),
    /// The number of the epoch with which an operator gave up the replica's commits.
    epoch: Option<u64>,
}

impl Rejoin {
    /// Begins with the last position; with `compare_all`, with the first one.
    pub(super) fn new(row: Vec<Position>, compare_all: bool) -> Self {
        let at = if compare_all { 0 } else { row.len().saturating_sub(1) };
        Self { at, row, stride: 1, ..Self::default() }
    }

    /// Returns the position that is checked; `None` if the replica has none.
    pub(super) fn checked(&self) -> Option<Position> {
        self.row.get(self.at).copied()
    }

    /// Returns whether the record has not confirmed any position yet. Nothing is read until it has.
    pub(super) fn is_open(&self) -> bool {
        !self.row.is_empty()
    }

    /// Returns whether the record has to show commits that the replica has.
    pub(super) fn is_short(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Returns how the record differs from the replica, if they have parted.
    pub(super) fn forked(&self) -> Option<Divergence> {
        let Fork { slot, shared: (cut, _), epoch } = self.fork?;
        Some(match epoch {
            Some(epoch) => Divergence::Cut { cut, epoch },
            None => Divergence::Changed { slot },
        })
    }

    /// Takes the next valid commit of the record. Returns whether it is to be applied: not if it is the first that the
    /// replica does not have, or behind that one.
    pub(super) fn takes(&mut self, commit: &Commit, slot: Slot) -> bool {
        let header = commit.header();
        if self.fork.is_none() {
            match self.expected.front() {
                Some(&(number, hash)) if number == header.number => {
                    if hash == commit.hash() {
                        self.expected.pop_front();
                        return true;
                    }
                    let shared = (header.number - 1, header.previous);
                    self.fork = Some(Fork { slot, shared, epoch: None });
                }
                _ => return true,
            }
        }
        if let (Some(fork), Content::Epoch(epoch)) = (&mut self.fork, commit.content())
            && (epoch.cut, epoch.cut_hash) == fork.shared
        {
            fork.epoch = Some(header.number);
        }
        false
    }

    /// Returns whether enough positions before the last one were checked.
    pub(super) fn is_sampled(&self) -> bool {
        self.row.len() - 1 - self.at >= SAMPLED
    }

    /// Goes to the position that is checked next. Returns `None` if there is no earlier one.
    pub(super) fn step(&mut self) -> Option<Position> {
        if self.at == 0 {
            return None;
        }
        self.at = self.at.saturating_sub(self.stride);
        self.stride *= 2;
        Some(self.row[self.at])
    }
}
