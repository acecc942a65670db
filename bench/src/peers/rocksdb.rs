//! RocksDB, as annals keeps a log in it, and used plainly: a key an event and a key a tag.

use std::path::Path;
use std::sync::Mutex;

use annals::{EventStore, RawEvent};
use annals_rocksdb::{Compression, RocksDb, RocksDbOptions};
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, IteratorMode, Options, ReadOptions, WriteBatch,
    WriteOptions,
};

use super::{Candidate, Peer, number, tag_key};
use crate::yardstick::line;

pub const ANNALS: Candidate = Candidate { name: "annals RocksDB", open: open_annals };
pub const PLAIN: Candidate = Candidate { name: "plain RocksDB", open: open_plain };

/// Other layouts of ours, measured when they are asked for: `--only layout`.
pub const LAYOUTS: [Candidate; 5] = [
    Candidate {
        name: "annals RocksDB (layout: each event a value)",
        open: |path| layout(path, |o| o.block_bytes(1)),
    },
    Candidate {
        name: "annals RocksDB (layout: 4 KiB)",
        open: |path| layout(path, |o| o.block_bytes(4 << 10)),
    },
    Candidate {
        name: "annals RocksDB (layout: 16 KiB)",
        open: |path| layout(path, |o| o.block_bytes(16 << 10)),
    },
    Candidate {
        name: "annals RocksDB (layout: 4 KiB, not compressed)",
        open: |path| layout(path, |o| o.block_bytes(4 << 10).compression(Compression::None)),
    },
    Candidate {
        name: "annals RocksDB (layout: 4 KiB, Zstandard)",
        open: |path| layout(path, |o| o.block_bytes(4 << 10).compression(Compression::Zstd)),
    },
];

fn open_annals(path: &Path) -> Box<dyn Peer> {
    layout(path, |options| options)
}

fn layout(path: &Path, set: impl FnOnce(RocksDbOptions) -> RocksDbOptions) -> Box<dyn Peer> {
    let log = set(RocksDb::options()).open(path.join("log")).expect("the store opens");
    Box::new(EventStore::<RawEvent, _>::on(log))
}

/// With RocksDB's own settings, but for the compression: LZ4, which is what its users are told to set.
fn open_plain(path: &Path) -> Box<dyn Peer> {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_compression_type(rocksdb::DBCompressionType::Lz4);
    let families =
        ["events", "tags"].map(|name| ColumnFamilyDescriptor::new(name, options.clone()));
    let db =
        DB::open_cf_descriptors(&options, path.join("db"), families).expect("the database opens");
    let next = {
        let mut last = db.raw_iterator_cf(db.cf_handle("events").expect("it is there"));
        last.seek_to_last();
        last.key().map_or(0, |key| number(key) + 1)
    };
    Box::new(Plain { db, next: Mutex::new(next) })
}

struct Plain {
    db: DB,
    next: Mutex<u64>,
}

impl Plain {
    fn family(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("it is there")
    }
}

impl Peer for Plain {
    fn append(&self, events: Vec<RawEvent>) {
        let (all, tags) = (self.family("events"), self.family("tags"));
        let mut values = Vec::with_capacity(events.len());
        for event in &events {
            let mut value = Vec::with_capacity(640);
            line(event, &mut value);
            values.push(value);
        }
        // Offsets are given in order; RocksDB itself lets those who write at once share a sync.
        let first = {
            let mut next = self.next.lock().expect("nobody panicked");
            let first = *next;
            *next += events.len() as u64;
            first
        };
        let mut batch = WriteBatch::default();
        for ((offset, event), value) in (first..).zip(&events).zip(&values) {
            batch.put_cf(all, offset.to_be_bytes(), value);
            for tag in event.tags() {
                batch.put_cf(tags, tag_key(tag, offset), []);
            }
        }
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        self.db.write_opt(batch, &synced).expect("writes");
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) -> Option<u64> {
        let mut count = 0;
        let mut all = self.db.raw_iterator_cf(self.family("events"));
        all.seek_to_first();
        while let Some(value) = all.value() {
            see(value);
            count += 1;
            all.next();
        }
        all.status().expect("reads");
        Some(count)
    }

    fn get(&self, offset: u64, see: &mut dyn FnMut(&[u8])) {
        let value = self.db.get_pinned_cf(self.family("events"), offset.to_be_bytes());
        see(&value.expect("reads").expect("is there"));
    }

    fn tag(&self, tag: &str, see: &mut dyn FnMut(&[u8])) -> u64 {
        let start = tag_key(tag, 0);
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(tag_key(tag, u64::MAX));
        let mode = IteratorMode::From(&start, rocksdb::Direction::Forward);
        let found = self.db.iterator_cf_opt(self.family("tags"), options, mode);
        found
            .map(|entry| {
                let (key, _) = entry.expect("reads");
                self.get(number(&key[key.len() - 8..]), see);
            })
            .count() as u64
    }
}
