//! A schedule: actions on a log and its disk, and their expected results.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};

use annals::{AppendError, Appended, Batch, Condition, Durability, EventStore, Journal, Query};
use annals_conformance::fault::{Call, FaultFileSystem, Loss, on_disk};
use annals_conformance::{JournalSubject, Random, Sample};

use crate::model::{Model, Verdict};

pub(super) type Store = EventStore<Sample, Journal<Sample>>;
type AppendResult = Result<Appended, AppendError>;

/// The fault of the disk in one life of the store.
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
    /// The nth call fails; then the process ends.
    Failure(u64, ErrorKind),
    /// The nth sync fails, of files or of the directory; then the process ends.
    FailedSync(Call, u64),
    /// The disk has only so many bytes left, and is freed later.
    Full(u64),
}

impl Fate {
    fn random(random: &mut Random) -> Self {
        let call = 1 + random.below(90);
        match random.below(15) {
            0 => Self::Close,
            1 => Self::Kill,
            2 => Self::Failure(call, ErrorKind::Other),
            3 => Self::Failure(call, ErrorKind::StorageFull),
            4 => Self::FailedSync(Call::Sync, 1 + random.below(25)),
            5 => Self::FailedSync(Call::SyncDirectory, 1 + random.below(6)),
            6 => Self::Full(random.below(16 << 10)),
            7..10 => Self::KillAt(call),
            _ => Self::PowerCut(call),
        }
    }

    fn plan(self, disk: &FaultFileSystem) {
        match self {
            Self::Close | Self::Kill => {}
            // Both look like a loss of power to the process. `end` decides what follows.
            Self::KillAt(call) | Self::PowerCut(call) => disk.cut_power_at(call),
            Self::Failure(call, error) => disk.fail_any(call, error),
            Self::FailedSync(call, nth) => disk.fail(call, nth, ErrorKind::Other),
            Self::Full(bytes) => disk.set_room(Some(bytes)),
        }
    }
}

fn loss(random: &mut Random) -> Loss {
    match random.below(6) {
        0 => Loss::Everything,
        1 => Loss::Nothing,
        2 | 3 => Loss::Pages(random.number()),
        _ => Loss::Sectors(random.number()),
    }
}

/// Runs one schedule: a few lives of one store.
pub(super) fn run(seed: u64, durability: Durability) {
    let mut random = Random::new(seed);
    let disk = FaultFileSystem::new(random.number());
    let subject = JournalSubject::new(durability);
    let mut model = Model::default();
    let lives = 2 + random.below(3);
    for life in 0..lives {
        let fate = Fate::random(&mut random);
        let note = format!("life {life} of {lives}, {fate:?}");
        fate.plan(&disk);
        let opened = subject.options(&disk).open(on_disk("store"));
        let store: Option<Store> = match opened {
            Ok(journal) => Some(EventStore::on(journal)),
            Err(error) => {
                // Only a planned fault may keep the store from opening. A crash never leaves damage.
                assert!(!matches!(fate, Fate::Close | Fate::Kill), "{note}: {error}");
                assert!(matches!(error, annals::OpenError::Io { .. }), "{note}: {error}");
                let is_new = model.len() == 0;
                assert!(
                    is_new || !matches!(fate, Fate::Full(_)),
                    "{note}: the store does not open on a full disk: {error}"
                );
                None
            }
        };
        if let Some(store) = store {
            model.settle(&store, &note);
            live(&store, &disk, fate, &mut model, &mut random, &note);
            if matches!(fate, Fate::Kill) {
                disk.kill();
            }
            drop(store);
            if matches!(fate, Fate::Close) {
                model.all_durable();
            }
        }
        end(&disk, fate, durability, &mut model, &mut random);
    }
    last(&disk, &subject, model);
}

/// Ends a life, mostly by a loss of power.
fn end(
    disk: &FaultFileSystem,
    fate: Fate,
    durability: Durability,
    model: &mut Model,
    random: &mut Random,
) {
    disk.set_room(None);
    if matches!(fate, Fate::KillAt(_)) || disk.has_power() && random.once_in(3) {
        // Another process starts. Unsynced changes may still be lost later.
        disk.kill();
        return;
    }
    disk.restart(loss(random));
    if durability == Durability::Buffered {
        model.power_was_cut();
    }
}

/// Runs the last life, without faults. `verify` must find no problem after it.
fn last(disk: &FaultFileSystem, subject: &JournalSubject, mut model: Model) {
    let store: Store =
        EventStore::on(subject.options(disk).open(on_disk("store")).expect("it opens"));
    model.settle(&store, "the last life");
    let batch = vec![Sample::new("last").tag("last")];
    let verdict = model.judge(&batch, None);
    assert_eq!(store.append_batch(batch.clone()).ok(), verdict.range(), "the last append");
    model.take(batch, &verdict);
    model.check(&store, "at last");
    drop(store);
    let copy = tempfile::tempdir().expect("a directory");
    disk.copy_out(on_disk("store"), copy.path()).expect("copied");
    verify_is_clean(copy.path(), model.len());
}

fn verify_is_clean(path: &Path, events: u64) {
    let report = annals::verify(path).expect("verified");
    assert_eq!(
        (report.events, &report.problems[..], &report.notes[..]),
        (events, &[][..], &[][..])
    );
}

/// Appends until a planned fault ends it, or a number of times.
fn live(
    store: &Store,
    disk: &FaultFileSystem,
    fate: Fate,
    model: &mut Model,
    random: &mut Random,
    note: &str,
) {
    for step in 0..4 + random.below(30) {
        if matches!(fate, Fate::Full(_)) && step > 12 {
            disk.set_room(None);
        }
        let group: Vec<_> = (0..if random.once_in(3) { random.below(5) } else { 0 })
            .map(|_| batch(model, random))
            .collect();
        let (events, condition) = batch(model, random);
        let results = append_together(store, (events.clone(), condition.clone()), &group);
        let mut failed = false;
        for ((events, condition), result) in
            std::iter::once((events, condition)).chain(group).zip(results)
        {
            failed |= take(model, events, condition.as_ref(), result, note);
        }
        if failed {
            model.check(store, note);
            assert!(
                matches!(store.append(Sample::new("late")), Err(AppendError::Poisoned { .. })),
                "{note}: not poisoned"
            );
            return;
        }
        if random.once_in(10) {
            match store.sync() {
                Ok(()) => model.all_durable(),
                Err(_) => return,
            }
        }
    }
    model.check(store, note);
}

/// Compares a result with the model. Returns true for a failure, after which the schedule appends nothing more.
fn take(
    model: &mut Model,
    events: Vec<Sample>,
    condition: Option<&Condition>,
    result: Option<AppendResult>,
    note: &str,
) -> bool {
    let verdict = model.judge(&events, condition);
    match result {
        Some(Ok(appended)) => {
            assert_eq!(Some(&appended.offsets), verdict.range().as_ref(), "{note}: {verdict:?}");
            model.take(events, &verdict);
            false
        }
        Some(Err(AppendError::Conflict { offset, .. })) => {
            assert_eq!(verdict, Verdict::Conflict(offset), "{note}");
            false
        }
        Some(Err(AppendError::IdConflict { .. })) => {
            assert_eq!(verdict, Verdict::IdConflict, "{note}");
            false
        }
        Some(Err(AppendError::NoRoom { .. })) => false,
        Some(Err(AppendError::Failed { .. } | AppendError::Poisoned { .. })) => {
            model.maybe(events, condition.cloned());
            true
        }
        // It was never submitted, since the append before it failed.
        None => true,
        Some(Err(error)) => panic!("{note}: {error}"),
    }
}

/// Appends `first`, and then `group` in one commit, which is submitted in the callback of `first`.
fn append_together(
    store: &Store,
    first: (Vec<Sample>, Option<Condition>),
    group: &[(Vec<Sample>, Option<Condition>)],
) -> Vec<Option<AppendResult>> {
    let as_batch = |(events, condition): (Vec<Sample>, Option<Condition>)| {
        Batch::new(events).conditions(condition)
    };
    if group.is_empty() {
        return vec![Some(store.append_as(as_batch(first)))];
    }
    // Taken once: a callback may still be called while it is being removed.
    let mut group_left = Some(group.to_vec());
    let futures = Arc::new(Mutex::new(Vec::new()));
    let submitted = Arc::clone(&futures);
    let inner = store.clone();
    let subscriber = store.subscribe(move |_| {
        for batch in group_left.take().into_iter().flatten() {
            let future = inner.append_as_async(as_batch(batch));
            submitted.lock().expect("not poisoned").push(future);
        }
    });
    let mut results = vec![Some(store.append_as(as_batch(first)))];
    assert!(store.unsubscribe(subscriber));
    // There is no callback if `first` was refused or was recorded before.
    let futures = std::mem::take(&mut *futures.lock().expect("not poisoned"));
    results.extend(futures.into_iter().map(|future| Some(wait(future))));
    results.resize_with(1 + group.len(), || None);
    if results[1..].iter().all(Option::is_none)
        && !matches!(
            results[0],
            Some(Err(AppendError::Failed { .. } | AppendError::Poisoned { .. }))
        )
    {
        let rest = group.iter().cloned().map(|batch| Some(store.append_as(as_batch(batch))));
        results.truncate(1);
        results.extend(rest);
    }
    results
}

fn wait<T>(future: impl Future<Output = T> + Send) -> T {
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
        std::thread::park();
    }
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Returns a batch of one or more events, small or large, with an id, a condition or neither.
fn batch(model: &mut Model, random: &mut Random) -> (Vec<Sample>, Option<Condition>) {
    if random.once_in(12)
        && let Some(again) = model.named(random)
    {
        return (vec![again], None);
    }
    let number = model.next_number();
    let count = if random.once_in(3) { 2 + random.below(9) } else { 1 };
    let named = random.once_in(4);
    let events = (0..count).map(|index| {
        let size = match random.below(20) {
            0 => 3000 + random.index(4000),
            1..5 => random.index(900),
            _ => random.index(120),
        };
        let mut data = format!("{number} {index} {count} ").into_bytes();
        data.resize(data.len() + size, b'.');
        let event = Sample::new(format!("type-{}", number % 4))
            .tag(format!("batch:{number}"))
            .tag(format!("key:{}", number % 7));
        let event =
            if random.once_in(2) { event.metadata("step", number.to_string()) } else { event };
        let event = if named { event.id(format!("id-{number}-{index}")) } else { event };
        event.data(data)
    });
    let events = events.collect();
    let condition = random.once_in(5).then(|| {
        let query = Query::tag(format!("key:{}", random.below(9)));
        Condition::fail_if(query).after(model.len().saturating_sub(random.below(12)))
    });
    (events, condition)
}

/// Runs racing threads, with a loss of power at a random call. With odd seeds, the events are larger, and a thread
/// beside the log makes room for them.
pub(super) fn race(seed: u64) {
    let mut random = Random::new(seed);
    let disk = FaultFileSystem::new(random.number());
    let mut subject = JournalSubject::new(Durability::Sync);
    let is_filled_beside = seed % 2 == 1;
    if is_filled_beside {
        disk.fill_beside();
        subject.segment_bytes = 600 << 10;
    }
    let padding = if is_filled_beside { 2_000 } else { 0 };
    let mut acknowledged: Vec<(u64, Vec<Sample>)> = Vec::new();
    for life in 0..3 {
        let store: Store =
            EventStore::on(subject.options(&disk).open(on_disk("store")).expect("it opens"));
        crate::model::check_race(&store, &acknowledged, seed);
        disk.cut_power_at(20 + random.below(150));
        let lists: Vec<_> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|thread| {
                    let (store, random) = (store.clone(), Random::new(random.number()));
                    scope.spawn(move || {
                        write_until_it_fails(&store, life * 10 + thread, padding, random)
                    })
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().expect("no panic")).collect()
        });
        acknowledged.extend(lists.into_iter().flatten());
        drop(store);
        disk.restart(loss(&mut random));
    }
    let store: Store =
        EventStore::on(subject.options(&disk).open(on_disk("store")).expect("it opens"));
    crate::model::check_race(&store, &acknowledged, seed);
}

fn write_until_it_fails(
    store: &Store,
    writer: u64,
    padding: usize,
    mut random: Random,
) -> Vec<(u64, Vec<Sample>)> {
    let mut acknowledged = Vec::new();
    for n in 0..10_000 {
        let count = 1 + random.below(6);
        let number = writer * 100_000 + n;
        let events: Vec<_> = (0..count)
            .map(|index| {
                let event = Sample::new("raced")
                    .tag(format!("batch:{number}"))
                    .data(format!("{number} {index} {count} {:padding$}", ""));
                if n % 3 == 0 { event.id(format!("id-{number}-{index}")) } else { event }
            })
            .collect();
        let appended = match n % 4 {
            0 => store.append_if(
                events.clone(),
                &Condition::fail_if(Query::tag(format!("batch:{number}"))),
            ),
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
