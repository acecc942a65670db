//! A record that no longer contains what a replica contains.

use std::path::Path;
use std::time::{Duration, Instant};

use annals::{AppendError, Backend as _, Health, Query};
use annals_replicated::Divergence;
use annals_replicated::sim::{Faults, SimLog, SimRecord};

use crate::tools::{HANGS, Store, event, log, numbers, open, open_impatient, two_events};

fn is_diverged(store: &Store) {
    let refused = store.append(event(99));
    assert!(matches!(refused, Err(AppendError::Diverged { .. })), "{refused:?}");
    assert!(matches!(store.health(), Health::Diverged { .. }), "{:?}", store.health());
    assert!(store.backend().record().divergence.is_some());
    // Subscriptions end behind the last event, and reads go on.
    assert_eq!(store.subscription(Query::all(), 0).count() as u64, store.len());
    assert!(store.backend().head().is_closed());
}

/// Returns an engine with the record as it was before, onto which another process appended two commits.
fn restored(before: SimRecord, directory: &Path) -> SimLog {
    let log = SimLog::with_record(before, Faults::none(), 1);
    let other = open(&log, &directory.join("other"));
    other.append(event(50)).expect("an offset");
    other.append(event(51)).expect("an offset");
    log
}

#[test]
fn older_data_with_other_commits_is_told_at_once_when_the_store_is_opened() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    let before = two_events(&log, &path);
    let store = open(&restored(before, directory.path()), &path);
    is_diverged(&store);
    assert_eq!(numbers(&store), [0, 1]);
    let found = store.backend().record().divergence;
    assert!(matches!(found, Some(Divergence::Changed { .. })), "{found:?}");
}

#[test]
fn without_the_position_file_the_events_themselves_are_compared() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    let before = two_events(&log, &path);
    std::fs::remove_file(path.join("record.tail")).expect("the file");
    let store = open(&restored(before, directory.path()), &path);
    is_diverged(&store);
    assert_eq!(numbers(&store), [0, 1], "nothing behind the commit that differs is applied");
}

/// The commit that differs reaches beyond the replica's end, so the next one begins beyond it too.
#[test]
fn a_commit_behind_a_gap_is_not_applied() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    let before = two_events(&log, &path);
    std::fs::remove_file(path.join("record.tail")).expect("the file");
    let log = SimLog::with_record(before, Faults::none(), 1);
    let other = open(&log, &directory.path().join("other"));
    other.append_batch((50..54).map(event)).expect("offsets");
    other.append(event(54)).expect("an offset");
    let store = open(&log, &path);
    is_diverged(&store);
    assert_eq!(numbers(&store), [0, 1]);
}

#[test]
fn a_record_that_changes_under_a_running_store_is_told_by_the_next_append() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    let store = open_impatient(&log, &path);
    store.append(event(0)).expect("an offset");
    let before = log.change(|record| record.clone());
    store.append(event(1)).expect("an offset");
    let other = restored(before, directory.path());
    let changed = other.change(|record| record.clone());
    log.change(|record| *record = changed);
    // The batch that is under way when it is found may be in the record.
    let first = store.append(event(2));
    assert!(
        matches!(first, Err(AppendError::InDoubt { .. } | AppendError::Diverged { .. })),
        "{first:?}"
    );
    while store.backend().record().divergence.is_none() {
        std::thread::yield_now();
    }
    is_diverged(&store);
    assert_eq!(numbers(&store), [0, 1]);
}

/// The record lost its end, and nothing shows that but the absence itself.
#[test]
fn a_replica_with_more_events_than_the_record_appends_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    let before = two_events(&log, &path);
    std::fs::remove_file(path.join("record.tail")).expect("the file");
    log.change(|record| *record = before);
    is_diverged(&open_impatient(&log, &path));
}

/// A program that only reads, and ends soon, learns it, too.
#[test]
fn a_record_that_lost_its_end_is_told_when_opening_returns() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    let before = two_events(&log, &path);
    log.change(|record| *record = before);
    let store = open(&log, &path);
    assert!(matches!(store.health(), Health::Diverged { .. }), "{:?}", store.health());
    assert_eq!(numbers(&store), [0, 1]);
}

/// No process appends, and no call to the engine fails: one record lost its end, and the other one was deleted.
#[test]
fn an_idle_store_learns_that_its_record_lost_commits() {
    let directory = tempfile::tempdir().expect("a directory");
    let stores = ["shorter", "deleted"].map(|name| {
        let log = log();
        let store = open(&log, &directory.path().join(name));
        store.append(event(0)).expect("an offset");
        let shorter = log.change(|record| record.clone());
        store.append(event(1)).expect("an offset");
        let left = if name == "deleted" { SimRecord::default() } else { shorter };
        log.change(|record| *record = left);
        store
    });
    let began = Instant::now();
    for store in &stores {
        while store.health().takes_appends() {
            assert!(began.elapsed() < HANGS, "an idle store notices nothing");
            std::thread::sleep(Duration::from_millis(10));
        }
        let found = store.backend().record().divergence;
        assert!(matches!(found, Some(Divergence::Lost { .. })), "{found:?}");
        is_diverged(store);
        assert_eq!(numbers(store), [0, 1]);
    }
}
