//! A full disk: the append is a failed write like any other, and the store must be opened again.

use std::error::Error;

use annals::{AppendError, Durability, EventStore, OpenError};
use annals_conformance::Sample;
use annals_rocksdb::RocksDb;

use crate::machine::Machine;
use crate::schedule::{Store, verify_is_clean};

fn open(machine: &Machine, durability: Durability) -> Result<Store, OpenError> {
    let options = RocksDb::options().memtable_bytes(1 << 20).durability(durability);
    options.open(machine.path("rocks")).map(EventStore::on)
}

fn event(n: u64) -> Sample {
    Sample::new("filled").data(format!("{n} {}", "z".repeat(3_000)))
}

/// Checks that an error says that the disk is full.
fn reports_a_full_disk(error: &dyn Error) {
    let mut all = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        all = format!("{all}: {error}");
        cause = error.source();
    }
    assert!(all.contains("No space left on device"), "{all}");
}

#[test]
fn a_full_disk_is_a_failed_write_and_nothing_is_lost() {
    for durability in [Durability::Sync, Durability::Buffered] {
        let machine = Machine::new(1);
        let mut count = 0;
        for room in [0, 10_000, 300_000, 2_000_000] {
            let note = format!("{durability:?}, {room} bytes of room");
            let store = open(&machine, durability).unwrap();
            assert_eq!(store.len(), count, "{note}");
            machine.set_room(Some(room));
            let error = loop {
                match store.append(event(count)) {
                    Ok(offset) => count = offset + 1,
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, AppendError::Failed { .. }), "{note}: {error:?}");
            reports_a_full_disk(&error);
            let error = store.append(event(count)).unwrap_err();
            assert!(matches!(error, AppendError::Poisoned { .. }), "{note}: {error:?}");
            assert_eq!((store.len(), store.read(..).count() as u64), (count, count), "{note}");
            drop(store);
            // Opening the store for writing needs space. Opening it read-only does not.
            machine.set_room(Some(0));
            let error = open(&machine, durability).unwrap_err();
            assert!(matches!(error, OpenError::Io { .. }), "{note}: {error:?}");
            reports_a_full_disk(&error);
            let reader = RocksDb::<Sample>::open_read_only(machine.path("rocks")).unwrap();
            assert!(EventStore::<Sample, _>::on(reader).len() >= count, "{note}");
            machine.set_room(None);
        }
        let store = open(&machine, durability).unwrap();
        assert_eq!(store.append(event(count)).unwrap(), count);
        drop(store);
        verify_is_clean(&machine.path("rocks"), count + 1, "at last");
    }
}
