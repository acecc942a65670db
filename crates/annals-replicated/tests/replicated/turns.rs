//! Stores that take turns: hints reach the engine and come from it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use annals::EventStore;
use annals_replicated::sim::SimLog;
use annals_replicated::{
    CheckError, CommitLog, Done, Fitness, LogError, LogLimits, NewEntry, Page, ReadLimit, Slot,
};

use crate::tools::{Store, event, log, numbers, open, options};

/// What happens before an append reaches the record.
type Before = Box<dyn FnOnce() + Send>;

/// An engine that notes appends and hints.
#[derive(Clone)]
struct Noting {
    log: SimLog,
    before: Arc<Mutex<Option<Before>>>,
    /// When each append was called, and when it was passed on.
    appends: Arc<Mutex<Vec<[Instant; 2]>>>,
    hints: Arc<AtomicU64>,
}

impl Noting {
    fn new(log: &SimLog) -> Self {
        let (before, appends, hints) = (Arc::default(), Arc::default(), Arc::default());
        Self { log: log.clone(), before, appends, hints }
    }

    /// Sets what happens before the next append reaches the record.
    fn before_next(&self, before: impl FnOnce() + Send + 'static) {
        *self.before.lock().expect("no panic") = Some(Box::new(before));
    }
}

impl CommitLog for Noting {
    fn append(&self, after: Slot, entry: NewEntry, done: Done) {
        let called = Instant::now();
        let before = self.before.lock().expect("no panic").take();
        if let Some(before) = before {
            before();
        }
        self.appends.lock().expect("no panic").push([called, Instant::now()]);
        self.log.append(after, entry, done);
    }

    fn read(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        self.log.read(after, limit)
    }

    fn ends(&self) -> Result<(Slot, Slot), LogError> {
        self.log.ends()
    }

    fn wait(&self, after: Slot, until: Instant) {
        self.log.wait(after, until);
    }

    fn check(&self) -> Result<Fitness, CheckError> {
        self.log.check()
    }

    fn limits(&self) -> LogLimits {
        self.log.limits()
    }

    fn hint(&self) {
        self.hints.fetch_add(1, Ordering::SeqCst);
        self.log.hint();
    }

    fn on_hint(&self, see: Box<dyn Fn() + Send + Sync>) {
        self.log.on_hint(see);
    }
}

#[test]
fn a_store_that_loses_a_race_sends_a_hint() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let other = open(&log, &directory.path().join("other"));
    let engine = Noting::new(&log);
    let opened = options().open(engine.clone(), directory.path().join("replica"));
    let store: Store = EventStore::on(opened.expect("a store"));
    store.append(event(0)).expect("an offset");
    assert_eq!(engine.hints.load(Ordering::SeqCst), 0);
    engine.before_next(move || {
        other.append(event(1)).expect("an offset");
    });
    assert_eq!(store.append(event(2)).expect("an offset"), 2);
    assert_eq!(engine.hints.load(Ordering::SeqCst), 1);
    assert_eq!(store.backend().record().counts.lost_races, 1);
    assert_eq!(numbers(&store), [0, 1, 2]);
}

/// A store that does not give way sends the next append at once.
#[test]
fn a_store_that_hears_a_hint_gives_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let engine = Noting::new(&log);
    let store: Store =
        EventStore::on(options().open(engine.clone(), directory.path()).expect("a store"));
    for round in 0..5 {
        let other = log.clone();
        engine.before_next(move || other.hint());
        store.append(event(2 * round)).expect("an offset");
        store.append(event(2 * round + 1)).expect("an offset");
        let appends = engine.appends.lock().expect("no panic");
        let [.., [_, passed_on], [called, _]] = appends[..] else { panic!("two appends") };
        // The shortest pause is 20 ms, and times are whole milliseconds.
        assert!(called - passed_on >= Duration::from_millis(18), "{:?}", called - passed_on);
    }
    assert_eq!(numbers(&store), (0..10).collect::<Vec<_>>());
}
