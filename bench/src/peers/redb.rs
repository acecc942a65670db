//! redb, a copy-on-write B-tree in Rust: a table of events and a multimap of tags, one write transaction a commit,
//! with its default durability (immediate, one phase).
//!
//! It has one write transaction at a time and no group commit.

use std::path::Path;

use annals::RawEvent;
use redb::{Database, MultimapTableDefinition, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Candidate, Peer};

pub const REDB: Candidate = Candidate::new("redb", open);

/// Type and payload of each offset.
const EVENTS: TableDefinition<u64, (&str, &[u8])> = TableDefinition::new("events");
const TAGS: MultimapTableDefinition<&str, u64> = MultimapTableDefinition::new("tags");

struct Redb(Database);

fn open(path: &Path) -> Box<dyn Peer> {
    let db = Database::create(path.join("events.redb")).expect("the database opens");
    let write = db.begin_write().expect("it begins");
    write.open_table(EVENTS).expect("is there");
    write.open_multimap_table(TAGS).expect("is there");
    write.commit().expect("commits");
    Box::new(Redb(db))
}

impl Peer for Redb {
    fn append(&self, events: Vec<RawEvent>) {
        let write = self.0.begin_write().expect("it begins");
        {
            let mut all = write.open_table(EVENTS).expect("is there");
            let mut tags = write.open_multimap_table(TAGS).expect("is there");
            let last = all.last().expect("reads").map(|(offset, _)| offset.value());
            let first = last.map_or(0, |last| last + 1);
            for (offset, event) in (first..).zip(&events) {
                all.insert(offset, (event.event_type(), event.data_bytes())).expect("inserts");
                for tag in event.tags() {
                    tags.insert(tag, offset).expect("inserts");
                }
            }
        }
        write.commit().expect("commits");
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) -> Option<u64> {
        let read = self.0.begin_read().expect("it begins");
        let all = read.open_table(EVENTS).expect("is there");
        let entries = all.iter().expect("reads");
        Some(entries.map(|entry| see(entry.expect("reads").1.value().1)).count() as u64)
    }

    fn get(&self, offset: u64, see: &mut dyn FnMut(&[u8])) {
        let read = self.0.begin_read().expect("it begins");
        let all = read.open_table(EVENTS).expect("is there");
        see(all.get(offset).expect("reads").expect("is there").value().1);
    }

    fn tag(&self, tag: &str, see: &mut dyn FnMut(&[u8])) -> u64 {
        let read = self.0.begin_read().expect("it begins");
        let all = read.open_table(EVENTS).expect("is there");
        let tags = read.open_multimap_table(TAGS).expect("is there");
        let offsets = tags.get(tag).expect("reads");
        offsets
            .map(|offset| {
                let offset = offset.expect("reads").value();
                see(all.get(offset).expect("reads").expect("is there").value().1);
            })
            .count() as u64
    }
}
