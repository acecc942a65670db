//! Snapshots in the database and in a directory beside it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::ErrorKind;
use std::sync::Arc;

use annals::{
    Backend, Batch, DirectorySnapshots, EventStore, Projection, Query, RawEvent, Recorded,
    SnapshotPolicy, SnapshotStore,
};
use annals_rocksdb::RocksDb;

/// Counts the sales.
struct Sold;

impl Projection for Sold {
    type Event = RawEvent;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn query(&self) -> Query {
        Query::tag("sold")
    }

    fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) {
        *count += 1;
    }
}

fn append(store: &EventStore<RawEvent, RocksDb<RawEvent>>, tag: &str, count: usize) {
    let event = RawEvent::builder("event").tag(tag).build().unwrap();
    store.append_as(Batch::new(vec![event; count]).time_ms(7)).unwrap();
}

#[test]
fn snapshots_beside_a_store_that_was_put_back_are_not_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let [path, backup] = ["store", "backup"].map(|name| directory.path().join(name));
    let snapshots: Arc<dyn SnapshotStore> =
        Arc::new(DirectorySnapshots::at(directory.path().join("snapshots")));
    let open = |path| EventStore::<RawEvent, _>::on(RocksDb::open(path).unwrap());
    let policy = SnapshotPolicy::every(1).keep(3);
    {
        let store = open(&path);
        append(&store, "sold", 8);
        append(&store, "other", 20);
        store.backend().checkpoint(&backup).unwrap();
        append(&store, "other", 10);
        let mut sold = store.reconstruct(Sold).snapshots_in(snapshots.clone(), policy);
        assert_eq!(*sold.now().unwrap(), 8);
        let checks = sold.verify_snapshots().unwrap();
        assert_eq!(checks.last().map(|check| check.head), Some(38), "one at the end");
    }
    let store = open(&backup);
    append(&store, "sold", 9);
    append(&store, "another", 3);
    assert_eq!(*store.reconstruct(Sold).snapshots_in(snapshots, policy).now().unwrap(), 17);
}

#[test]
fn an_invalid_series_name_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let log = RocksDb::<RawEvent>::open(directory.path().join("store")).unwrap();
    let snapshots = log.snapshots().unwrap();
    snapshots.save("seat", 1, b"kept").unwrap();
    // A zero byte ends the series in a key.
    for series in ["", "..", "seat\0", "seat/1"] {
        let kinds = [
            snapshots.save(series, 7, b"astray").unwrap_err().kind(),
            snapshots.load(series, 7).unwrap_err().kind(),
            snapshots.heads(series).unwrap_err().kind(),
            snapshots.remove(series, 7).unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::InvalidInput; 4], "{series:?}");
    }
    assert_eq!(snapshots.heads("seat").unwrap(), [1]);
}

#[test]
fn a_reader_uses_the_writers_snapshots_and_saves_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let writer = EventStore::<RawEvent, _>::on(RocksDb::open(&path).unwrap());
    append(&writer, "sold", 8);
    let reader = EventStore::<RawEvent, _>::on(RocksDb::open_read_only(&path).unwrap());
    let policy = SnapshotPolicy::every(1).keep(3);
    // The reader's own fold stores nothing.
    assert_eq!(*reader.reconstruct(Sold).snapshots(policy).now().unwrap(), 8);
    let heads = |store: &EventStore<RawEvent, _>| {
        let checks = store.reconstruct(Sold).snapshots(policy).verify_snapshots().unwrap();
        checks.into_iter().map(|check| check.head).collect::<Vec<_>>()
    };
    assert!(heads(&writer).is_empty());
    assert_eq!(*writer.reconstruct(Sold).snapshots(policy).now().unwrap(), 8);
    append(&writer, "other", 1);
    // The reader sees the snapshots that were saved before an event that it has.
    while reader.len() < 9 {
        std::thread::yield_now();
    }
    assert_eq!(heads(&reader), [6, 7, 8]);
    assert_eq!(*reader.reconstruct(Sold).snapshots(policy).now().unwrap(), 8);
    assert_eq!(heads(&reader), [6, 7, 8]);

    let snapshots = reader.backend().snapshots().unwrap();
    assert!(snapshots.is_read_only() && !writer.backend().snapshots().unwrap().is_read_only());
    for refused in
        [snapshots.save("seat", 1, b"").unwrap_err(), snapshots.remove("seat", 1).unwrap_err()]
    {
        assert_eq!(refused.kind(), ErrorKind::ReadOnlyFilesystem, "{refused}");
        assert!(refused.to_string().contains("open read-only"), "{refused}");
    }
}

#[test]
fn a_reader_makes_no_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let [path, target] = ["store", "backup"].map(|name| directory.path().join(name));
    let writer = EventStore::<RawEvent, _>::on(RocksDb::open(&path).unwrap());
    append(&writer, "sold", 8);
    let reader = RocksDb::<RawEvent>::open_read_only(&path).unwrap();
    // RocksDB itself would make a copy without the events that are in no table file yet.
    let refused = reader.checkpoint(&target).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("only its writer"), "{refused}");
    assert!(!target.exists());
    writer.backend().checkpoint(&target).unwrap();
    assert_eq!(EventStore::<RawEvent, _>::on(RocksDb::open(&target).unwrap()).len(), 8);
}
