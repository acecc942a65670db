//! fjall, an LSM tree in Rust: a key an event and a key a tag in two keyspaces, one write batch a commit, persisted
//! with `PersistMode::SyncData`; its own settings else.
//!
//! A commit syncs under the journal's lock, so those who write at once do not share a sync.

use std::path::Path;
use std::sync::Mutex;

use annals::RawEvent;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Candidate, Peer, number, tag_key};
use crate::yardstick::line;

pub const FJALL: Candidate = Candidate::new("fjall", open);

struct Fjall {
    db: Database,
    events: Keyspace,
    tags: Keyspace,
    next: Mutex<u64>,
}

fn open(path: &Path) -> Box<dyn Peer> {
    let db = Database::builder(path.join("db")).open().expect("the database opens");
    let [events, tags] = ["events", "tags"]
        .map(|name| db.keyspace(name, KeyspaceCreateOptions::default).expect("it is there"));
    let last = events.last_key_value().map(|last| number(&last.key().expect("reads")));
    let next = Mutex::new(last.map_or(0, |last| last + 1));
    Box::new(Fjall { db, events, tags, next })
}

impl Peer for Fjall {
    fn append(&self, events: Vec<RawEvent>) {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        let first = {
            let mut next = self.next.lock().expect("nobody panicked");
            let first = *next;
            *next += events.len() as u64;
            first
        };
        for (offset, event) in (first..).zip(&events) {
            let mut value = Vec::with_capacity(640);
            line(event, &mut value);
            batch.insert(&self.events, offset.to_be_bytes(), value);
            for tag in event.tags() {
                batch.insert(&self.tags, tag_key(tag, offset), []);
            }
        }
        batch.commit().expect("commits");
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) -> Option<u64> {
        Some(self.events.iter().map(|entry| see(&entry.value().expect("reads"))).count() as u64)
    }

    fn get(&self, offset: u64, see: &mut dyn FnMut(&[u8])) {
        see(&self.events.get(offset.to_be_bytes()).expect("reads").expect("is there"));
    }

    fn tag(&self, tag: &str, see: &mut dyn FnMut(&[u8])) -> u64 {
        let found = self.tags.range(tag_key(tag, 0)..=tag_key(tag, u64::MAX));
        found
            .map(|entry| {
                let key = entry.key().expect("reads");
                self.get(number(&key[key.len() - 8..]), see);
            })
            .count() as u64
    }
}
