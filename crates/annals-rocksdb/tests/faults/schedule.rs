//! Hundreds of simulated crashes. A schedule appends to a store, its machine fails or loses power at a random call, the
//! store is opened again, and a model checks which events must be there and which may.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use annals::{AppendError, Appended, Batch, Condition, Durability, EventStore, Query};
use annals_conformance::fault::{Call, Loss};
use annals_conformance::{Random, Sample, or_abort};
use annals_rocksdb::{RocksDb, verify};
use libc::{EIO, ENOSPC, c_int};

use crate::boundary::Base;
use crate::machine::Machine;
use crate::model::{Model, Verdict, check_race};

pub(crate) type Store = EventStore<Sample, RocksDb<Sample>>;
type AppendResult = Result<Appended, AppendError>;
type Entry = (Vec<Sample>, Option<Condition>);

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs schedules on as many threads as there are processors.
pub(crate) fn run_all(count: u64, schedule: impl Fn(u64) + Sync) {
    if let Some(seed) = setting("ANNALS_CRASH_SEED") {
        return schedule(seed);
    }
    let count = setting("ANNALS_CRASH_SCHEDULES").unwrap_or(count);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return;
            }
            let run = catch_unwind(AssertUnwindSafe(|| {
                or_abort(&format!("schedule {seed}"), || schedule(seed));
            }));
            assert!(run.is_ok(), "schedule {seed} failed: ANNALS_CRASH_SEED={seed} runs it again");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

#[test]
fn synced_appends_survive_crashes() {
    run_all(150, |seed| run(seed, Durability::Sync, None));
}

#[test]
fn buffered_appends_survive_the_end_of_the_process_and_are_a_prefix_after_a_power_cut() {
    run_all(100, |seed| run(seed, Durability::Buffered, None));
}

#[test]
fn a_crash_where_a_chunk_ends_takes_nothing() {
    let base = Base::new();
    run_all(12, |seed| {
        let durability =
            if seed.is_multiple_of(2) { Durability::Sync } else { Durability::Buffered };
        run(seed, durability, Some(&base));
    });
}

#[test]
fn racing_writers_survive_crashes() {
    run_all(40, race);
}

/// The fault of the machine in one life of the store.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// The store is closed cleanly.
    Close,
    /// The process ends between two appends.
    Kill,
    /// The process ends in the nth call.
    KillAt(u64),
    /// The power goes off in the nth call.
    PowerCut(u64),
    /// The nth call of this kind fails; then the process ends.
    Failure(Call, u64, c_int),
    /// The disk has only so many bytes left, and is freed later.
    Full(u64),
}

impl Fate {
    fn random(random: &mut Random) -> Self {
        let call = 1 + random.below(60);
        match random.below(15) {
            0 => Self::Close,
            1 => Self::Kill,
            2 => Self::Failure(Call::Write, call, EIO),
            3 => Self::Failure(Call::Write, call, ENOSPC),
            4 => Self::Failure(Call::Sync, 1 + random.below(30), EIO),
            5 => Self::Failure(Call::SyncDirectory, 1 + random.below(4), EIO),
            6 => Self::Failure([Call::Create, Call::Rename][random.index(2)], 1, EIO),
            7 => Self::Full(random.below(256 << 10)),
            8..11 => Self::KillAt(call),
            _ => Self::PowerCut(call),
        }
    }

    fn plan(self, machine: &Machine) {
        match self {
            Self::Close | Self::Kill => {}
            // Both look like a loss of power to the process. `end` decides what follows.
            Self::KillAt(call) | Self::PowerCut(call) => machine.cut_power_at(call),
            Self::Failure(call, nth, error) => machine.fail(call, nth, error),
            Self::Full(bytes) => machine.set_room(Some(bytes)),
        }
    }

    /// Returns whether the process goes on after the fault.
    fn is_survived(self) -> bool {
        matches!(self, Self::Failure(..) | Self::Full(_))
    }
}

pub(crate) fn loss(random: &mut Random) -> Loss {
    match random.below(6) {
        0 => Loss::Everything,
        1 => Loss::Nothing,
        2 | 3 => Loss::Pages(random.number()),
        _ => Loss::Sectors(random.number()),
    }
}

fn open(machine: &Machine, durability: Durability) -> Result<Store, annals::OpenError> {
    let options = RocksDb::options().memtable_bytes(1 << 20).durability(durability);
    options.open(machine.path("rocks")).map(EventStore::on)
}

/// A running schedule.
struct Run {
    machine: Machine,
    model: Model,
    random: Random,
    durability: Durability,
    /// Whether events are so large that memtables are written to files.
    heavy: bool,
    /// The exact length of the log, after a failed append that must be rolled back.
    exactly: Option<u64>,
    note: String,
}

/// Runs one schedule: a few lives of one store.
fn run(seed: u64, durability: Durability, base: Option<&Base>) {
    let mut random = Random::new(seed);
    let (machine, model) = match base {
        Some(base) => (base.machine(random.number()), Base::model()),
        None => (Machine::new(random.number()), Model::default()),
    };
    let heavy = random.once_in(3);
    let note = String::new();
    let mut run = Run { machine, model, random, durability, heavy, exactly: None, note };
    let lives = 2 + run.random.below(3);
    for life in 0..lives {
        let fate = Fate::random(&mut run.random);
        run.note = format!("seed {seed}, life {life} of {lives}, {fate:?}");
        // Some faults happen while the store is opened, and most later.
        let early = run.random.once_in(3);
        if early {
            fate.plan(&run.machine);
        }
        match open(&run.machine, durability) {
            Ok(store) => run.live(store, fate, early),
            Err(error) => {
                // Only a planned fault may keep the store from opening. A crash never leaves damage.
                let planned = early && !matches!(fate, Fate::Close | Fate::Kill);
                let plain = matches!(error, annals::OpenError::Io { .. });
                assert!(planned && plain, "{}: {error:?}", run.note);
            }
        }
        run.end(fate);
    }
    run.last();
}

impl Run {
    /// Runs the time from the opening of the store to the end of the process.
    fn live(&mut self, store: Store, fate: Fate, early: bool) {
        if let Some(exactly) = self.exactly.take() {
            assert_eq!(store.len(), exactly, "{}: a failed append was not rolled back", self.note);
        }
        self.model.settle(&store, &self.note);
        self.check_conditions(&store);
        if !early {
            fate.plan(&self.machine);
        }
        let failed = self.append(&store, fate);
        if matches!(fate, Fate::Kill) {
            self.machine.kill();
        }
        self.machine.set_room(None);
        drop(store);
        if failed && fate.is_survived() {
            self.exactly = Some(self.model.len());
        }
        if matches!(fate, Fate::Close) {
            self.model.all_durable();
        }
    }

    /// Appends until a planned fault ends it, or a number of times. Returns true if an append or sync failed.
    fn append(&mut self, store: &Store, fate: Fate) -> bool {
        for step in 0..4 + self.random.below(30) {
            if matches!(fate, Fate::Full(_)) && step > 12 {
                self.machine.set_room(None);
            }
            // Asynchronous appends keep their order, and may share a commit.
            let count = if self.random.once_in(3) { 2 + self.random.below(5) } else { 1 };
            let group: Vec<Entry> = (0..count).map(|_| self.batch()).collect();
            let results: Vec<AppendResult> = if let [(events, condition)] = &group[..] {
                vec![store.append_as(as_batch(events.clone(), condition.clone()))]
            } else {
                let submit = |(events, condition): &Entry| {
                    store.append_as_async(as_batch(events.clone(), condition.clone()))
                };
                let futures: Vec<_> = group.iter().map(submit).collect();
                futures.into_iter().map(wait).collect()
            };
            let mut failed = false;
            for ((events, condition), result) in group.into_iter().zip(results) {
                failed |= self.take(events, condition, result);
            }
            if failed {
                self.model.check(store, &self.note);
                let late = store.append(Sample::new("late"));
                assert!(
                    matches!(late, Err(AppendError::Poisoned { .. })),
                    "{}: {late:?}",
                    self.note
                );
                return true;
            }
            if self.random.once_in(10) {
                match store.sync() {
                    Ok(()) => self.model.all_durable(),
                    Err(_) => return true,
                }
            }
        }
        self.model.check(store, &self.note);
        false
    }

    /// Compares a result with the model. Returns true for a failure, after which the schedule appends nothing more.
    fn take(
        &mut self,
        events: Vec<Sample>,
        condition: Option<Condition>,
        result: AppendResult,
    ) -> bool {
        let verdict = self.model.judge(&events, condition.as_ref());
        match result {
            Ok(appended) => {
                assert_eq!(
                    Some(&appended.offsets),
                    verdict.range().as_ref(),
                    "{}: {verdict:?}",
                    self.note
                );
                self.model.take(events, &verdict);
                false
            }
            Err(AppendError::Conflict { offset, .. }) => {
                assert_eq!(verdict, Verdict::Conflict(offset), "{}", self.note);
                false
            }
            Err(AppendError::IdConflict { .. }) => {
                assert_eq!(verdict, Verdict::IdConflict, "{}", self.note);
                false
            }
            Err(AppendError::Failed { .. } | AppendError::Poisoned { .. }) => {
                self.model.maybe(events, condition);
                true
            }
            Err(error) => panic!("{}: {error}", self.note),
        }
    }

    /// Checks known ids and conditions against the model.
    fn check_conditions(&mut self, store: &Store) {
        for _ in 0..3 {
            if let Some(again) = self.model.named(&mut self.random) {
                let result = store.append_as(Batch::new(vec![again.clone()]));
                assert!(!self.take(vec![again], None, result), "{}: an id", self.note);
            }
            let tag = Query::tag(format!("key:{}", self.random.below(9)));
            let back = self.random.below(self.model.len() + 2);
            let condition = Condition::fail_if(tag).after(self.model.len().saturating_sub(back));
            let result = store.append_as(as_batch(Vec::new(), Some(condition.clone())));
            assert!(!self.take(Vec::new(), Some(condition), result), "{}: a condition", self.note);
        }
    }

    /// Ends a life, mostly by a loss of power.
    fn end(&mut self, fate: Fate) {
        let ended = !self.machine.has_power();
        if matches!(fate, Fate::KillAt(_)) || !ended && self.random.once_in(3) {
            // Another process starts. Unsynced changes may still be lost later.
            self.machine.kill();
            return;
        }
        self.machine.restart(loss(&mut self.random));
        if self.durability == Durability::Buffered {
            self.model.power_was_cut();
            self.exactly = None;
        }
    }

    /// Runs the last life, without faults. `verify` must find no problem after it.
    fn last(mut self) {
        self.note.push_str(", and the last");
        let store = open(&self.machine, self.durability)
            .unwrap_or_else(|error| panic!("{}: {error}", self.note));
        self.model.settle(&store, &self.note);
        self.check_conditions(&store);
        let batch = vec![Sample::new("last").tag("last")];
        let verdict = self.model.judge(&batch, None);
        assert_eq!(store.append_batch(batch.clone()).ok(), verdict.range(), "{}", self.note);
        self.model.take(batch, &verdict);
        self.model.check(&store, &self.note);
        drop(store);
        verify_is_clean(&self.machine.path("rocks"), self.model.len(), &self.note);
    }

    /// Returns a batch of one or more events, small or large, with an id, a condition or neither.
    fn batch(&mut self) -> Entry {
        let random = &mut self.random;
        if random.once_in(12)
            && let Some(again) = self.model.named(random)
        {
            return (vec![again], None);
        }
        let number = self.model.next_number();
        let count = if random.once_in(3) { 2 + random.below(9) } else { 1 };
        let named = random.once_in(4);
        let events = (0..count).map(|index| {
            let size = match random.below(20) {
                _ if self.heavy => random.index(60_000),
                0 => 3000 + random.index(4000),
                1..5 => random.index(900),
                _ => random.index(120),
            };
            let mut data = format!("{number} {index} {count} ").into_bytes();
            // Incompressible data, so that memtables become full.
            data.extend((0..size).map(|_| 33 + random.number().to_le_bytes()[0] % 90));
            let event = Sample::new(format!("type-{}", number % 4))
                .tag(format!("batch:{number}"))
                .tag(format!("key:{}", number % 7));
            let event = if named { event.id(format!("id-{number}-{index}")) } else { event };
            event.data(data)
        });
        let events = events.collect();
        let condition = random.once_in(5).then(|| {
            let query = Query::tag(format!("key:{}", random.below(9)));
            Condition::fail_if(query).after(self.model.len().saturating_sub(random.below(12)))
        });
        (events, condition)
    }
}

pub(crate) fn verify_is_clean(path: &Path, events: u64, note: &str) {
    let report = verify(path).unwrap_or_else(|error| panic!("{note}: {error}"));
    assert_eq!((report.events, &report.problems[..]), (events, &[][..]), "{note}");
}

fn as_batch(events: Vec<Sample>, condition: Option<Condition>) -> Batch<Sample> {
    Batch::new(events).conditions(condition)
}

pub(crate) fn wait<T>(future: impl Future<Output = T> + Send) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
        std::thread::park();
    }
}

/// Runs racing threads, with a loss of power at a random call.
fn race(seed: u64) {
    let mut random = Random::new(seed);
    let machine = Machine::new(random.number());
    let mut acknowledged: Vec<(u64, Vec<Sample>)> = Vec::new();
    for life in 0..3 {
        let store = open(&machine, Durability::Sync)
            .unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
        check_race(&store, &acknowledged, seed);
        machine.cut_power_at(1 + random.below(150));
        let lists: Vec<_> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|thread| {
                    let (store, random) = (store.clone(), Random::new(random.number()));
                    scope.spawn(move || write_until_it_fails(&store, life * 10 + thread, random))
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().expect("no panic")).collect()
        });
        acknowledged.extend(lists.into_iter().flatten());
        drop(store);
        machine.restart(loss(&mut random));
    }
    let store = open(&machine, Durability::Sync).unwrap_or_else(|error| panic!("{seed}: {error}"));
    check_race(&store, &acknowledged, seed);
    let head = store.len();
    drop(store);
    verify_is_clean(&machine.path("rocks"), head, &format!("seed {seed}"));
}

fn write_until_it_fails(store: &Store, writer: u64, mut random: Random) -> Vec<(u64, Vec<Sample>)> {
    let mut acknowledged = Vec::new();
    for n in 0..10_000 {
        let (number, count) = (writer * 100_000 + n, 1 + random.below(6));
        let event = |index| {
            let event = Sample::new("raced").tag(format!("batch:{number}"));
            let event = event.data(format!("{number} {index} {count} "));
            if n % 3 == 0 { event.id(format!("id-{number}-{index}")) } else { event }
        };
        let events: Vec<_> = (0..count).map(event).collect();
        let unless = Condition::fail_if(Query::tag(format!("batch:{number}")));
        let appended = match n % 4 {
            0 => store.append_if(events.clone(), &unless),
            1 => wait(store.append_batch_async(events.clone())),
            _ => store.append_batch(events.clone()),
        };
        match appended {
            Ok(range) => acknowledged.push((range.start, events)),
            Err(AppendError::Failed { .. } | AppendError::Poisoned { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    acknowledged
}
