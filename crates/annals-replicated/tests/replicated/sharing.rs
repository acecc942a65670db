//! Two stores on one record.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use annals::{AppendError, Backend as _, Condition, Query};
use annals_replicated::sim::{Faults, SimLog, SimRecord};
use annals_replicated::{CreateError, OpenReplicatedError, Replicated, create};

use crate::tools::{event, event_with_id, log, numbers, open, options};

#[test]
fn two_stores_have_one_log_and_conditions_hold_across_them() {
    let directory = tempfile::tempdir().expect("a directory");
    for faults in [
        Faults::none(),
        Faults {
            lost_answers: 10,
            wrong_refusals: 10,
            doubled: 10,
            stale_reads: 20,
            ..Faults::none()
        },
    ] {
        let log = SimLog::new(faults, 11);
        let name = format!("{}", faults.doubled);
        let stores =
            ["a", "b"].map(|store| open(&log, &directory.path().join(format!("{name}{store}"))));
        let start = Barrier::new(2);
        let won: u64 = thread::scope(|scope| {
            let writers = stores.each_ref().map(|store| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let mut won = 0;
                    // Both want each digit once.
                    for n in 0..10 {
                        let once = Condition::fail_if(Query::tag(format!("digit:{n}")));
                        match store.append_if([event(n)], &once) {
                            Ok(_) => won += 1,
                            Err(AppendError::Conflict { .. }) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                    won
                })
            });
            writers.map(|writer| writer.join().expect("no panic")).iter().sum()
        });
        assert_eq!(won, 10);
        let heads = stores.each_ref().map(|store| store.backend().barrier().expect("a barrier"));
        assert_eq!(heads, [10, 10]);
        let [mut a, b] = stores.each_ref().map(numbers);
        assert_eq!(a, b);
        a.sort_unstable();
        assert_eq!(a, (0..10).collect::<Vec<_>>());
    }
}

#[test]
fn an_id_is_recorded_once_from_any_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let (a, b) = (open(&log, &directory.path().join("a")), open(&log, &directory.path().join("b")));
    let first = a.append(event_with_id(7)).expect("an offset");
    assert_eq!(b.append(event_with_id(7)).expect("an offset"), first);
    assert_eq!((a.backend().barrier().expect("a head"), b.len()), (1, 1));
}

#[test]
fn events_of_the_other_store_reach_callbacks_and_cursors() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let (a, b) = (open(&log, &directory.path().join("a")), open(&log, &directory.path().join("b")));
    let seen = Arc::new(AtomicU64::new(0));
    let note = Arc::clone(&seen);
    b.subscribe(move |event| note.store(event.offset + 1, Ordering::SeqCst));
    let cursor = b.subscription(Query::all(), 0);
    a.append_batch((0..5).map(event)).expect("offsets");
    let offsets: Vec<u64> = cursor.take(5).map(|event| event.expect("an event").offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4]);
    b.backend().barrier().expect("a head");
    assert_eq!(seen.load(Ordering::SeqCst), 5);
    assert_eq!(a.backend().store_id(), b.backend().store_id());
    assert_eq!(a.backend().digest(3).expect("a digest"), b.backend().digest(3).expect("a digest"));
}

/// A large commit is stored in many entries, and the other store puts them together.
#[test]
fn a_commit_of_many_entries_arrives_as_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let limits = annals_replicated::LogLimits { entry_bytes: 2_048, under_way: 4 };
    let log = log().with_limits(limits);
    let (a, b) = (open(&log, &directory.path().join("a")), open(&log, &directory.path().join("b")));
    let offsets = a.append_batch((0..2_000).map(event)).expect("offsets");
    assert_eq!(offsets, 0..2_000);
    assert_eq!(b.backend().barrier().expect("a head"), 2_000);
    assert_eq!(numbers(&b), (0..2_000).collect::<Vec<_>>());
}

#[test]
fn opening_never_makes_a_record_and_refuses_another_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a");
    let empty = SimLog::with_record(SimRecord::default(), Faults::none(), 3);
    let opened = options().open::<annals::RawEvent>(empty.clone(), &path);
    assert!(matches!(opened, Err(OpenReplicatedError::NoRecord)), "{opened:?}");
    assert!(!path.exists(), "nothing was created");
    let id = create(&empty).expect("a record");
    assert!(matches!(create(&empty), Err(CreateError::Exists { store_id }) if store_id == id));
    let store: Replicated<annals::RawEvent> = options().open(empty, &path).expect("a store");
    assert_eq!(store.store_id(), Some(*id.as_bytes()));
    drop(store);
    let other = options().open::<annals::RawEvent>(log(), &path);
    let refused =
        matches!(other, Err(OpenReplicatedError::OtherRecord { replica, .. }) if replica == id);
    assert!(refused, "{other:?}");
}
