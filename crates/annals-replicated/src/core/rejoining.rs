//! Steps back to an earlier position of the replica, when the record does not have the last one where it was.

use super::anchor_check::AnchorCheck;
use super::messages::Divergence;
use super::state::State;
use crate::chain::chain::Chain;

impl State {
    /// Takes the news that the record does not have the position that is checked. Steps back to an earlier one, or to
    /// the beginning of the record. Returns `false` if the core has begun: then nothing explains this but a divergence.
    pub(super) fn step_back(&mut self, divergence: Divergence) -> bool {
        if !self.rejoin.is_open() {
            return false;
        }
        self.rejoin.found.get_or_insert(divergence);
        self.rejoin.start = None;
        match self.rejoin.step() {
            Some(position) => self.anchor = Some(AnchorCheck::new(position, None, position.slot)),
            None => self.rejoined(0),
        }
        true
    }

    /// Takes the news that the record has the position that is checked.
    pub(super) fn confirmed(&mut self) {
        if !self.rejoin.is_open() {
            return;
        }
        let start = *self.rejoin.start.get_or_insert(self.rejoin.at);
        let next = if self.rejoin.is_sampled() { None } else { self.rejoin.step() };
        match next {
            Some(position) => self.anchor = Some(AnchorCheck::new(position, None, position.slot)),
            None => self.rejoined(start + 1),
        }
    }

    /// Takes the news that the record lost the entries of the position that is checked. Returns `false` if no
    /// later position was confirmed.
    pub(super) fn trimmed(&mut self) -> bool {
        let Some(start) = self.rejoin.start.filter(|_| self.rejoin.is_open()) else { return false };
        self.rejoined(start + 1);
        true
    }

    /// Goes on behind the first `confirmed` positions. The record has to show the others again.
    fn rejoined(&mut self, confirmed: usize) {
        let mut row = std::mem::take(&mut self.rejoin.row);
        let others = row.split_off(confirmed);
        self.rejoin.expected =
            others.iter().map(|position| (position.tip.number, position.tip.hash)).collect();
        self.anchor = None;
        self.chain = match row.last() {
            Some(position) => Chain::resume(*position),
            None => Chain::new(others.last().map(|position| position.tip.store_id)),
        };
        self.predicted = self.chain.read_to();
        self.recent.fill(row);
    }
}
