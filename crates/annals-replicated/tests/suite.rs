//! The suite passes for a simulated engine with any faults that are allowed, and catches engines that break a promise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use annals_replicated::sim::{Faults, SimLog};
use annals_replicated::suite::{LogSubject, run};
use annals_replicated::{
    AppendAnswer, AppendOutcome, Cause, CheckError, CommitLog, Done, Fitness, LogError, LogLimits,
    NewEntry, Page, ReadLimit, Slot, Unfit,
};

/// A defect of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// Acknowledges entries that it does not store.
    Loses,
    /// Gives slots with gaps.
    HasGaps,
    /// Returns changed bytes to the second reader.
    ChangesEntries,
    /// Returns entries in another order.
    Reorders,
    /// Returns more than was asked for.
    IgnoresLimits,
    /// Refuses an entry that its limits allow.
    RefusesLargeEntries,
    /// Says that it may not be trusted.
    Unfit,
}

#[derive(Clone)]
struct Engine {
    log: SimLog,
    defect: Defect,
    is_second: bool,
    was_asked: Arc<AtomicBool>,
}

impl CommitLog for Engine {
    fn append(&self, after: Slot, entry: NewEntry, done: Done) {
        let answer = |outcome| AppendAnswer { outcome, time_ms: None };
        if self.defect == Defect::Loses && entry.number == 7 {
            return done(answer(AppendOutcome::At(after.next())));
        }
        if self.defect == Defect::RefusesLargeEntries && entry.bytes.len() > 10_000 {
            return done(answer(AppendOutcome::TooLarge));
        }
        self.log.append(after, entry, done);
    }

    fn read(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        let limit = if self.defect == Defect::IgnoresLimits { ReadLimit::default() } else { limit };
        let mut page = self.log.read(after, limit)?;
        match self.defect {
            Defect::HasGaps => {
                let late = page.entries.iter_mut().filter(|(slot, _)| *slot > Slot(5));
                late.for_each(|(slot, _)| *slot = slot.next());
            }
            Defect::ChangesEntries if self.is_second => {
                for (slot, entry) in &mut page.entries {
                    if *slot == Slot(3) {
                        *entry = entry.slice(1..);
                    }
                }
            }
            Defect::Reorders if self.is_second && page.entries.len() > 4 => {
                let (one, two) = (page.entries[2].1.clone(), page.entries[3].1.clone());
                (page.entries[2].1, page.entries[3].1) = (two, one);
            }
            _ => {}
        }
        Ok(page)
    }

    /// Fails the first time, which an engine may.
    fn ends(&self) -> Result<(Slot, Slot), LogError> {
        // Relaxed: the flag guards nothing.
        if self.was_asked.swap(true, Ordering::Relaxed) {
            return self.log.ends();
        }
        Err(LogError::Unavailable(Cause::new("the engine is away")))
    }

    fn wait(&self, after: Slot, until: Instant) {
        self.log.wait(after, until);
    }

    fn check(&self) -> Result<Fitness, CheckError> {
        if self.defect == Defect::Unfit {
            return Err(Unfit { reasons: vec!["it syncs every two minutes".into()] }.into());
        }
        self.log.check()
    }

    fn limits(&self) -> LogLimits {
        self.log.limits()
    }
}

struct Subject {
    faults: Faults,
    seed: u64,
    defect: Defect,
}

impl LogSubject for Subject {
    type Log = Engine;

    fn create(&self) -> Engine {
        let log = SimLog::new(self.faults, self.seed);
        Engine { log, defect: self.defect, is_second: false, was_asked: Arc::default() }
    }

    fn connect(&self, log: &Engine) -> Engine {
        Engine { is_second: true, ..log.clone() }
    }
}

#[test]
fn an_engine_that_works_passes() {
    let subject = Subject { faults: Faults::none(), seed: 1, defect: Defect::None };
    assert_eq!(run(&subject), []);
}

#[test]
fn an_engine_with_faults_that_are_allowed_passes() {
    for seed in 0..8 {
        let faults = Faults {
            lost_answers: 20,
            lost_entries: 10,
            doubled: 20,
            delayed: 10,
            wrong_refusals: 20,
            other_slots: 10,
            stale_reads: 30,
            failed_reads: 10,
            not_sent: 10,
            full: 5,
            strangers: 0,
            accepts_everything: seed % 2 == 1,
        };
        assert_eq!(run(&Subject { faults, seed, defect: Defect::None }), [], "seed {seed}");
    }
}

#[test]
fn an_engine_that_breaks_a_promise_is_caught() {
    let cases = [
        (Defect::HasGaps, "what_is_acknowledged_is_read_by_all"),
        (Defect::Loses, "what_is_acknowledged_is_read_by_all"),
        (Defect::ChangesEntries, "what_is_acknowledged_is_read_by_all"),
        (Defect::Reorders, "what_is_acknowledged_is_read_by_all"),
        (Defect::IgnoresLimits, "reads_keep_their_limits"),
        (Defect::RefusesLargeEntries, "the_largest_entry_is_stored"),
        (Defect::Unfit, "a_record_begins_with_its_genesis"),
    ];
    for (defect, check) in cases {
        let found = run(&Subject { faults: Faults::none(), seed: 1, defect });
        let caught = found.iter().any(|violation| violation.check == check);
        assert!(caught, "{defect:?} is not caught by {check}: {found:?}");
    }
}
