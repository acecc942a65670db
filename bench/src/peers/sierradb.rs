//! SierraDB's engine without its server: as it is configured out of the box, one partition; a tag is a stream.
//!
//! An append of several is a transaction, and a transaction is read as a whole: what was loaded by 1,000 at once is
//! slow to read by one. It syncs by its clock (after 5 ms, or 50 ms when little comes), so that one writer waits.
//! An event is read by its identifier; those are remembered when all is scanned.

use std::path::Path;
use std::sync::Mutex;

use annals::RawEvent;
use sierradb::database::{Database, DatabaseBuilder, ExpectedVersion, NewEvent, Transaction};
use sierradb::id::{uuid_to_partition_hash, uuid_v7_with_partition_hash};
use sierradb::{IterDirection, StreamId};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{Candidate, Peer};

pub const SIERRADB: Candidate = Candidate::new("SierraDB's engine", open);

const PARTITION: u16 = 0;
const KEY: Uuid = Uuid::from_u128(0x6a1d_0c32_94f5_4d4e_8b1c_33f0_7e55_0001);
/// Transactions that a read asks for at once; as many as its own `next` does.
const PAGE: usize = 50;

struct Sierra {
    db: Database,
    runtime: Runtime,
    /// Of all events, in order, as the last scan saw them.
    ids: Mutex<Vec<Uuid>>,
}

fn open(path: &Path) -> Box<dyn Peer> {
    let runtime = Runtime::new().expect("a runtime starts");
    let db = DatabaseBuilder::new().open(path.join("db")).expect("the database opens");
    Box::new(Sierra { db, runtime, ids: Mutex::default() })
}

impl Drop for Sierra {
    fn drop(&mut self) {
        self.runtime.block_on(self.db.shutdown());
    }
}

/// A stream's name has 64 bytes at most; a tag's last 64 are its hexadecimal number.
fn stream(tag: &str) -> StreamId {
    StreamId::new(&tag[tag.len().saturating_sub(64)..]).expect("a name")
}

impl Peer for Sierra {
    fn append(&self, events: Vec<RawEvent>) {
        let hash = uuid_to_partition_hash(KEY);
        let event = |event: &RawEvent| NewEvent {
            event_id: uuid_v7_with_partition_hash(hash),
            stream_id: stream(event.tags().next().expect("a tag")),
            stream_version: ExpectedVersion::Any,
            event_name: event.event_type().to_owned(),
            timestamp: 1_790_000_000_000_000_000,
            metadata: Vec::new(),
            payload: event.data_bytes().to_vec(),
        };
        let transaction = Transaction::new(KEY, PARTITION, events.iter().map(event).collect());
        self.runtime
            .block_on(self.db.append_events(transaction.expect("is valid")))
            .expect("appends");
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) -> Option<u64> {
        let mut ids = Vec::new();
        self.runtime.block_on(async {
            let from_start = self.db.read_partition(PARTITION, 0, IterDirection::Forward);
            let mut all = from_start.await.expect("reads");
            while let Some(commits) = all.next_batch(PAGE).await.expect("reads") {
                for event in commits.into_iter().flatten() {
                    see(&event.payload);
                    ids.push(event.event_id);
                }
            }
        });
        let count = ids.len() as u64;
        *self.ids.lock().expect("nobody panicked") = ids;
        Some(count)
    }

    fn get(&self, offset: u64, see: &mut dyn FnMut(&[u8])) {
        let id = self.ids.lock().expect("nobody panicked")[offset as usize];
        let event = self.runtime.block_on(self.db.read_event(PARTITION, id));
        see(&event.expect("reads").expect("is there").payload);
    }

    fn tag(&self, tag: &str, see: &mut dyn FnMut(&[u8])) -> u64 {
        let mut count = 0;
        self.runtime.block_on(async {
            let of_tag = self.db.read_stream(PARTITION, stream(tag), 0, IterDirection::Forward);
            let mut events = of_tag.await.expect("reads");
            while let Some(commits) = events.next_batch(PAGE).await.expect("reads") {
                for event in commits.into_iter().flatten() {
                    see(&event.payload);
                    count += 1;
                }
            }
        });
        count
    }
}
