//! Opening a store, and making a record, at an engine that is away, unfit, or of a newer version.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annals::{AppendError, EventStore, RawEvent};
use annals_replicated::sim::{Faults, SimLog, SimRecord};
use annals_replicated::{
    Cause, CheckError, CommitLog, CreateError, Done, Fitness, LogError, LogLimits, NewEntry,
    OpenReplicatedError, Page, ReadLimit, Slot, Unfit, create,
};
use bytes::Bytes;
use uuid::Uuid;

use crate::tools::{Store, event, log, numbers, open, options};

/// How an engine answers its check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    /// It does not answer the first `n` times.
    AwayFor(u64),
    Away,
    Unfit,
}

#[derive(Clone)]
struct Engine {
    log: SimLog,
    check: Check,
    /// The number of checks so far, and of reads.
    checks: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
}

impl Engine {
    fn new(log: SimLog, check: Check) -> Self {
        Self { log, check, checks: Arc::default(), reads: Arc::default() }
    }

    fn checks(&self) -> u64 {
        self.checks.load(Ordering::SeqCst)
    }
}

impl CommitLog for Engine {
    fn append(&self, after: Slot, entry: NewEntry, done: Done) {
        self.log.append(after, entry, done);
    }

    fn read(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.log.read(after, limit)
    }

    fn ends(&self) -> Result<(Slot, Slot), LogError> {
        self.log.ends()
    }

    fn wait(&self, after: Slot, until: Instant) {
        self.log.wait(after, until);
    }

    fn check(&self) -> Result<Fitness, CheckError> {
        let before = self.checks.fetch_add(1, Ordering::SeqCst);
        match self.check {
            Check::AwayFor(count) if before >= count => self.log.check(),
            Check::AwayFor(_) | Check::Away => {
                Err(CheckError::Unavailable(Cause::new("a failover is under way")))
            }
            Check::Unfit => Err(Unfit { reasons: vec!["it syncs nothing".into()] }.into()),
        }
    }

    fn limits(&self) -> LogLimits {
        self.log.limits()
    }
}

#[test]
fn an_engine_that_is_away_is_asked_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let empty = SimLog::with_record(SimRecord::default(), Faults::none(), 3);
    create(&Engine::new(empty.clone(), Check::AwayFor(3))).expect("a record");
    let engine = Engine::new(empty, Check::AwayFor(3));
    let opened = options().open(engine.clone(), directory.path());
    let store: Store = EventStore::on(opened.expect("a store"));
    assert_eq!(engine.checks(), 4);
    store.append(event(0)).expect("an offset");
    assert_eq!(numbers(&store), [0]);
}

#[test]
fn an_engine_that_stays_away_is_unavailable_and_not_unfit() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("replica");
    let options = options().open_timeout(Duration::from_millis(50));
    let opened = options.open::<RawEvent>(Engine::new(log(), Check::Away), &path);
    let Err(OpenReplicatedError::Unavailable(cause)) = &opened else { panic!("{opened:?}") };
    assert_eq!(cause.to_string(), "a failover is under way");
    assert!(!path.exists(), "nothing was created");
}

#[test]
fn an_unfit_engine_is_refused_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Engine::new(log(), Check::Unfit);
    let opened = options().open::<RawEvent>(engine.clone(), directory.path());
    assert!(matches!(opened, Err(OpenReplicatedError::Unfit(_))), "{opened:?}");
    let created = create(&engine);
    assert!(matches!(created, Err(CreateError::Unfit(_))), "{created:?}");
    assert_eq!(engine.checks(), 2);
}

/// Returns a record whose genesis has format 2.
fn newer_record() -> SimRecord {
    let mut genesis = SimRecord::new(Uuid::from_u128(9)).entries()[0].to_vec();
    genesis[4] = 2;
    let rest = [&genesis[..8], &genesis[12..]].concat();
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &rest);
    genesis[8..12].copy_from_slice(&checksum.to_le_bytes()[..4]);
    let mut record = SimRecord::default();
    record.arrive(Slot(0), &Bytes::from(genesis), false);
    record
}

#[test]
fn a_record_of_a_newer_version_is_refused_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = SimLog::with_record(newer_record(), Faults::none(), 3);
    let engine = Engine::new(log, Check::AwayFor(0));
    let opened = options().open::<RawEvent>(engine.clone(), directory.path());
    assert!(
        matches!(opened, Err(OpenReplicatedError::Newer(any)) if any.format == 2),
        "{opened:?}"
    );
    let created = create(&engine);
    let Err(error @ CreateError::Newer(_)) = created else { panic!("{created:?}") };
    assert!(error.to_string().contains("format 2"), "{error}");
    assert_eq!(engine.reads.load(Ordering::SeqCst), 2);
}

/// Nothing new is in the record, neither when the process begins nor after the clock was corrected.
#[test]
fn a_clock_that_is_ahead_is_found_at_the_opening_and_forgotten_once_it_is_right() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    drop(open(&log, directory.path()));
    log.set_clock(Some(60_000));
    let store = open(&log, directory.path());
    let refused = store.append(event(0));
    assert!(matches!(refused, Err(AppendError::ClockAhead { .. })), "{refused:?}");
    log.set_clock(Some(0));
    // The process reads the clock again after a refusal.
    let mut appended = store.append(event(0));
    while let Err(AppendError::ClockAhead { .. }) = appended {
        std::thread::yield_now();
        appended = store.append(event(0));
    }
    assert!(appended.is_ok(), "{appended:?}");
}

/// Each read shows another entry, so that none shows the end.
#[test]
fn a_store_opens_while_others_append_faster_than_it_reads() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    open(&log, directory.path()).append(event(0)).expect("an offset");
    log.set_faults(Faults { strangers: 100, ..Faults::none() });
    let new = directory.path().join("new");
    let options = options().open_timeout(Duration::from_secs(5));
    let opened = options.open(log.clone(), new);
    log.set_faults(Faults::none());
    let store: Store = EventStore::on(opened.expect("a store"));
    assert_eq!(numbers(&store), [0]);
}
