//! The engine, and the way between a process and the engine.

use annals_replicated::{AppendOutcome, Cause, LogError, NewEntry, ReadLimit, Slot};
use bytes::Bytes;

use crate::event::{Event, Sender};
use crate::world::World;

impl World {
    /// Sends an entry to the engine, over a way on which it may be lost, doubled or delayed.
    pub(crate) fn send(&mut self, process: usize, from: Sender, after: Slot, entry: NewEntry) {
        let faults = self.plan.faults;
        let unknown = AppendOutcome::Unknown(Cause::new("lost"));
        if self.random.chance(faults.not_sent) {
            let outcome = AppendOutcome::NotSent(Cause::new("away"));
            return self.later(process, 1, Event::Answer { to: from, outcome });
        }
        if self.random.chance(faults.full) {
            return self.later(
                process,
                1,
                Event::Answer { to: from, outcome: AppendOutcome::Full },
            );
        }
        if entry.bytes.len() > self.plan.limits.entry_bytes {
            let outcome = AppendOutcome::TooLarge;
            return self.later(process, 1, Event::Answer { to: from, outcome });
        }
        if self.random.chance(faults.lost_entries) {
            return self.later(process, 500, Event::Answer { to: from, outcome: unknown });
        }
        if self.random.chance(faults.doubled) {
            let delay = 1 + self.random.below(300);
            let entry = entry.clone();
            self.later(process, delay, Event::Arrive { from, after, entry, answers: false });
        }
        if self.random.chance(faults.delayed) {
            let delay = 100 + self.random.below(2_000);
            self.later(process, delay, Event::Arrive { from, after, entry, answers: false });
            return self.later(process, 500, Event::Answer { to: from, outcome: unknown });
        }
        let delay = 1 + self.random.below(4);
        self.later(process, delay, Event::Arrive { from, after, entry, answers: true });
    }

    /// Lets an entry arrive at the engine, and its answer go back.
    pub(crate) fn arrive(
        &mut self,
        process: usize,
        from: Sender,
        after: Slot,
        entry: &NewEntry,
        answers: bool,
    ) {
        if self.is_away() {
            let outcome = AppendOutcome::Unknown(Cause::new("away"));
            if answers {
                self.later(process, 500, Event::Answer { to: from, outcome });
            }
            return;
        }
        let faults = self.plan.faults;
        let outcome = self.record.arrive(after, &entry.bytes, faults.accepts_everything);
        if !answers {
            return;
        }
        let outcome = if self.random.chance(faults.lost_answers) {
            AppendOutcome::Unknown(Cause::new("lost"))
        } else if self.random.chance(faults.wrong_refusals) {
            AppendOutcome::Refused
        } else if self.random.chance(faults.other_slots)
            && let AppendOutcome::At(slot) = outcome
        {
            AppendOutcome::At(self.record.other_slot(slot, after, &mut self.random))
        } else {
            outcome
        };
        let delay = match outcome {
            AppendOutcome::Unknown(_) => 500,
            _ => 1 + self.random.below(4),
        };
        self.later(process, delay, Event::Answer { to: from, outcome });
    }

    pub(crate) fn read(&mut self, after: Slot, limit: ReadLimit) -> Result<Vec<Bytes>, LogError> {
        let faults = self.plan.faults;
        if self.random.chance(faults.failed_reads) || self.is_away() {
            return Err(LogError::Unavailable(Cause::new("away")));
        }
        let is_old = self.random.chance(faults.stale_reads);
        let missing = if is_old { self.random.index(5) } else { 0 };
        self.record.read(after, limit, missing)
    }
}
