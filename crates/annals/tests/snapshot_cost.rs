//! The cost of snapshots: it is small compared with the fold, for long logs and for large states.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use annals::{
    DirectorySnapshots, EventStore, FileId, FileSystem, Projection, Query, RealFileSystem,
    Reconstructor, Recorded, SnapshotPolicy, SnapshotStore, StoreDirectory, StoreFile,
};
use common::{Booking, nth, sold};
use serde::{Deserialize, Serialize};

thread_local! {
    /// The sum of the sizes of all cloned states.
    static CLONED: Cell<u64> = const { Cell::new(0) };
    static FOLDED: Cell<u64> = const { Cell::new(0) };
}

/// A state that simulates one whose size is the number of its events.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Grown(u64);

impl Clone for Grown {
    fn clone(&self) -> Self {
        CLONED.set(CLONED.get() + self.0);
        Self(self.0)
    }
}

struct Grow(Query);

impl Projection for Grow {
    type Event = Booking;
    type State = Grown;

    fn initial(&self) -> Grown {
        Grown(0)
    }

    fn query(&self) -> Query {
        self.0.clone()
    }

    fn apply(&self, state: &mut Grown, _: &Recorded<Booking>) {
        FOLDED.set(FOLDED.get() + 1);
        state.0 += 1;
    }
}

fn log(events: impl IntoIterator<Item = Booking>) -> EventStore<Booking> {
    let store = EventStore::in_memory();
    let events: Vec<_> = events.into_iter().collect();
    for batch in events.chunks(50_000) {
        store.append_batch(batch.to_vec()).unwrap();
    }
    store
}

/// Folds to the end. Returns the number of folded events and the sum of the sizes of all cloned states.
fn now(source: &mut Reconstructor<Grow>) -> (u64, u64) {
    FOLDED.set(0);
    CLONED.set(0);
    source.now().unwrap();
    (FOLDED.get(), CLONED.get())
}

fn heads(source: &Reconstructor<Grow>) -> Vec<u64> {
    source.verify_snapshots().unwrap().iter().map(|check| check.head).collect()
}

#[test]
fn a_long_fold_clones_few_states() {
    const EVENTS: u64 = 60_000;
    let store = log((0..EVENTS).map(nth));
    let policy = SnapshotPolicy::every(100).keep(3);
    for query in [Query::all(), Query::event_type("seat-sold")] {
        let mut source = store.reconstruct(Grow(query)).snapshots(policy);
        let (folded, cloned) = now(&mut source);
        assert!(folded >= EVENTS * 3 / 4);
        // Three clones for the snapshots that are kept, and four during the fold.
        assert!(cloned <= 8 * folded, "{cloned} for {folded} events");
        assert_eq!(heads(&source).len(), 3);
    }
}

#[test]
fn a_projection_that_reads_few_events_begins_near_the_last_of_them() {
    // The last event of the projection is far from the end, and the fold could not know that it would be the last.
    for rest in [0, 500_000] {
        let rare = (0..100_000).map(|n| if n % 10 == 0 { sold(1, n) } else { sold(2, n) });
        let store = log(rare.chain((0..rest).map(|n| sold(3, n))));
        let policy = SnapshotPolicy::every(100).keep(5);
        let anew = || store.reconstruct(Grow(Query::tag("seat:1"))).snapshots(policy);
        let mut source = anew();
        let (folded, cloned) = now(&mut source);
        assert_eq!(folded, 10_000);
        assert!(cloned <= 10 * folded, "{cloned}");
        assert_eq!(heads(&source).len(), 5);
        let (folded, _) = now(&mut anew());
        assert!(folded < 100, "{folded}");
        // As events are appended, snapshots are written.
        for n in 0..250 {
            store.append(sold(1, n)).unwrap();
            source.now().unwrap();
        }
        assert_eq!(heads(&source).len(), 5);
        let (folded, _) = now(&mut anew());
        assert!(folded < 100, "{folded}");
    }
}

/// The file system of the operating system, with a count of the listed names.
#[derive(Debug, Default, Clone)]
struct Listed(Arc<AtomicUsize>);

impl FileSystem for Listed {
    fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>> {
        Ok(Arc::new(ListedDirectory(RealFileSystem.open_directory(path)?, self.clone())))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.create_directory(path)
    }
}

#[derive(Debug)]
struct ListedDirectory(Arc<dyn StoreDirectory>, Listed);

impl StoreDirectory for ListedDirectory {
    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.0.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.0.open(name)
    }

    fn open_read_only(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.0.open_read_only(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = self.0.list()?;
        self.1.0.fetch_add(names.len(), Ordering::Relaxed);
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn create_directory(&self, name: &str) -> io::Result<()> {
        self.0.create_directory(name)
    }

    fn open_directory(&self, name: &str) -> io::Result<Arc<dyn StoreDirectory>> {
        Ok(Arc::new(Self(self.0.open_directory(name)?, self.1.clone())))
    }

    fn file_id(&self, name: &str) -> io::Result<Option<FileId>> {
        self.0.file_id(name)
    }
}

#[test]
fn a_projection_does_not_list_the_snapshots_of_others() {
    let directory = tempfile::tempdir().unwrap();
    let system = Listed::default();
    let place =
        DirectorySnapshots::on(Arc::new(system.clone()), directory.path().join("snapshots"));
    let place: Arc<dyn SnapshotStore> = Arc::new(place);
    let store = log((0..100).map(|n| sold(n, 1)));
    let source = |n: u32| {
        let grow = Grow(Query::tag(format!("seat:{n}")));
        store.reconstruct(grow).snapshots_in(place.clone(), SnapshotPolicy::every(1).keep(2))
    };
    for n in 0..100 {
        source(n).now().unwrap();
    }
    system.0.store(0, Ordering::Relaxed);
    assert_eq!(source(7).at(7).unwrap(), Grown(1));
    source(8).now().unwrap();
    let listed = system.0.load(Ordering::Relaxed);
    assert!(listed <= 10, "{listed}");
}
