//! Functions that the tests share.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use annals::{Backend, EventStore, RawEvent};
use annals_consumer::{CheckpointStore, MemoryCheckpoints};

/// Returns a store on any backend.
pub(crate) fn boxed<E: annals::Event>(
    backend: impl Backend<E> + 'static,
) -> EventStore<E, Box<dyn Backend<E>>> {
    EventStore::<E, _>::on(Box::new(backend))
}

/// Returns an event with a number, and one of five keys by it.
pub(crate) fn event(number: u64) -> RawEvent {
    let event = RawEvent::builder("counted").tag(format!("key:{}", number % 5));
    event.data(number.to_string()).build().unwrap()
}

/// Appends events with these numbers.
pub(crate) fn append<B: Backend<RawEvent>>(store: &EventStore<RawEvent, B>, numbers: Range<u64>) {
    store.append_batch(numbers.map(event)).unwrap();
}

/// Copies a directory with everything in it.
pub(crate) fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Positions in memory, with the number of saves.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    inner: MemoryCheckpoints,
    pub(crate) saves: AtomicU64,
}

impl CheckpointStore for Counting {
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.inner.load(name)
    }

    fn save(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.saves.fetch_add(1, Ordering::Relaxed);
        self.inner.save(name, bytes)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.inner.names()
    }
}
