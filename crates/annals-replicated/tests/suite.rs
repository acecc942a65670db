//! The suite passes for a simulated engine with any faults that are allowed, and catches engines that break a promise.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use annals_replicated::sim::{Faults, SimLog};
use annals_replicated::suite::{LogSubject, run};
use annals_replicated::{
    AppendAnswer, AppendOutcome, Cause, Chain, CheckError, CommitHash, CommitLog, Done, Fitness,
    LogError, LogLimits, NewEntry, Page, ReadLimit, Slot, Unfit,
};

/// A defect of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// Acknowledges an entry that it does not store.
    Loses,
    /// Acknowledges an entry that it does not store as a copy of an earlier one.
    LosesCopies,
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
    /// Stores an entry, and says that it is too large.
    StoresTooLargeEntries,
    /// Stores an entry, and says that it was not sent.
    StoresUnsentEntries,
    /// Allows no append to be under way.
    AllowsNothing,
    /// Drops an append while another one is under way.
    DropsTheSecond,
    /// Stores no part of a commit.
    RefusesParts,
    /// Says that it compares hashes, and compares slots.
    ComparesSlots,
    /// Names an end that it had once.
    NamesAnOldEnd,
    /// Shows nothing to a process that reads again.
    ReadsNothingAgain,
    /// Shows other entries to a process that reads again.
    ReadsOthersAgain,
    /// Returns more than was asked for to a process that reads again.
    IgnoresLimitsAgain,
    /// Has another number of the connection for each call.
    CountsCalls,
    /// Has the same number for each connection.
    CountsNoConnections,
    /// Passes a hint to its sender too.
    EchoesHints,
    /// Says that it may not be trusted.
    Unfit,
}

/// What the connections of an engine share.
#[derive(Default)]
struct Shared {
    was_asked: AtomicBool,
    is_under_way: AtomicBool,
    calls: AtomicU64,
    connections: AtomicU64,
    hints: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

#[derive(Clone)]
struct Engine {
    log: SimLog,
    defect: Defect,
    /// Whether it stores an entry only behind the commit that this one was decided on.
    compares: bool,
    is_second: bool,
    shared: Arc<Shared>,
}

impl Engine {
    /// Returns the hash of the last valid commit.
    fn last_hash(&self) -> Option<CommitHash> {
        let entries = self.log.change(|record| record.entries().to_vec());
        let mut chain = Chain::new(None);
        for (entry, slot) in entries.iter().zip(1..) {
            chain.push(Slot(slot), entry);
        }
        chain.tip().map(|tip| tip.hash)
    }

    /// Stores an entry, if `after` is the last slot.
    fn store(&self, after: Slot, entry: &NewEntry) -> AppendOutcome {
        self.log.change(|record| record.arrive(after, &entry.bytes, false))
    }
}

fn answer(outcome: AppendOutcome) -> AppendAnswer {
    AppendAnswer { outcome, time_ms: None }
}

impl CommitLog for Engine {
    fn append(&self, after: Slot, entry: NewEntry, done: Done) {
        let (number, bytes) = (entry.number, entry.bytes.len());
        match self.defect {
            Defect::Loses if number == 7 => done(answer(AppendOutcome::At(after.next()))),
            Defect::LosesCopies if number == 7 => done(answer(AppendOutcome::At(Slot(1)))),
            Defect::RefusesLargeEntries if bytes > 10_000 => done(answer(AppendOutcome::TooLarge)),
            Defect::StoresTooLargeEntries if bytes > self.limits().entry_bytes => {
                self.store(after, &entry);
                done(answer(AppendOutcome::TooLarge));
            }
            Defect::StoresUnsentEntries if number == 7 => {
                self.store(after, &entry);
                done(answer(AppendOutcome::NotSent(Cause::new("the engine is away"))));
            }
            // Relaxed: the flag guards nothing.
            Defect::DropsTheSecond if self.shared.is_under_way.swap(true, Ordering::Relaxed) => {}
            Defect::DropsTheSecond => {
                let (outcome, shared) = (self.store(after, &entry), Arc::clone(&self.shared));
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(20));
                    shared.is_under_way.store(false, Ordering::Relaxed);
                    done(answer(outcome));
                });
            }
            Defect::RefusesParts if entry.part != (0, 1) => done(answer(AppendOutcome::Refused)),
            _ if self.compares && self.last_hash() != Some(entry.previous) => {
                done(answer(AppendOutcome::Refused));
            }
            _ => self.log.append(after, entry, done),
        }
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

    fn read_again(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        match self.defect {
            Defect::ReadsNothingAgain => Ok(Page::default()),
            Defect::IgnoresLimitsAgain => self.read(after, ReadLimit::default()),
            Defect::ReadsOthersAgain => {
                let mut page = self.read(after.next(), limit)?;
                page.entries.iter_mut().for_each(|(slot, _)| slot.0 -= 1);
                Ok(page)
            }
            _ => self.read(after, limit),
        }
    }

    /// Fails the first time, which an engine may.
    fn ends(&self) -> Result<(Slot, Slot), LogError> {
        // Relaxed: the flag guards nothing.
        if !self.shared.was_asked.swap(true, Ordering::Relaxed) {
            return Err(LogError::Unavailable(Cause::new("the engine is away")));
        }
        if self.defect == Defect::NamesAnOldEnd { Ok((Slot(1), Slot(1))) } else { self.log.ends() }
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
        let limits = self.log.limits();
        if self.defect == Defect::AllowsNothing {
            return LogLimits { under_way: 0, ..limits };
        }
        limits
    }

    fn compares_hashes(&self) -> bool {
        self.compares || self.defect == Defect::ComparesSlots
    }

    fn connection(&self) -> u64 {
        // Relaxed: the numbers guard nothing.
        match self.defect {
            Defect::CountsCalls => self.shared.calls.fetch_add(1, Ordering::Relaxed),
            Defect::CountsNoConnections => 7,
            _ => self.shared.connections.load(Ordering::Relaxed),
        }
    }

    fn hint(&self) {
        self.shared.hints.lock().expect("no panic").iter().for_each(|hint| hint());
        self.log.hint();
    }

    fn on_hint(&self, see: Box<dyn Fn() + Send + Sync>) {
        if self.defect == Defect::EchoesHints {
            return self.shared.hints.lock().expect("no panic").push(see);
        }
        self.log.on_hint(see);
    }
}

struct Subject {
    faults: Faults,
    seed: u64,
    defect: Defect,
    compares: bool,
}

impl Subject {
    fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, seed, defect: Defect::None, compares: false }
    }
}

impl LogSubject for Subject {
    type Log = Engine;

    fn create(&self) -> Engine {
        let log = SimLog::new(self.faults, self.seed);
        let (defect, compares) = (self.defect, self.compares);
        Engine { log, defect, compares, is_second: false, shared: Arc::default() }
    }

    fn connect(&self, log: &Engine) -> Engine {
        Engine { is_second: true, ..log.clone() }
    }

    fn reconnect(&self, log: &Engine) -> bool {
        log.shared.connections.fetch_add(1, Ordering::Relaxed);
        true
    }
}

#[test]
fn an_engine_that_works_passes() {
    assert_eq!(run(&Subject::new(Faults::none(), 1)), []);
}

#[test]
fn an_engine_that_compares_hashes_passes() {
    assert_eq!(run(&Subject { compares: true, ..Subject::new(Faults::none(), 1) }), []);
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
        assert_eq!(run(&Subject::new(faults, seed)), [], "seed {seed}");
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
        (Defect::LosesCopies, "what_is_acknowledged_is_read_by_all"),
        (Defect::StoresUnsentEntries, "what_is_acknowledged_is_read_by_all"),
        (Defect::StoresTooLargeEntries, "a_larger_entry_is_refused_or_stored"),
        (Defect::AllowsNothing, "the_largest_entry_is_stored"),
        (Defect::DropsTheSecond, "appends_under_way_are_all_answered"),
        (Defect::RefusesParts, "the_parts_of_a_commit_are_stored"),
        (Defect::ComparesSlots, "an_entry_behind_another_hash_is_not_stored"),
        (Defect::NamesAnOldEnd, "the_ends_are_those_of_the_record"),
        (Defect::ReadsNothingAgain, "entries_are_read_again_as_they_were"),
        (Defect::ReadsOthersAgain, "entries_are_read_again_as_they_were"),
        (Defect::IgnoresLimitsAgain, "entries_are_read_again_as_they_were"),
        (Defect::CountsCalls, "a_new_connection_has_another_number"),
        (Defect::CountsNoConnections, "a_new_connection_has_another_number"),
        (Defect::EchoesHints, "a_hint_is_that_of_another_writer"),
    ];
    // Most of them wait for what does not come.
    thread::scope(|scope| {
        let found = cases.map(|(defect, check)| {
            let subject = Subject { defect, ..Subject::new(Faults::none(), 1) };
            (defect, check, scope.spawn(move || run(&subject)))
        });
        for (defect, check, found) in found {
            let found = found.join().expect("no panic");
            let caught = found.iter().any(|violation| violation.check == check);
            assert!(caught, "{defect:?} is not caught by {check}: {found:?}");
        }
    });
}
