//! The tree of a log in RocksDB: the root is that of the same events in memory and in a Journal.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use annals::{Backend, Batch, Event, EventStore, Journal, Memory, RawEvent};
use annals_proof::{Checkpoint, LogKey, ProofOptions, Proofs};
use annals_rocksdb::RocksDb;

const ORIGIN: &str = "annals.example/alice";

fn key() -> LogKey {
    LogKey::from_seed(ORIGIN, &[0x33; 32]).unwrap()
}

fn signed<E: Event, B: Backend<E>>(store: &EventStore<E, B>) -> Checkpoint {
    Proofs::in_memory(store, ORIGIN).unwrap().checkpoint(&key()).unwrap()
}

/// Appends 700 events of all kinds, each at its own time.
fn fill<B: Backend<RawEvent>>(store: &EventStore<RawEvent, B>) {
    for n in 0..700_u64 {
        let mut event = RawEvent::builder(format!("type-{}", n % 7)).data(n.to_le_bytes().to_vec());
        if n % 2 == 0 {
            event = event.tag(format!("tag:{n}")).metadata("actor", "Jörg");
        }
        if n % 3 == 0 {
            event = event.id(format!("id-{n}"));
        }
        let mut batch = Batch::new(vec![event.build().unwrap()]);
        batch.time_ms = Some(1_700_000_000_000 + n / 2);
        store.append_as(batch).unwrap();
    }
}

#[test]
fn memory_journal_rocksdb_and_boxed_backends_have_one_root() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let memory = EventStore::in_memory();
    fill(&memory);
    let expected = signed(&memory);
    let rocksdb = EventStore::on(RocksDb::<RawEvent>::open(at("rocksdb")).unwrap());
    fill(&rocksdb);
    assert_eq!(signed(&rocksdb), expected);
    let backends: [Box<dyn Backend<RawEvent>>; 3] = [
        Box::new(Memory::new()),
        Box::new(Journal::options().open(at("journal")).unwrap()),
        Box::new(RocksDb::open(at("boxed")).unwrap()),
    ];
    for backend in backends {
        let store = EventStore::on(backend);
        fill(&store);
        assert_eq!(signed(&store), expected);
    }
    // The files are in the database's directory, and are found again.
    let proofs = ProofOptions::new().open(&rocksdb, ORIGIN).unwrap();
    assert_eq!(proofs.checkpoint(&key()).unwrap(), expected);
    proofs.prove(699, &expected).unwrap();
    drop((proofs, rocksdb));
    let rocksdb = EventStore::on(RocksDb::<RawEvent>::open(at("rocksdb")).unwrap());
    let proofs = ProofOptions::new().open_existing(&rocksdb).unwrap();
    assert_eq!(proofs.last_checkpoint(), Some(expected));
    assert!(at("rocksdb").join("proofs/nodes.8").exists());
}

mod before {
    #[derive(annals::Event, Debug)]
    pub(super) enum Booking {
        SeatSold { seat: u32 },
    }
}

mod after {
    #[derive(annals::Event, Debug)]
    pub(super) enum Booking {
        #[event(alias = "seat-sold")]
        SeatTaken {
            seat: u32,
            #[serde(default)]
            price: u32,
        },
    }
}

#[test]
fn a_renamed_and_changed_type_changes_no_root() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::on(RocksDb::open(directory.path()).unwrap());
    store.append(before::Booking::SeatSold { seat: 1 }).unwrap();
    let expected = signed(&store);
    drop(store);
    let store = EventStore::on(RocksDb::<after::Booking>::open(directory.path()).unwrap());
    let read = store.get(0).unwrap().unwrap();
    assert!(matches!(read.event, after::Booking::SeatTaken { seat: 1, price: 0 }));
    drop(read);
    assert_eq!(signed(&store), expected);
    drop(store);
    let boxed: Box<dyn Backend<after::Booking>> =
        Box::new(RocksDb::open(directory.path()).unwrap());
    assert_eq!(signed(&EventStore::on(boxed)), expected);
}
