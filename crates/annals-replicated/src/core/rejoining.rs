//! Steps back to an earlier position of the replica, when the record does not have the last one where it was.

use super::anchor_check::AnchorCheck;
use super::messages::Divergence;
use super::state::State;
use crate::chain::chain::Chain;

impl State {
    /// Takes the news that the record does not have the position that is checked. Steps back to an earlier one, or to
    /// the beginning of the record. Returns `false` if the core has begun: then nothing explains this but a divergence.
    pub(super) fn step_back(&mut self, divergence: Divergence) -> bool {
        let Some(last) = self.rejoin.row.last() else { return false };
        let store_id = last.tip.store_id;
        self.rejoin.found.get_or_insert(divergence);
        if let Some(position) = self.rejoin.step() {
            self.chain = Chain::resume(position);
            self.anchor = Some(AnchorCheck::new(position, None));
        } else {
            self.chain = Chain::new(Some(store_id));
            self.anchor = None;
            self.rejoined(0);
        }
        self.predicted = self.chain.read_to();
        true
    }

    /// Takes the news that the record has the position that is checked.
    pub(super) fn confirmed(&mut self) {
        if self.rejoin.is_open() {
            self.rejoined(self.rejoin.at + 1);
        }
    }

    /// Goes on behind the first `confirmed` positions. The record has to show the others again.
    fn rejoined(&mut self, confirmed: usize) {
        let mut row = std::mem::take(&mut self.rejoin.row);
        let others = row.split_off(confirmed);
        self.rejoin.expected =
            others.iter().map(|position| (position.tip.number, position.tip.hash)).collect();
        self.recent.fill(row);
    }
}
