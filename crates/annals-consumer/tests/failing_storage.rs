//! A consumer whose position cannot be saved.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals::{EventStore, Waited};
use annals_consumer::{CheckpointStore, ConsumerError, Consumers as _, MemoryCheckpoints};
use common::append;

/// Storage without room, until it gets some.
#[derive(Debug, Default)]
struct Full {
    storage: MemoryCheckpoints,
    has_room: AtomicBool,
}

impl CheckpointStore for Full {
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.storage.load(name)
    }

    fn save(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if self.has_room.load(Ordering::SeqCst) {
            self.storage.save(name, bytes)
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.storage.remove(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.storage.names()
    }
}

#[test]
fn a_position_that_cannot_be_saved_is_one_error_in_each_pause() {
    let storage = Arc::new(Full::default());
    let store = EventStore::in_memory();
    let start = |pause| {
        let consumer = store.consumer("mailer").checkpoints(Arc::clone(&storage) as _);
        consumer.retry_after(pause).start().unwrap()
    };
    append(&store, 0..3);
    let mut consumer = start(Duration::from_secs(3_600));
    for _ in 0..3 {
        consumer.try_next().unwrap().unwrap().ack().unwrap();
    }
    let failed = consumer.try_next();
    assert!(matches!(failed, Some(Err(ConsumerError::Position { .. }))), "{failed:?}");
    // The pause lasts an hour: no second error, and new events come.
    assert!(consumer.try_next().is_none());
    append(&store, 3..4);
    consumer.try_next().unwrap().unwrap().ack().unwrap();
    assert!(consumer.try_next().is_none());
    drop(consumer);

    // Without a pause: the next wait saves the position, once there is room.
    let mut consumer = start(Duration::ZERO);
    for _ in 0..4 {
        consumer.try_next().unwrap().unwrap().ack().unwrap();
    }
    assert!(consumer.try_next().unwrap().is_err());
    storage.has_room.store(true, Ordering::SeqCst);
    assert!(matches!(consumer.next_timeout(Duration::ZERO), Ok(Waited::TimedOut)));
    assert_eq!(storage.names().unwrap(), ["mailer"]);
}
