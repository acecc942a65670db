//! Engines whose calls panic, or return what was not asked for.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annals::{AppendError, EventStore, Health};
use annals_replicated::sim::{Faults, SimLog};
use annals_replicated::{
    CheckError, CommitLog, Done, Fitness, LogError, LogLimits, NewEntry, Page, ReadLimit, Slot,
};

use crate::tools::{HANGS, Store, event, impatient, log, numbers, open, options};

/// An engine with faults. Each number is that of the next calls that have the fault.
#[derive(Clone)]
struct Odd {
    log: SimLog,
    appends_that_panic: Arc<AtomicU64>,
    reads_that_panic: Arc<AtomicU64>,
    reads_of_other_slots: Arc<AtomicU64>,
    appends_without_answer: Arc<AtomicU64>,
    /// While it is set, the engine returns the ends of an empty record.
    hides_its_end: Arc<AtomicBool>,
}

impl Odd {
    fn new() -> Self {
        let count = || Arc::new(AtomicU64::new(0));
        Self {
            log: log(),
            appends_that_panic: count(),
            reads_that_panic: count(),
            reads_of_other_slots: count(),
            appends_without_answer: count(),
            hides_its_end: Arc::default(),
        }
    }
}

/// Counts a call. Returns whether it has the fault.
fn is_next(count: &AtomicU64) -> bool {
    let taken = count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    taken.is_ok()
}

fn panic_if_next(count: &AtomicU64) {
    if is_next(count) {
        resume_unwind(Box::new("an engine that panics"));
    }
}

impl CommitLog for Odd {
    fn append(&self, after: Slot, entry: NewEntry, done: Done) {
        panic_if_next(&self.appends_that_panic);
        if is_next(&self.appends_without_answer) {
            return;
        }
        self.log.append(after, entry, done);
    }

    fn read(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        panic_if_next(&self.reads_that_panic);
        let mut page = self.log.read(after, limit)?;
        if !page.entries.is_empty() && is_next(&self.reads_of_other_slots) {
            page.entries.iter_mut().for_each(|(slot, _)| *slot = slot.next());
        }
        Ok(page)
    }

    fn ends(&self) -> Result<(Slot, Slot), LogError> {
        if self.hides_its_end.load(Ordering::SeqCst) {
            return Ok((Slot(1), Slot(0)));
        }
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
}

#[test]
fn a_call_that_panics_is_a_call_without_an_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Odd::new();
    let other = open(&engine.log, &directory.path().join("other"));
    let opened = options().open(engine.clone(), directory.path().join("replica"));
    let store: Store = EventStore::on(opened.expect("a store"));
    engine.appends_that_panic.store(2, Ordering::SeqCst);
    store.append(event(0)).expect("an offset");
    // Both threads that read meet some.
    engine.reads_that_panic.store(6, Ordering::SeqCst);
    other.append(event(1)).expect("an offset");
    assert_eq!(store.backend().barrier().expect("a barrier"), 2);
    assert_eq!(numbers(&store), [0, 1]);
}

#[test]
fn a_page_of_other_slots_is_not_taken() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Odd::new();
    let other = open(&engine.log, &directory.path().join("other"));
    engine.reads_of_other_slots.store(2, Ordering::SeqCst);
    let opened = options().open(engine.clone(), directory.path().join("replica"));
    let store: Store = EventStore::on(opened.expect("a store"));
    engine.reads_of_other_slots.store(4, Ordering::SeqCst);
    other.append(event(0)).expect("an offset");
    store.append(event(1)).expect("an offset");
    assert_eq!(numbers(&store), [0, 1]);
}

#[test]
fn an_error_does_not_name_a_failure_that_is_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Odd::new();
    let store: Store =
        EventStore::on(impatient().open(engine.clone(), directory.path()).expect("a store"));
    engine.log.set_faults(Faults { not_sent: 100, ..Faults::none() });
    let refused = store.append(event(0));
    assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
    engine.log.set_faults(Faults::none());
    // A busy machine may need longer than the time limit.
    while store.append(event(1)).is_err() {}
    engine.appends_without_answer.store(u64::MAX, Ordering::SeqCst);
    let doubt = loop {
        match store.append(event(2)) {
            Err(AppendError::Unavailable { .. }) => {}
            answered => break answered,
        }
    };
    let Err(AppendError::InDoubt { cause }) = &doubt else { panic!("{doubt:?}") };
    assert_eq!(&**cause, "the time limit passed");
}

/// An engine may name an end that is out of date. The store reads its last commit again, and goes on.
#[test]
fn an_end_that_is_out_of_date_is_no_divergence() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Odd::new();
    let store: Store =
        EventStore::on(options().open(engine.clone(), directory.path()).expect("a store"));
    store.append(event(0)).expect("an offset");
    let checks = || store.backend().record().counts.anchors_found;
    let (before, began) = (checks(), Instant::now());
    engine.hides_its_end.store(true, Ordering::SeqCst);
    while checks() == before {
        assert!(began.elapsed() < HANGS, "the store does not look");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(matches!(store.health(), Health::Open), "{:?}", store.health());
    store.append(event(1)).expect("an offset");
    assert_eq!(numbers(&store), [0, 1]);
}
