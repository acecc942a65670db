//! A store with nearly 65,536 events, so that the next appends end a chunk of the index.

use std::fs;

use annals::{Durability, EventStore};
use annals_conformance::Sample;
use annals_rocksdb::RocksDb;
use tempfile::TempDir;

use crate::machine::Machine;
use crate::model::Model;
use crate::schedule::Store;

const EVENTS: u64 = (1 << 16) - 40;
const BATCH: u64 = 8_192;

/// Such a store, created once and copied to machines.
pub(crate) struct Base {
    directory: TempDir,
}

fn batch(first: u64) -> Vec<Sample> {
    let event = |n: u64| {
        let event = Sample::new(format!("type-{}", n % 4)).tag(format!("base:{}", n % 7));
        let event = if n.is_multiple_of(50) { event.id(format!("base-{n}")) } else { event };
        event.data(format!("base {n}"))
    };
    (first..EVENTS.min(first + BATCH)).map(event).collect()
}

fn batches() -> impl Iterator<Item = Vec<Sample>> {
    (0..EVENTS.div_ceil(BATCH)).map(|index| batch(index * BATCH))
}

impl Base {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = RocksDb::options().durability(Durability::Buffered).memtable_bytes(1 << 20);
        let store: Store = EventStore::on(options.open(directory.path().join("rocks")).unwrap());
        for batch in batches() {
            store.append_batch(batch).unwrap();
        }
        assert_eq!(store.len(), EVENTS);
        Self { directory }
    }

    /// Returns a machine with a copy of the store.
    pub(crate) fn machine(&self, seed: u64) -> Machine {
        Machine::with(seed, |root| {
            fs::create_dir(root.join("rocks")).unwrap();
            for entry in fs::read_dir(self.directory.path().join("rocks")).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), root.join("rocks").join(entry.file_name())).unwrap();
            }
        })
    }

    /// Returns the model of the store.
    pub(crate) fn model() -> Model {
        let mut model = Model::default();
        for batch in batches() {
            let verdict = model.judge(&batch, None);
            model.take(batch, &verdict);
        }
        model.all_durable();
        model
    }
}
