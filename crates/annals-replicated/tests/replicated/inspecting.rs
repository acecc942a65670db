//! The questions of an operator about a record and a replica: their status, and whether they agree.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use annals::RawEvent;
use annals_replicated::sim::{Broken, Faults, Random, SimLog, SimRecord};
use annals_replicated::{
    Cause, CheckError, CommitLog, CreateError, Divergence, Done, Fitness, InspectError, LogError,
    LogLimits, NewEntry, OpenReplicatedError, Page, ReadLimit, Replicated, Slot, VerifyProblem,
    create, status, verify,
};
use bytes::Bytes;

use crate::tools::{event, log, open, two_events};

fn problems(log: &SimLog, path: &Path) -> Vec<VerifyProblem> {
    verify(log, Some(path), |_, _| {}).expect("a report").problems
}

#[test]
fn the_status_of_a_whole_record_has_its_ends_its_origin_and_the_place_of_the_replica() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    assert!(status(&log, Some(&path)).expect("a report").replica.is_none(), "nothing is there yet");
    let before = two_events(&log, &path);
    let report = status(&log, Some(&path)).expect("a report");
    assert_eq!((report.first, report.last), (Slot(1), Slot(3)));
    assert_eq!(report.fitness.warnings, ["it keeps its record in memory"]);
    let origin = report.origin.expect("a genesis");
    assert_eq!(origin.made_by, "a simulation");
    let replica = report.replica.expect("a replica");
    assert_eq!((replica.store_id, replica.head), (origin.store_id, 2));
    assert_eq!(replica.position.expect("a place").slot, Slot(3));
    assert_eq!((replica.recent_commits, replica.recent_voids, replica.lag_slots), (3, 0, 0));
    assert!(replica.divergence.is_none() && !replica.is_of_another_record);

    // Another process appends, and an entry of another program comes between.
    let other = directory.path().join("other");
    drop(open(&log, &other));
    log.change(|record| record.arrive(record.last(), &Bytes::from_static(b"stranger"), true));
    open(&log, &other).append(event(2)).expect("an offset");
    let lag = |path| status(&log, Some(path)).expect("a report").replica.expect("a replica");
    assert_eq!(lag(&path).lag_slots, 2);
    let other = lag(&other);
    assert_eq!((other.lag_slots, other.recent_commits, other.recent_voids), (0, 4, 1));

    // The replica of a running store is read, too.
    let _open = open(&log, &path);
    assert_eq!(lag(&path).lag_slots, 0);
    drop(before);
}

#[test]
fn a_whole_record_is_verified_with_the_events_of_the_replica_and_its_void_entries() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    two_events(&log, &path);
    let stranger = Bytes::from_static(b"stranger");
    log.change(|record| record.arrive(record.last(), &stranger, true));
    open(&log, &directory.path().join("other")).append_batch((2..9).map(event)).expect("offsets");
    log.change(|record| record.arrive(record.last(), &stranger, true));
    let mut seen = Vec::new();
    let report = verify(&log, Some(&path), |done, all| seen.push((done, all))).expect("a report");
    assert_eq!(report.problems, []);
    assert_eq!((report.commits, report.events, report.compared), (4, 9, Some(2)));
    assert_eq!((report.voids, report.voids_at_end, report.last), (2, 1, Slot(6)));
    assert_eq!(seen, (1..=6).map(|done| (done, 6)).collect::<Vec<_>>());
    let alone = verify(&log, None, |_, _| {}).expect("a report");
    assert_eq!((alone.events, alone.compared), (9, None));
}

#[test]
fn a_commit_in_parts_has_no_void_entries() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log().with_limits(LogLimits { entry_bytes: 2_048, under_way: 4 });
    let path = directory.path().join("replica");
    open(&log, &path).append_batch((0..100).map(event)).expect("offsets");
    let report = verify(&log, Some(&path), |_, _| {}).expect("a report");
    assert_eq!((report.commits, report.events, report.voids), (2, 100, 0));
    assert!(report.last > Slot(2), "{report:?}");
    let replica = status(&log, Some(&path)).expect("a report").replica.expect("a replica");
    assert_eq!((replica.recent_voids, replica.divergence), (0, None));
}

#[test]
fn a_record_that_lost_its_end_has_fewer_events_than_the_replica() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    let before = two_events(&log, &path);
    log.change(|record| *record = before);
    assert_eq!(problems(&log, &path), [VerifyProblem::Shorter { head: 1, replica: 2 }]);
    let replica = status(&log, Some(&path)).expect("a report").replica.expect("a replica");
    assert_eq!(replica.divergence, Some(Divergence::Lost { slot: Slot(3) }));
}

#[test]
fn other_commits_after_an_older_copy_was_put_back_are_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    let before = two_events(&log, &path);
    let log = SimLog::with_record(before.clone(), Faults::none(), 1);
    open(&log, &directory.path().join("other")).append(event(50)).expect("an offset");
    let commit = VerifyProblem::Commit { number: 2, slot: Slot(3) };
    let other = VerifyProblem::Event { offset: 1, slot: Slot(3) };
    assert_eq!(problems(&log, &path), [commit.clone(), other.clone()]);
    let replica = status(&log, Some(&path)).expect("a report").replica.expect("a replica");
    assert_eq!(replica.divergence, Some(Divergence::Changed { slot: Slot(3) }));

    // Without the file of positions, the events tell.
    std::fs::remove_file(path.join("record.tail")).expect("the file");
    assert_eq!(problems(&log, &path), [other]);
    let replica = status(&log, Some(&path)).expect("a report").replica.expect("a replica");
    assert!(replica.position.is_none() && replica.divergence.is_none());
}

#[test]
fn every_broken_promise_of_an_engine_is_found() {
    use Broken::{ChangedEntry, LostEntry, LostTail, ReplacedTail, SwappedEntries};
    let directory = tempfile::tempdir().expect("a directory");
    let promises = [LostTail, ReplacedTail, ChangedEntry, SwappedEntries, LostEntry];
    for (number, broken) in promises.into_iter().enumerate() {
        let (log, path) = (log(), directory.path().join(number.to_string()));
        let store = open(&log, &path);
        for n in 0..12 {
            store.append(event(n)).expect("an offset");
        }
        drop(store);
        assert_eq!(problems(&log, &path), [], "{broken:?}");
        let at = log.change(|record| record.break_promise(broken, &mut Random::new(3)));
        let found = problems(&log, &path);
        assert!(!found.is_empty(), "{broken:?} at slot {at}");
        let alone = verify(&log, None, |_, _| {}).expect("a report");
        assert!(alone.events < 12, "{broken:?}: {alone:?}");
    }
}

#[test]
fn a_replica_of_another_record_is_not_compared() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    two_events(&log, &path);
    let other = SimLog::new(Faults::none(), 8);
    let found = problems(&other, &path);
    assert!(matches!(found[..], [VerifyProblem::OtherRecord { .. }]), "{found:?}");
    let replica = status(&other, Some(&path)).expect("a report").replica.expect("a replica");
    assert!(replica.is_of_another_record && replica.divergence.is_none());
}

#[test]
fn an_empty_engine_has_no_record_and_a_trimmed_one_no_beginning() {
    let empty = SimLog::with_record(SimRecord::default(), Faults::none(), 1);
    let report = status(&empty, None).expect("a report");
    assert_eq!((report.origin, report.first, report.last), (None, Slot(1), Slot(0)));
    assert!(matches!(verify(&empty, None, |_, _| {}), Err(InspectError::NoRecord)));

    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    two_events(&log, &path);
    log.change(|record| record.trim(Slot(3)));
    let report = status(&log, Some(&path)).expect("a report");
    assert_eq!((report.origin, report.first), (None, Slot(3)));
    assert_eq!(report.replica.expect("a replica").divergence, None, "its commit is still there");
    let refused = verify(&log, None, |_, _| {});
    assert!(matches!(refused, Err(InspectError::Trimmed { first: Slot(3) })), "{refused:?}");
}

/// An engine that refuses the caller, and counts how often it was asked.
#[derive(Clone, Default)]
struct Refusing(Arc<AtomicUsize>);

impl CommitLog for Refusing {
    fn append(&self, _: Slot, _: NewEntry, _: Done) {
        panic!("nothing is sent to an engine that refuses the caller");
    }

    fn read(&self, _: Slot, _: ReadLimit) -> Result<Page, LogError> {
        panic!("an engine that refuses the caller is not read");
    }

    fn ends(&self) -> Result<(Slot, Slot), LogError> {
        panic!("an engine that refuses the caller is not read");
    }

    fn wait(&self, _: Slot, _: Instant) {}

    fn check(&self) -> Result<Fitness, CheckError> {
        // Relaxed: one thread asks.
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(CheckError::Unavailable(Cause::lasting("the password is wrong")))
    }

    fn limits(&self) -> LogLimits {
        LogLimits { entry_bytes: 1, under_way: 1 }
    }
}

#[test]
fn an_engine_that_refuses_the_caller_is_not_asked_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (Refusing::default(), directory.path().join("replica"));
    let shared: Arc<dyn CommitLog> = Arc::new(log.clone());
    assert!(matches!(status(&shared, None), Err(InspectError::Unavailable(_))));
    assert!(matches!(verify(&shared, None, |_, _| {}), Err(InspectError::Unavailable(_))));
    assert!(matches!(create(&shared), Err(CreateError::Unavailable(_))));
    let opened = Replicated::<RawEvent>::open(shared, &path);
    assert!(matches!(opened, Err(OpenReplicatedError::Unavailable(_))), "{opened:?}");
    assert!(!path.exists());
    // Relaxed: as above.
    assert_eq!(log.0.load(Ordering::Relaxed), 4, "each call asked once");
}
