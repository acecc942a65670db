//! Checks that the record still has what was read: the last valid commit, and an earlier one if an entry raises the
//! suspicion that another process has read something else there.

use bytes::Bytes;

use super::anchor_check::AnchorCheck;
use super::messages::{Divergence, Output};
use super::settings::FIRST_PAUSE_MS;
use super::state::State;
use crate::chain::slot::Slot;
use crate::format::entry::Entry;
use crate::log::commit_log::LogError;

impl State {
    /// Begins to check that the record still has the last valid commit.
    pub(super) fn begin_anchor(&mut self) {
        let Some(&position) = self.chain.position() else { return };
        if self.anchor.is_none() && self.end.is_none() {
            self.anchor = Some(AnchorCheck::new(position));
        }
    }

    /// Looks at a void entry. If it has the number of a commit that was read before, asks to read that commit again. If
    /// it was decided on another commit than this process has read, asks to read that one again as well.
    ///
    /// Usually the entry lost its race, or is a copy. But if the record has changed at that commit, the writer of the
    /// entry has not read the commit as this process has, and goes on in another history. An entry proves nothing by
    /// itself: the commit that it was decided on may have been under way, and dead; and a copy may be late, or sent
    /// again since its writer missed it.
    pub(super) fn suspect(&mut self, entry: &Bytes) {
        let (Some(tip), Ok(entry)) = (self.chain.tip(), Entry::decode(entry)) else { return };
        let header = &entry.header;
        if header.store_id != tip.store_id {
            return;
        }
        self.recent.suspect(header.number);
        if let Some(base) = header.number.checked_sub(1)
            && self.recent.get(base).is_some_and(|base| base.tip.hash != header.previous)
        {
            self.recent.suspect(base);
        }
    }

    /// Asks for the reads of the checks that are due.
    pub(super) fn ask_for_anchors(&mut self) {
        let now = self.now.steady_ms;
        self.recent.begin();
        for check in self.anchor.iter_mut().chain(&mut self.recent.check) {
            if !check.reading && now >= check.again_ms {
                check.reading = true;
                let (after, count) = (check.position.before(), check.position.entries);
                self.outputs.push(Output::Anchor { after, count });
            }
        }
    }

    /// Takes the entries of a position that is checked.
    pub(super) fn anchored(&mut self, after: Slot, entries: Result<Vec<Bytes>, LogError>) {
        let is_at = |check: &&mut AnchorCheck| check.position.before() == after && check.reading;
        let Some(check) = self.anchor.iter_mut().chain(&mut self.recent.check).find(is_at) else {
            return;
        };
        let (now, limit) = (self.now.steady_ms, self.settings.absence_limit_ms);
        let position = check.position;
        let count = usize::from(position.entries);
        let is_short = entries.as_ref().is_ok_and(|entries| entries.len() < count);
        let is_lost = is_short && check.absence.note(now, limit);
        let slot = position.slot;
        check.reading = false;
        check.again_ms = now + FIRST_PAUSE_MS;
        let is_anchor = self.anchor.is_some_and(|anchor| anchor.position == position);
        let entries = match entries {
            Ok(entries) => entries,
            Err(LogError::Trimmed { first }) if is_anchor => {
                return self.fail_anchor(Divergence::Trimmed { first, slot });
            }
            // What was trimmed cannot be compared any more.
            Err(LogError::Trimmed { .. }) => return self.recent.end(),
            Err(_) => return,
        };
        if is_lost {
            return self.fail_anchor(Divergence::Lost { slot });
        }
        if is_short {
            return;
        }
        if !position.is_at(&entries[..count]) {
            return self.fail_anchor(Divergence::Changed { slot });
        }
        self.counts.anchors_found += 1;
        if self.recent.check.is_some_and(|check| check.position == position) {
            self.recent.end();
        }
        if is_anchor {
            self.anchor = None;
            self.land();
        }
    }

    fn fail_anchor(&mut self, divergence: Divergence) {
        self.counts.anchors_failed += 1;
        self.diverge(divergence);
    }

    /// Takes the news that a read showed no more entries.
    pub(super) fn reached_end(&mut self) {
        let (head, replica) = (self.chain.tip().map_or(0, |tip| tip.head), self.replica_head);
        if head >= replica {
            self.caught_up = true;
        } else if self.shorter.note(self.now.steady_ms, self.settings.absence_limit_ms) {
            self.diverge(Divergence::Shorter { head, replica });
        } else {
            self.read_again_ms = self.now.steady_ms + FIRST_PAUSE_MS;
        }
    }
}
