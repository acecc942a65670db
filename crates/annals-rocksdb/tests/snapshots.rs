//! Snapshots in the database and beside it.

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
    let place: Arc<dyn SnapshotStore> =
        Arc::new(DirectorySnapshots::at(directory.path().join("snapshots")));
    let open = |path| EventStore::<RawEvent>::on(RocksDb::open(path).unwrap());
    let policy = SnapshotPolicy::every(1).keep(3);
    {
        let store = open(&path);
        append(&store, "sold", 8);
        append(&store, "other", 20);
        store.backend().checkpoint(&backup).unwrap();
        append(&store, "other", 10);
        let mut sold = store.reconstruct(Sold).snapshots_in(place.clone(), policy);
        assert_eq!(*sold.now().unwrap(), 8);
        let checks = sold.verify_snapshots().unwrap();
        assert_eq!(checks.last().map(|check| check.head), Some(38), "one at the end");
    }
    let store = open(&backup);
    append(&store, "sold", 9);
    append(&store, "another", 3);
    assert_eq!(*store.reconstruct(Sold).snapshots_in(place, policy).now().unwrap(), 17);
}

#[test]
fn what_is_not_the_name_of_a_series_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let log = RocksDb::<RawEvent>::open(directory.path().join("store")).unwrap();
    let place = log.snapshots().unwrap();
    place.save("seat", 1, b"kept").unwrap();
    // A zero byte ends the series in a key.
    for series in ["", "..", "seat\0", "seat/1"] {
        let kinds = [
            place.save(series, 7, b"astray").unwrap_err().kind(),
            place.load(series, 7).unwrap_err().kind(),
            place.heads(series).unwrap_err().kind(),
            place.remove(series, 7).unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::InvalidInput; 4], "{series:?}");
    }
    assert_eq!(place.heads("seat").unwrap(), [1]);
}
