//! Finds out what became of commits: from the engine's answers, and from what the record shows.

use std::sync::Arc;

use bytes::Bytes;

use super::flight::{Flight, Stored};
use super::messages::{Divergence, Output, ReadKind, Refusal, SendId};
use super::settings::{FIRST_PAUSE_MS, MAX_UNAPPLIED, SHORTEST_YIELD_MS};
use super::state::{End, Landed, ReadPage, State};
use crate::chain::chain::Step;
use crate::chain::slot::Slot;
use crate::format::commit::Commit;
use crate::format::entry::MIN_ENTRY_BYTES;
use crate::log::commit_log::{AppendOutcome, LogError};

impl State {
    /// Takes the engine's answer to an append.
    pub(super) fn answered(&mut self, id: SendId, outcome: &AppendOutcome, time_ms: Option<u64>) {
        let Some(send) = self.sends.remove(&id) else { return };
        self.note_clock(send.wall_ms, time_ms);
        let current = send.attempt == self.attempt;
        if current {
            self.open -= 1;
        }
        let Some(index) = self.flights.iter().position(|flight| flight.id == send.flight) else {
            return;
        };
        let absent_from = self.absent_from();
        let flight = &mut self.flights[index];
        if current {
            flight.open -= 1;
        }
        let mut doubt = current;
        match outcome {
            AppendOutcome::At(slot) => {
                flight.may_be_stored = true;
                if send.attempt >= flight.split_at {
                    let (slot, asked, answered_ms) = (*slot, send.asked, self.now.steady_ms);
                    flight.slots[send.part].push(Stored { slot, asked, answered_ms });
                }
                doubt &= *slot != send.expected;
            }
            AppendOutcome::Refused | AppendOutcome::Unknown(_) => flight.may_be_stored = true,
            AppendOutcome::NotSent(_) | AppendOutcome::Full if absent_from <= index => {
                let full = matches!(outcome, AppendOutcome::Full);
                self.kill_from(absent_from, full.then_some(Refusal::Full));
                self.hold_until_ms = self.now.steady_ms + self.next_pause();
                return;
            }
            AppendOutcome::TooLarge if current => {
                let was = flight.entries[send.part].len();
                if was > MIN_ENTRY_BYTES {
                    self.split_into((was / 2).max(MIN_ENTRY_BYTES));
                    return;
                }
            }
            AppendOutcome::NotSent(_) | AppendOutcome::Full | AppendOutcome::TooLarge => {}
        }
        if doubt {
            self.settle();
        }
        self.land();
        self.settle_answered();
    }

    /// Returns the index of the first flight from which on the engine has stored nothing and will store nothing. A flight
    /// before one that may be stored is not given up: made anew, it may be the same commit, and then the other one lands
    /// behind it.
    fn absent_from(&self) -> usize {
        let is_sent = |flight: &Flight| self.sends.values().any(|send| send.flight == flight.id);
        let may_land = |flight: &Flight| flight.may_be_stored || is_sent(flight);
        self.flights.iter().rposition(may_land).map_or(0, |last| last + 1)
    }

    /// Settles the flights if the first one was answered and did not land: the record shows why. While an anchor is
    /// checked, it may still land.
    pub(super) fn settle_answered(&mut self) {
        let answered = |flight: &Flight| flight.open == 0 && flight.sent == flight.entries.len();
        let is_due = self.anchor.is_none() && self.resend_ms.is_none();
        if is_due && self.flights.front().is_some_and(answered) {
            self.settle();
        }
    }

    /// Splits all flights into smaller entries and sends them again.
    fn split_into(&mut self, entry_bytes: usize) {
        self.settings.limits.entry_bytes = entry_bytes;
        for flight in &mut self.flights {
            flight.split(entry_bytes, self.attempt + 1);
        }
        self.resend();
    }

    /// Takes the entries of the first flights that the engine stored directly behind the last slot that was read, if the
    /// record still has what was read. A flight lands with its last entry.
    ///
    /// If several entries wait for a check, asks for a read as well: what one read shows is taken after one check.
    /// Otherwise each entry would need a check of its own on an engine whose answers are slow.
    pub(super) fn land(&mut self) {
        while self.anchor.is_none()
            && self.end.is_none()
            && self.chain.read_to() >= self.land_from
            && let Some(first) = self.flights.front()
            && let slot = self.chain.read_to().next()
            && let own = self.chain.parts_of(&first.entries)
            && let Some((part, stored)) = first.next_stored(own, slot)
        {
            if !self.is_of_same_record(stored.asked) {
                self.flights[0].forget(part, slot);
                self.read_now();
                return self.begin_anchor();
            }
            if !self.is_confirmed(stored.answered_ms) {
                self.want_now |= self.flights.len() > 1 || first.entries.len() > 1;
                return self.begin_anchor();
            }
            let next = (part + 1 < first.entries.len()).then(|| first.entries[part].clone());
            self.seen(stored.asked, stored.answered_ms);
            if let Some(entry) = next {
                self.entry(slot, &entry);
                continue;
            }
            let flight = self.flights.pop_front().expect("the first flight");
            self.chain.last_landed(&flight.commit, flight.parts());
            self.round_trip_ms = self.now.steady_ms.saturating_sub(flight.sent_ms);
            self.landed_own(flight);
        }
    }

    fn landed_own(&mut self, flight: Flight) {
        self.doubted.clear();
        self.pause_ms = FIRST_PAUSE_MS;
        if self.flights.is_empty() {
            self.resend_ms = None;
        }
        if std::mem::take(&mut self.hinted) {
            let pause = (4 * self.round_trip_ms).max(SHORTEST_YIELD_MS);
            self.hold_until_ms = self.now.steady_ms + pause;
        }
        let (number, head) = (flight.tip.number, flight.tip.head);
        let (bytes, requests) = (flight.commit.body_bytes(), flight.requests);
        self.landed.push_back(Landed { number, head, bytes, requests });
        self.apply(flight.commit);
    }

    fn apply(&mut self, commit: Arc<Commit>) {
        let position = *self.chain.position().expect("a commit is valid");
        self.recent.push(position);
        self.outputs.push(Output::Apply { commit, position });
    }

    /// Takes what a read returned.
    pub(super) fn entries(
        &mut self,
        kind: ReadKind,
        after: Slot,
        entries: Result<Vec<Bytes>, LogError>,
        time_ms: Option<u64>,
    ) {
        let asked = match kind {
            ReadKind::Now => {
                self.reading_now = false;
                self.note_clock(self.read_wall_ms, time_ms);
                self.read_asked
            }
            ReadKind::Watch => {
                self.watching = false;
                self.watch_asked
            }
        };
        if self.end.is_some() {
            return;
        }
        let entries = match entries {
            Ok(entries) => entries,
            Err(LogError::Trimmed { first }) if first > self.chain.read_to().next() => {
                let trimmed = Divergence::Trimmed { first, slot: self.chain.read_to() };
                return self.diverge(self.rejoin.found.unwrap_or(trimmed));
            }
            Err(_) => {
                self.read_again_ms = self.now.steady_ms + FIRST_PAUSE_MS;
                self.want_now |= kind == ReadKind::Now;
                return;
            }
        };
        let arrived_ms = self.now.steady_ms;
        self.page(ReadPage { kind, after, entries, asked, arrived_ms });
    }

    /// Takes entries, once the record was seen to have those before them: see [`is_confirmed`](Self::is_confirmed). Entries
    /// that complete no commit do not wait for that, unless a commit is under way.
    pub(super) fn page(&mut self, page: ReadPage) {
        if !page.entries.is_empty() && !self.is_of_same_record(page.asked) {
            return self.read_now();
        }
        if !page.entries.is_empty() && !self.is_confirmed(page.arrived_ms) {
            // Void entries and parts change nothing, and are checked before a commit behind them is taken. While a commit
            // is under way they wait too: otherwise a check of it never catches up with them.
            let is_next = page.after == self.chain.read_to() && self.flights.is_empty();
            if !is_next || self.chain.completes_one(&page.entries) {
                if self.held.is_some() {
                    return self.read_now();
                }
                self.held = Some(page);
                return self.begin_anchor();
            }
            self.confirmed_ms = None;
        }
        let ReadPage { kind, after, entries, asked, arrived_ms } = page;
        let before = self.chain.read_to();
        for (entry, slot) in entries.iter().zip(after.0 + 1..) {
            if Slot(slot) != self.chain.read_to().next() {
                continue;
            }
            self.entry(Slot(slot), entry);
            if self.end.is_some() {
                return;
            }
        }
        if self.chain.read_to() > before {
            self.seen(asked, arrived_ms);
            self.read_on();
            self.want_now |= self.resend_ms.is_some();
        } else if after == before && kind == ReadKind::Now {
            self.reached_end();
            // The engine refused and shows nothing: perhaps the record is not the one that was read.
            if self.resend_ms.is_some() {
                self.begin_anchor();
            }
        }
        self.want_now |= !self.caught_up;
        self.land();
    }

    fn entry(&mut self, slot: Slot, entry: &Bytes) {
        match self.chain.push(slot, entry) {
            Step::Valid(commit) => self.valid(commit),
            Step::Part => {}
            Step::Void(_) => {
                if slot > self.voids_to {
                    self.voids_to = slot;
                    self.counts.voids += 1;
                }
                if self.chain.voids() == 1 {
                    self.begin_anchor();
                }
                self.suspect(entry);
            }
            Step::Newer(any) => self.diverge(Divergence::Newer(any)),
        }
    }

    /// Takes the next valid commit of the record: the first flight, or the commit of another writer.
    fn valid(&mut self, commit: Commit) {
        if !self.rejoin.takes(&commit, self.chain.read_to()) {
            return;
        }
        let hash = commit.hash();
        let is_first = self.flights.front().is_some_and(|flight| flight.commit.hash() == hash);
        if is_first && let Some(flight) = self.flights.pop_front() {
            return self.landed_own(flight);
        }
        if !self.flights.is_empty() {
            self.counts.lost_races += self.flights.len() as u64;
            self.outputs.push(Output::Hint);
            self.kill_from(0, None);
        }
        // Every commit that was decided on the one before this is dead, but one that was decided on this one.
        let header = commit.header();
        self.doubted.retain(|(writer_id, last)| *writer_id == header.writer_id && *last != hash);
        self.abandoned = !self.doubted.is_empty();
        self.begin_attempt();
        self.resend_ms = None;
        self.pause_ms = FIRST_PAUSE_MS;
        self.hold_until_ms = 0;
        let first = commit.header().first_offset;
        let events = commit.content().batches().iter().flat_map(|batch| &batch.events);
        for (event, offset) in events.zip(first..) {
            self.overlay.push(offset, event.clone());
        }
        let head = first + u64::from(commit.header().events);
        let (number, bytes) = (commit.header().number, commit.body_bytes());
        self.landed.push_back(Landed { number, head, bytes, requests: Vec::new() });
        self.apply(Arc::new(commit));
    }

    /// Gives up the flights from `index` on, which will never be in the record. Their requests are admitted again; with
    /// a refusal, those of the first one get that.
    pub(super) fn kill_from(&mut self, index: usize, mut refusal: Option<Refusal>) {
        let dead = self.flights.split_off(index);
        if let Some(first) = dead.front() {
            self.overlay.truncate(first.commit.header().first_offset);
        }
        let sent: usize = dead.iter().map(|flight| flight.sent).sum();
        self.predicted = Slot(self.predicted.0.saturating_sub(sent as u64));
        let mut again = Vec::new();
        for flight in dead {
            self.abandoned |= flight.ends_doubt;
            let refusal = refusal.take();
            for admitted in flight.requests.into_iter().filter(|admitted| !admitted.told) {
                match &refusal {
                    Some(refusal) => {
                        self.answer(admitted.waiting.request, Err(refusal.clone()));
                    }
                    None => again.push(admitted.waiting),
                }
            }
        }
        for waiting in again.into_iter().rev() {
            self.queue.push_front(waiting);
        }
        if self.flights.is_empty() {
            self.resend_ms = None;
        }
    }

    /// Takes the news that the replica shows a commit.
    pub(super) fn applied(&mut self, number: u64) {
        // Commits before it may still be reported: a callback that sees their events has appended this one.
        let index = self.landed.iter().position(|landed| landed.number == number);
        let Some(Landed { head, requests, .. }) = index.and_then(|index| self.landed.remove(index))
        else {
            return;
        };
        self.overlay.drop_before(head);
        for admitted in requests.into_iter().filter(|admitted| !admitted.told) {
            self.answer(admitted.waiting.request, admitted.reply);
        }
    }

    /// Stops for good: the record is not the one that the replica has read.
    pub(super) fn diverge(&mut self, divergence: Divergence) {
        self.outputs.push(Output::Diverged(divergence));
        self.finish(End::Diverged(divergence), &Refusal::Diverged(divergence));
    }

    /// Stops for good: the replica has other events than a commit at `slot`, and takes no more commits. The commits
    /// that landed behind it are in the record, and will not be applied.
    pub(super) fn apply_differs(&mut self, slot: Slot) {
        for landed in std::mem::take(&mut self.landed) {
            for admitted in landed.requests.into_iter().filter(|admitted| !admitted.told) {
                self.counts.doubts += 1;
                self.answer(admitted.waiting.request, Err(Refusal::InDoubt));
            }
        }
        if self.end.is_none() {
            self.diverge(Divergence::Changed { slot });
        }
    }

    /// Stops for good: the replica takes no more commits.
    pub(super) fn apply_failed(&mut self) {
        for landed in std::mem::take(&mut self.landed) {
            for admitted in landed.requests.into_iter().filter(|admitted| !admitted.told) {
                self.answer(admitted.waiting.request, Err(Refusal::ReplicaFailed));
            }
        }
        self.finish(End::ReplicaFailed, &Refusal::ReplicaFailed);
    }

    /// Answers all callers but those whose commit landed.
    pub(super) fn finish(&mut self, end: End, refusal: &Refusal) {
        self.end = Some(end);
        self.anchor = None;
        self.held = None;
        self.resend_ms = None;
        for flight in std::mem::take(&mut self.flights) {
            for admitted in flight.requests.into_iter().filter(|admitted| !admitted.told) {
                self.counts.doubts += 1;
                self.answer(admitted.waiting.request, Err(Refusal::InDoubt));
            }
        }
        for waiting in std::mem::take(&mut self.queue) {
            self.answer(waiting.request, Err(refusal.clone()));
        }
    }

    /// Asks for the reads that are due.
    pub(super) fn ask_for_reads(&mut self) {
        let now = self.now.steady_ms;
        if self.end.is_some() || now < self.read_again_ms {
            return;
        }
        self.ask_for_anchors();
        if self.rejoin.is_open() || self.is_behind() || self.held.is_some() {
            return;
        }
        let after = self.chain.read_to();
        if self.want_now && !self.reading_now {
            (self.want_now, self.reading_now) = (false, true);
            (self.read_asked, self.read_wall_ms) = (self.asked(), self.now.wall_ms);
            self.outputs.push(Output::Read { kind: ReadKind::Now, after });
        }
        if self.caught_up && !self.watching {
            self.watching = true;
            self.watch_asked = self.asked();
            self.outputs.push(Output::Read { kind: ReadKind::Watch, after });
        }
    }

    /// Returns whether so many commits wait to be applied, or such large ones, that no more are to be read.
    fn is_behind(&self) -> bool {
        if self.landed.len() >= MAX_UNAPPLIED {
            return true;
        }
        let bytes: usize = self.landed.iter().map(|landed| landed.bytes).sum();
        bytes >= self.settings.unapplied_bytes
    }
}
