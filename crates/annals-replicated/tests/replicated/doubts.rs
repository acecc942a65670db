//! An engine that does not answer: appends that were not sent, appends in doubt, and a full queue.

use std::time::Duration;

use annals::{AppendError, Condition, EventStore, Health, Query};
use annals_replicated::sim::Faults;

use crate::tools::{
    Store, event, event_with_id, impatient, log, numbers, open, open_impatient, options,
};

fn away() -> Faults {
    Faults { not_sent: 100, ..Faults::none() }
}

#[test]
fn what_was_not_sent_in_time_is_unavailable_and_never_in_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let store = open_impatient(&log, directory.path());
    log.set_faults(away());
    let refused = store.append(event(0));
    let Err(AppendError::Unavailable { cause }) = &refused else { panic!("{refused:?}") };
    assert!(cause.contains("away"), "{cause}");
    assert!(refused.unwrap_err().to_string().contains("append the batch again"));
    log.set_faults(Faults::none());
    assert_eq!(answered(|| store.append(event_with_id(1))), 0);
    assert_eq!(numbers(&store), [1]);
}

/// Repeats a call until the engine answers in time: a busy machine may need longer than the time limit.
fn answered<T>(call: impl Fn() -> Result<T, AppendError>) -> T {
    loop {
        match call() {
            Err(AppendError::Unavailable { .. } | AppendError::InDoubt { .. }) => {}
            answered => break answered.expect("an answer"),
        }
    }
}

/// Nothing comes back from the engine, not even what it stores.
fn silent(stores: bool) -> Faults {
    let lost = if stores { 0 } else { 100 };
    Faults { lost_entries: lost, lost_answers: 100, failed_reads: 100, ..Faults::none() }
}

#[test]
fn a_batch_in_doubt_with_ids_is_appended_again_and_is_there_once() {
    for stores in [true, false] {
        let directory = tempfile::tempdir().expect("a directory");
        let log = log();
        let store = open_impatient(&log, directory.path());
        log.set_faults(silent(stores));
        let doubt = store.append(event_with_id(0));
        assert!(matches!(doubt, Err(AppendError::InDoubt { .. })), "{doubt:?}");
        log.set_faults(Faults::none());
        assert_eq!(answered(|| store.append(event_with_id(0))), 0);
        assert_eq!(numbers(&store), [0]);
    }
}

#[test]
fn a_barrier_ends_a_doubt_without_ids() {
    for stores in [true, false] {
        let directory = tempfile::tempdir().expect("a directory");
        let log = log();
        let store = open_impatient(&log, directory.path());
        log.set_faults(silent(stores));
        let doubt = store.append(event(0));
        assert!(matches!(doubt, Err(AppendError::InDoubt { .. })), "{doubt:?}");
        log.set_faults(Faults::none());
        let head = answered(|| store.backend().barrier());
        assert_eq!(head, u64::from(stores));
        // From here on, it stays as it is.
        let unless = Condition::fail_if(Query::event_type("counted"));
        match store.append_if([event_with_id(0)], &unless) {
            Err(AppendError::Conflict { .. }) => assert!(stores),
            Err(AppendError::Unavailable { .. } | AppendError::InDoubt { .. }) if !stores => {
                answered(|| store.append(event_with_id(0)));
            }
            appended => assert!(appended.is_ok() && !stores, "{appended:?}"),
        }
        assert_eq!(numbers(&store), [0]);
        assert_eq!(store.backend().record().doubts, 0);
    }
}

#[test]
fn a_full_engine_is_reported_and_appends_work_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let store = open(&log, directory.path());
    log.set_faults(Faults { full: 100, ..Faults::none() });
    let refused = store.append(event(0));
    assert!(matches!(refused, Err(AppendError::NoRoom { .. })), "{refused:?}");
    assert!(matches!(store.health(), Health::NoRoom { .. }));
    log.set_faults(Faults::none());
    store.append(event(1)).expect("an offset");
    assert!(matches!(store.health(), Health::Open));
    assert_eq!(numbers(&store), [1]);
}

/// A queue for two batches: the third waits in its future, and is appended only if that is polled.
#[test]
fn a_batch_without_room_waits_in_its_future() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let options = options().queue_batches(2).append_timeout(Duration::from_secs(600));
    let store: Store =
        EventStore::on(options.open(log.clone(), directory.path()).expect("a store"));
    log.set_faults(away());
    let queued = [0, 1].map(|n| store.append_async(event(n)));
    let dropped = store.append_async(event(2));
    let waiting = store.append_async(event(3));
    drop(dropped);
    log.set_faults(Faults::none());
    let [first, second] = queued;
    assert_eq!(futures_executor::block_on(first).expect("an offset"), 0);
    assert_eq!(futures_executor::block_on(second).expect("an offset"), 1);
    assert_eq!(futures_executor::block_on(waiting).expect("an offset"), 2);
    assert_eq!(numbers(&store), [0, 1, 3]);
}

/// An append that waits outside a full queue gets its answer in time too. An accepted one gets its answer when the
/// store closes.
#[test]
fn callers_outside_a_full_queue_and_of_a_closing_store_are_answered() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let options = impatient().queue_batches(1);
    let store: Store =
        EventStore::on(options.open(log.clone(), directory.path()).expect("a store"));
    log.set_faults(away());
    let queued = store.append_async(event(0));
    let outside = store.append(event(1));
    assert!(matches!(outside, Err(AppendError::Unavailable { .. })), "{outside:?}");
    let last = store.append_async(event(2));
    store.close().expect("closed");
    for future in [queued, last] {
        let told = futures_executor::block_on(future);
        let known = matches!(told, Err(AppendError::Unavailable { .. } | AppendError::Closed));
        assert!(known, "{told:?}");
    }
    assert!(matches!(store.append(event(3)), Err(AppendError::Closed)));
    assert!(matches!(store.health(), Health::Closed));
}
