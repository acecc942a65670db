//! The last valid commits, and which of them is to be read again.

use std::collections::{BTreeSet, VecDeque};

use super::anchor_check::AnchorCheck;
use crate::chain::chain::Position;

/// The number of commits that are remembered.
const MOST: usize = 4_096;
/// The number of commits that wait to be checked. More are not noted: the checks of these show whether the record
/// changed.
const MOST_SUSPECTED: usize = 256;

/// The positions of the last commits, in order and without a gap.
#[derive(Debug, Clone, Default, Hash)]
pub(super) struct Recent {
    positions: VecDeque<Position>,
    /// The check that is under way.
    pub(super) check: Option<AnchorCheck>,
    /// The numbers of the commits that are to be checked next.
    suspected: BTreeSet<u64>,
}

impl Recent {
    pub(super) fn fill(&mut self, positions: Vec<Position>) {
        for position in positions {
            self.push(position);
        }
    }

    pub(super) fn push(&mut self, position: Position) {
        let last = self.positions.back();
        if last.is_some_and(|last| last.tip.number + 1 != position.tip.number) {
            self.positions.clear();
        }
        if self.positions.len() == MOST {
            self.positions.pop_front();
        }
        self.positions.push_back(position);
    }

    /// Returns the position of the commit with this number, if it is remembered.
    pub(super) fn get(&self, number: u64) -> Option<&Position> {
        let index = number.checked_sub(self.positions.front()?.tip.number)?;
        self.positions.get(usize::try_from(index).ok()?)
    }

    /// Returns the position of the commit before this one, if it is remembered.
    pub(super) fn before(&self, position: &Position) -> Option<Position> {
        self.get(position.tip.number.checked_sub(1)?).copied()
    }

    /// Notes that the commit with this number is to be checked.
    pub(super) fn suspect(&mut self, number: u64) {
        let is_checked = self.check.is_some_and(|check| check.position.tip.number == number);
        if !is_checked && self.get(number).is_some() && self.suspected.len() < MOST_SUSPECTED {
            self.suspected.insert(number);
        }
    }

    /// Begins the next check, if none is under way.
    pub(super) fn begin(&mut self) {
        if self.check.is_some() {
            return;
        }
        let position = self.suspected.pop_first().and_then(|number| self.get(number)).copied();
        let check = |position| AnchorCheck::new(position, self.before(&position), position.slot);
        self.check = position.map(check);
    }

    /// Ends the check.
    pub(super) fn end(&mut self) {
        self.check = None;
    }
}
