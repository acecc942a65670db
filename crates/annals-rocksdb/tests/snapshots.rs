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
