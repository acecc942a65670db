//! A record whose first entries no longer exist.

use std::fs;
use std::path::Path;

use annals::{AppendError, EventStore, Health, RawEvent};
use annals_replicated::sim::{Broken, Random, SimLog};
use annals_replicated::{Chain, Content, Divergence, OpenReplicatedError, Slot};
use uuid::Uuid;

use crate::tools::{HANGS, Store, event, log, numbers, open, options};

/// Appends events in commits of their own. Returns the last slot.
fn append(log: &SimLog, path: &Path, range: std::ops::Range<u64>) -> Slot {
    let store = open(log, path);
    for n in range {
        store.append(event(n)).expect("an offset");
    }
    log.change(|record| record.last())
}

/// The store reads, takes no appends, and says where the record begins and how far the replica has read.
fn is_behind(store: &Store, first: Slot, slot: Slot) {
    let found = store.backend().record().divergence;
    assert_eq!(found, Some(Divergence::Trimmed { first, slot }));
    let said = format!(
        "the record begins at slot {first}, beyond slot {slot}, up to which this replica has read it"
    );
    let Health::Diverged { cause } = store.health() else { panic!("{:?}", store.health()) };
    assert_eq!(*cause, *said);
    let Err(AppendError::Diverged { cause }) = store.append(event(9)) else { panic!("an append") };
    assert_eq!(*cause, *said);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("a name");
        if entry.file_type().expect("a kind").is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

#[test]
fn a_new_replica_of_a_trimmed_record_needs_the_files_of_another_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, old) = (log(), directory.path().join("old"));
    let last = append(&log, &old, 0..4);
    log.change(|record| record.trim(last));
    let new = directory.path().join("new");
    let refused = options().open::<RawEvent>(log.clone(), &new);
    let Err(error @ OpenReplicatedError::Trimmed) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("copy the files of another replica"), "{error}");
    assert!(!new.exists(), "nothing was created");
    copy(&old, &new);
    let store = open(&log, &new);
    store.append(event(4)).expect("an offset");
    assert_eq!(numbers(&store), [0, 1, 2, 3, 4]);
}

#[test]
fn a_replica_that_ends_before_the_first_entry_reads_and_appends_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let (behind, ahead) = (directory.path().join("behind"), directory.path().join("ahead"));
    let slot = append(&log, &behind, 0..2);
    let first = append(&log, &ahead, 2..5);
    log.change(|record| record.trim(first));
    let store = open(&log, &behind);
    is_behind(&store, first, slot);
    assert_eq!(numbers(&store), [0, 1]);
    drop(store);
    // It stays so, until the files of another replica are in its place.
    is_behind(&open(&log, &behind), first, slot);
    fs::remove_dir_all(&behind).expect("removed");
    copy(&ahead, &behind);
    let store = open(&log, &behind);
    store.append(event(5)).expect("an offset");
    assert_eq!(numbers(&store), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_replica_with_the_first_entries_does_not_mind() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    let store = open(&log, &path);
    for n in 0..4 {
        store.append(event(n)).expect("an offset");
    }
    log.change(|record| record.trim(record.last()));
    store.append(event(4)).expect("an offset");
    drop(store);
    let store = open(&log, &path);
    assert!(matches!(store.health(), Health::Open), "{:?}", store.health());
    store.append(event(5)).expect("an offset");
    assert_eq!(numbers(&store), [0, 1, 2, 3, 4, 5]);
}

/// After a divergence, everything is compared that the record still has, and not more.
#[test]
fn a_replica_that_had_diverged_is_compared_with_the_rest_of_a_trimmed_record() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    let last = append(&log, &path, 0..4);
    let right = log.change(|record| {
        let right = record.clone();
        record.break_promise(Broken::ReplacedTail, &mut Random::new(1));
        right
    });
    let found = open(&log, &path).backend().record().divergence;
    assert!(matches!(found, Some(Divergence::Changed { .. })), "{found:?}");
    log.change(|record| {
        *record = right;
        record.trim(last);
    });
    let store = open(&log, &path);
    assert!(matches!(store.health(), Health::Open), "{:?}", store.health());
    store.append(event(4)).expect("an offset");
    assert_eq!(numbers(&store), [0, 1, 2, 3, 4]);
}

/// Others append while the store is away from the engine, and what it did not read is gone when it comes back.
#[test]
fn a_store_that_falls_behind_the_first_entry_takes_no_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let store: Store =
        EventStore::on(options().open(log.clone(), directory.path()).expect("a store"));
    store.append(event(0)).expect("an offset");
    let (first, slot) = log.change(|record| {
        let mut chain = Chain::new(None);
        for (entry, slot) in record.entries().iter().zip(1..) {
            chain.push(Slot(slot), entry);
        }
        let (mut tip, slot) = (*chain.tip().expect("a genesis"), record.last());
        for _ in 0..3 {
            let barrier = tip.next(Uuid::from_u128(2), Content::Barrier);
            tip = tip.after(&barrier).expect("it follows");
            record.arrive(record.last(), &barrier.entries(usize::MAX)[0], false);
        }
        record.trim(record.last());
        (record.last(), slot)
    });
    let began = std::time::Instant::now();
    while store.health().takes_appends() {
        assert!(began.elapsed() < HANGS, "the store notices nothing");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    is_behind(&store, first, slot);
    assert_eq!(numbers(&store), [0]);
}
