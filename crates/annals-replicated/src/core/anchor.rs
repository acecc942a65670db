//! Checks that the record still has what was read: the last valid commit and the entries behind it, and an earlier
//! commit if an entry raises the suspicion that another process has read something else there.

use bytes::Bytes;

use super::anchor_check::AnchorCheck;
use super::messages::{Asked, Divergence, Output};
use super::settings::{FIRST_PAUSE_MS, SHORT_READS};
use super::state::State;
use crate::chain::chain::Chain;
use crate::chain::slot::Slot;
use crate::format::entry::Entry;
use crate::log::commit_log::LogError;

impl State {
    /// Begins to check that the record still has the last valid commit and the entries that were read behind it.
    pub(super) fn begin_anchor(&mut self) {
        let Some(&position) = self.chain.position() else { return };
        if self.anchor.is_none() && self.end.is_none() {
            let previous = self.recent.before(&position);
            self.anchor = Some(AnchorCheck::new(position, previous, self.chain.read_to()));
        }
    }

    /// Returns whether the record was seen to still have everything that was read, not long before `time_ms` or after
    /// it. Only then is an entry taken that the engine stored by that time, or that a read showed by that time,
    /// whichever process appended it.
    ///
    /// An engine may compare only the slot of an append. If its record loses its end and other writers fill the slots
    /// again, such an engine stores a commit that is void for all processes but those that had read the lost entries.
    pub(super) fn is_confirmed(&self, time_ms: u64) -> bool {
        let Some(limit) = self.settings.confirm_ms else { return true };
        let is_since = |confirmed_ms: u64| time_ms < confirmed_ms.saturating_add(limit);
        // Before the genesis, the record has nothing to lose.
        self.chain.position().is_none() || self.confirmed_ms.is_some_and(is_since)
    }

    /// Takes the news that the record has everything that was read, in a read that was asked for at this time, on this
    /// connection: a new one forgets the reads before it. The time of the answer says nothing: this process, or the
    /// engine, may have been paused in between.
    fn confirmed_at(&mut self, asked_ms: u64) {
        self.confirmed_ms = self.confirmed_ms.max(Some(asked_ms));
    }

    /// Returns whether an answer is of the same record as everything that was read: it was asked for on this connection,
    /// and not long before the process learned of the last entry, or after that.
    ///
    /// Otherwise the answer may be older than a loss, and the last entry younger. Then the entry that the answer shows is
    /// no longer behind it.
    pub(super) fn is_of_same_record(&self, asked: Asked) -> bool {
        let Some(limit) = self.settings.confirm_ms else { return true };
        asked.connection == self.connection
            && self.learned_ms < asked.steady_ms.saturating_add(limit)
    }

    /// Takes the news that more was read, which the engine showed between the time at which it was asked and the time at
    /// which the process learned of it, in ms.
    pub(super) fn seen(&mut self, asked: Asked, learned_ms: u64) {
        self.learned_ms = self.learned_ms.max(learned_ms);
        let confirmed_ms = self.confirmed_ms;
        self.confirmed_ms = confirmed_ms.map(|confirmed_ms| confirmed_ms.min(asked.steady_ms));
    }

    /// Returns the stamp of something that is asked for now.
    pub(super) fn asked(&self) -> Asked {
        Asked { connection: self.connection, steady_ms: self.now.steady_ms }
    }

    /// Takes the news that the connection is a new one. The answers that are under way do not say what the engine has
    /// now.
    pub(super) fn forget_connection(&mut self) {
        self.connection += 1;
        self.confirmed_ms = None;
        for check in self.anchor.iter_mut().chain(&mut self.recent.check) {
            check.asked = None;
        }
    }

    /// Begins to check what was read while commits are under way, so that they need not wait for it later.
    pub(super) fn confirm_early(&mut self) {
        if !self.flights.is_empty() && !self.is_confirmed(self.now.steady_ms) {
            self.begin_anchor();
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
        let (now, asked) = (self.now.steady_ms, self.asked());
        self.recent.begin();
        for check in self.anchor.iter_mut().chain(&mut self.recent.check) {
            if check.asked.is_none() && now >= check.again_ms {
                check.asked = Some(asked);
                let (after, count) = (check.after(), check.count());
                let to_commit = check.count_to_position();
                self.outputs.push(Output::Anchor { after, to_commit, count, asked });
            }
        }
    }

    /// Takes the entries of a position that is checked. An answer that no check waits for is dropped.
    pub(super) fn anchored(
        &mut self,
        after: Slot,
        count: usize,
        asked: Asked,
        entries: Result<Vec<Bytes>, LogError>,
    ) {
        let is_of = |check: &AnchorCheck| {
            (check.after(), check.count(), check.asked) == (after, count, Some(asked))
        };
        let is_anchor = self.anchor.as_ref().is_some_and(is_of);
        let check = if is_anchor { self.anchor.as_mut() } else { self.recent.check.as_mut() };
        let Some(check) = check.filter(|check| is_of(check)) else { return };
        let (now, limit) = (self.now.steady_ms, self.settings.absence_limit_ms);
        let position = check.position;
        let count = check.count_to_position();
        let is_short = entries.as_ref().is_ok_and(|entries| entries.len() < count);
        let is_absent = is_short && check.absence.note(now, limit);
        let (slot, reads) = (position.slot, check.absence.reads());
        check.asked = None;
        let checked = *check;
        check.again_ms = now + FIRST_PAUSE_MS;
        // Stepping back needs less patience: whether something is lost shows at the end of the record.
        let is_early = is_anchor && self.rejoin.is_open() && reads >= SHORT_READS;
        let is_lost = is_absent || (is_short && is_early);
        let entries = match entries {
            Ok(entries) => entries,
            Err(LogError::Trimmed { first }) if is_anchor => {
                if self.trimmed() {
                    return;
                }
                let found = self.rejoin.found.unwrap_or(Divergence::Trimmed { first, slot });
                return self.fail_anchor(found);
            }
            // What was trimmed cannot be compared any more.
            Err(LogError::Trimmed { .. }) => return self.recent.end(),
            Err(_) => return,
        };
        if is_lost {
            let lost = Divergence::Lost { slot };
            return self.not_there(lost, is_anchor);
        }
        if is_short {
            return;
        }
        let Some(behind) = checked.chain_behind(&entries) else {
            let changed = Divergence::Changed { slot };
            return self.not_there(changed, is_anchor);
        };
        self.counts.anchors_found += 1;
        if self.recent.check.is_some_and(|check| check.position == position) {
            self.recent.end();
        }
        if is_anchor {
            self.anchor_found(&checked, &behind, asked);
        }
    }

    /// Takes the news that the record has the last valid commit, or the position from which it is rejoined. `behind` is
    /// the chain behind the entries that the check has read.
    fn anchor_found(&mut self, check: &AnchorCheck, behind: &Chain, asked: Asked) {
        if !self.rejoin.is_open() && self.chain.position() == Some(&check.position) {
            if self.chain.is_like(behind) {
                self.confirmed_at(asked.steady_ms);
            } else if self.chain.read_to() == check.last() {
                // The record has other entries behind the commit than were read, or none.
                if self.now.steady_ms < self.rewind_again_ms {
                    // The check begins again after a pause. Otherwise the process would read as fast as it can.
                    return;
                }
                self.rewind();
                self.confirmed_at(asked.steady_ms);
            }
        }
        self.anchor = None;
        self.confirmed();
        if let Some(page) = self.held.take() {
            self.page(page);
        }
        self.land();
        self.settle_answered();
    }

    /// Reads the entries behind the last valid commit again.
    fn rewind(&mut self) {
        self.rewind_again_ms = self.now.steady_ms + FIRST_PAUSE_MS;
        self.land_from = self.land_from.max(self.chain.read_to());
        self.chain.rewind();
        self.read_now();
    }

    /// Takes the news that the record does not have the position that was checked.
    fn not_there(&mut self, divergence: Divergence, is_anchor: bool) {
        if is_anchor && self.step_back(divergence) {
            self.counts.anchors_failed += 1;
        } else {
            self.fail_anchor(divergence);
        }
    }

    fn fail_anchor(&mut self, divergence: Divergence) {
        self.counts.anchors_failed += 1;
        self.diverge(divergence);
    }

    /// Takes the news that a read showed more entries. Others may append faster than this process reads, so that no read
    /// ever shows the end: what the record had when the core began is enough.
    pub(super) fn read_on(&mut self) {
        let is_read = self.last_before.is_some_and(|last| self.chain.read_to() >= last);
        if self.caught_up || !is_read {
            return;
        }
        if let Some(forked) = self.rejoin.forked() {
            return self.diverge(forked);
        }
        let head = self.chain.tip().map(|tip| tip.head);
        let has_all = head.is_some_and(|head| head >= self.replica_head);
        self.caught_up = has_all && !self.rejoin.is_short();
    }

    /// Takes the news that a read showed no more entries.
    pub(super) fn reached_end(&mut self) {
        if let Some(forked) = self.rejoin.forked() {
            return self.diverge(forked);
        }
        let (head, replica) = (self.chain.tip().map_or(0, |tip| tip.head), self.replica_head);
        let (has_all, has_genesis) =
            (head >= replica && !self.rejoin.is_short(), self.chain.tip().is_some());
        if has_all && has_genesis {
            self.caught_up = true;
        } else if self.shorter.note(self.now.steady_ms, self.settings.absence_limit_ms) {
            if has_all {
                // There is no record.
                self.caught_up = true;
                return;
            }
            let shorter = Divergence::Shorter { head, replica };
            self.diverge(self.rejoin.found.unwrap_or(shorter));
        } else {
            self.read_again_ms = self.now.steady_ms + FIRST_PAUSE_MS;
        }
    }
}
