//! Consumers and groups beside a log in RocksDB: their files are in the database's directory, which RocksDB leaves
//! alone.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::Path;

use annals::{EventStore, RawEvent};
use annals_consumer::{ConsumerAdmin, Consumers as _};
use annals_rocksdb::RocksDb;

fn open(path: &Path) -> EventStore<RawEvent, RocksDb<RawEvent>> {
    EventStore::<RawEvent, _>::on(RocksDb::open(path).unwrap())
}

#[test]
fn positions_survive_in_the_databases_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rocks");
    let event = |_| RawEvent::builder("counted").build().unwrap();
    open(&path).append_batch((0..5).map(event)).unwrap();
    for round in 0..3 {
        let store = open(&path);
        let mut mailer = store.consumer("mailer").start().unwrap();
        let delivery = mailer.next().unwrap().unwrap();
        assert_eq!(delivery.offset, round);
        delivery.ack().unwrap();
        let group = store.group("billing").open().unwrap();
        let delivery = group.worker("a").next().unwrap().unwrap();
        assert_eq!(delivery.offset, round);
        delivery.ack().unwrap();
    }
    assert!(path.join("consumers/mailer.position").exists());
    let list = ConsumerAdmin::of(&open(&path)).unwrap().list().unwrap();
    let rows: Vec<_> =
        list.iter().map(|info| (info.name.as_str(), info.position, info.lag)).collect();
    assert_eq!(rows, [("billing", 3, 2), ("mailer", 3, 2)]);
    assert!(annals_rocksdb::verify(&path).unwrap().problems.is_empty());
    // A process that follows the database has the same place.
    let follower = EventStore::<RawEvent, _>::on(RocksDb::open_read_only(&path).unwrap());
    assert_eq!(follower.consumer("mailer").start().unwrap().position(), 3);
    // A checkpoint has the events, and no consumers.
    let checkpoint = directory.path().join("checkpoint");
    open(&path).backend().checkpoint(&checkpoint).unwrap();
    assert!(ConsumerAdmin::of(&open(&checkpoint)).unwrap().list().unwrap().is_empty());
}
