//! A replica that lost its unsynced end is behind a saved consumer position and behind a snapshot. Neither is used until
//! it has caught up.

use std::fs;
use std::path::Path;

use annals::{
    Backend, EventStore, Health, Journal, Projection, Query, RawEvent, Recorded, SnapshotPolicy,
};
use annals_consumer::{Checkpoint, ConsumerError};
use annals_replicated::sim::{Faults, SimLog, SimRecord};

use crate::tools::{event, log, open};

/// Adds up the numbers of all events.
struct Sum;

impl Projection for Sum {
    type Event = RawEvent;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, sum: &mut u64, event: &Recorded<RawEvent>) {
        let text = std::str::from_utf8(event.event.data_bytes()).expect("a number");
        *sum += text.parse::<u64>().expect("a number");
    }
}

fn sum<B: Backend<RawEvent>>(store: &EventStore<RawEvent, B>) -> u64 {
    let mut sum = store.reconstruct(Sum).snapshots(SnapshotPolicy::every(1));
    *sum.now().expect("a state")
}

/// Copies a replica's own files, but no directory in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for file in fs::read_dir(from).expect("files").map(|file| file.expect("a file")) {
        if file.path().is_file() {
            fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
        }
    }
}

/// Makes a replica of ten events, with a position and a snapshot behind the tenth, that has lost the last five events.
/// Returns the record as it was after five events.
fn behind(log: &SimLog, directory: &Path) -> SimRecord {
    let path = directory.join("replica");
    let store = open(log, &path);
    store.append_batch((0..5).map(event)).expect("offsets");
    let before = log.change(|record| record.clone());
    drop(store);
    let five = directory.join("five");
    copy(&path, &five);
    let store = open(log, &path);
    store.append_batch((5..10).map(event)).expect("offsets");
    Checkpoint::of(&store, "report").expect("a place").save(&store, 10).expect("saved");
    assert_eq!(sum(&store), 45);
    drop(store);
    let lost: Vec<_> =
        fs::read_dir(&path).expect("files").map(|file| file.expect("a file")).collect();
    lost.iter().filter(|file| file.path().is_file()).for_each(|file| {
        fs::remove_file(file.path()).expect("removed");
    });
    copy(&five, &path);
    before
}

fn is_refused<B: Backend<RawEvent>>(store: &EventStore<RawEvent, B>) {
    assert_eq!(store.len(), 5);
    let loaded = Checkpoint::of(store, "report").expect("a place").load(store);
    let Err(ConsumerError::BeyondHead { position, head, .. }) = loaded else {
        panic!("{loaded:?}")
    };
    assert_eq!((position, head), (10, 5));
    assert_eq!(sum(store), 10, "the snapshot of ten events is not used");
}

#[test]
fn a_position_and_a_snapshot_are_refused_until_the_replica_has_caught_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    behind(&log, directory.path());
    let alone: EventStore<RawEvent, Journal<RawEvent>> =
        EventStore::open_read_only(&path).expect("the replica without its record");
    is_refused(&alone);
    drop(alone);
    let store = open(&log, &path);
    let loaded = Checkpoint::of(&store, "report").expect("a place").load(&store);
    assert_eq!(loaded.expect("a position"), Some(10));
    assert_eq!(sum(&store), 45);
}

/// The record lost the same events, so that nothing shows the loss but the position and the snapshot.
#[test]
fn a_position_and_a_snapshot_beyond_a_record_that_lost_its_end_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, path) = (log(), directory.path().join("replica"));
    let before = behind(&log, directory.path());
    let log = SimLog::with_record(before, Faults::none(), 1);
    let store = open(&log, &path);
    assert!(matches!(store.health(), Health::Open), "{:?}", store.health());
    is_refused(&store);
}
