//! Snapshots: missing, damaged and outdated snapshots never change a state.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals::{
    Backend, DirectorySnapshots, EventStore, Journal, MemorySnapshots, Projection, Query,
    Reconstructor, Recorded, SnapshotPolicy, SnapshotStore, SnapshotVerdict,
};
use common::{AllSales, Booking, SALES, Sales, Seat, logged, model, nth};

fn bookings(count: u64) -> Vec<Booking> {
    (0..count).map(nth).collect()
}

fn memory(count: u64) -> EventStore<Booking> {
    let store = EventStore::in_memory();
    store.append_batch(bookings(count)).unwrap();
    store
}

/// Returns the heads of all snapshots, and asserts that each is good.
fn good_heads<P: Projection, B: Backend<P::Event>>(source: &Reconstructor<P, B>) -> Vec<u64> {
    let checks = source.verify_snapshots().unwrap();
    for check in &checks {
        assert!(matches!(check.verdict, SnapshotVerdict::Good { .. }), "{check:?}");
    }
    checks.iter().map(|check| check.head).collect()
}

/// A projection that counts the folded events.
struct Counted<'a>(AllSales, &'a AtomicU64);

impl Projection for Counted<'_> {
    type Event = Booking;
    type State = Sales;

    fn initial(&self) -> Sales {
        self.0.initial()
    }

    fn query(&self) -> Query {
        self.0.query()
    }

    fn apply(&self, state: &mut Sales, event: &Recorded<Booking>) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.apply(state, event);
    }

    fn name(&self) -> std::borrow::Cow<'_, str> {
        self.0.name().into_owned().into()
    }

    fn version(&self) -> u32 {
        self.0.version()
    }
}

/// Returns the state of a program that has just started, and the number of events that it folded.
fn from_scratch<B: Backend<Booking>>(
    store: &EventStore<Booking, B>,
    projection: AllSales,
    place: Option<Arc<dyn SnapshotStore>>,
) -> (Sales, u64) {
    let folded = AtomicU64::new(0);
    let source = store.reconstruct(Counted(projection, &folded));
    let policy = SnapshotPolicy::every(10);
    let mut source = match place {
        Some(place) => source.snapshots_in(place, policy),
        None => source.snapshots(policy),
    };
    let state = source.now().unwrap().clone();
    (state, folded.load(Ordering::Relaxed))
}

#[test]
fn the_last_snapshots_are_kept_and_folds_start_at_them() {
    let store = memory(105);
    let policy = SnapshotPolicy::every(10).keep(3);
    let mut source = store.reconstruct(SALES).snapshots(policy);
    assert_eq!(*source.now().unwrap(), model(&bookings(105)));
    assert_eq!(good_heads(&source), [80, 90, 100]);
    store.append_batch(bookings(5)).unwrap();
    source.now().unwrap();
    assert_eq!(good_heads(&source), [90, 100, 110]);
    assert_eq!(from_scratch(&store, SALES, None).1, 0);
    // Another projection has snapshots of its own.
    let mut seat = store.reconstruct(Seat(1)).snapshots(SnapshotPolicy::every(1).keep(1));
    seat.now().unwrap();
    assert_eq!((good_heads(&seat).len(), good_heads(&source).len()), (1, 3));
}

#[test]
fn by_default_there_is_a_snapshot_every_thousand_events_and_ten_are_kept() {
    let store = memory(12_500);
    let mut source = store.reconstruct(SALES).snapshots(SnapshotPolicy::default());
    source.now().unwrap();
    assert_eq!(good_heads(&source), (3..=12).map(|n| n * 1_000).collect::<Vec<_>>());
}

#[test]
fn a_journal_stores_snapshots_in_its_directory_and_opens_with_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    {
        let store = EventStore::open(&path).unwrap();
        store.append_batch(bookings(100)).unwrap();
        assert_eq!(from_scratch(&store, SALES, None), (model(&bookings(100)), 100));
    }
    let [series] = &list(&path.join("snapshots"))[..] else { panic!("one projection") };
    assert_eq!(list(series).len(), 10);
    assert_eq!(annals::verify(&path).unwrap().problems, []);
    let store = EventStore::open(&path).unwrap();
    assert_eq!(from_scratch(&store, SALES, None), (model(&bookings(100)), 0));
    std::fs::remove_dir_all(path.join("snapshots")).unwrap();
    assert_eq!(from_scratch(&store, SALES, None), (model(&bookings(100)), 100));
}

#[test]
fn a_store_can_be_created_in_a_directory_that_has_only_snapshots() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    std::fs::create_dir_all(path.join("snapshots")).unwrap();
    std::fs::write(path.join("snapshots/left.snapshot"), "from another store").unwrap();
    EventStore::open(&path).unwrap().append(nth(0)).unwrap();
    assert!(path.join("snapshots/left.snapshot").exists());
    assert_eq!(EventStore::<Booking>::open(&path).unwrap().len(), 1);
}

/// A Journal of 100 events with its snapshots at 10, 20, … 100.
struct Kept {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Kept {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.store");
        let store = EventStore::open(&path).unwrap();
        store.append_batch(bookings(100)).unwrap();
        from_scratch(&store, SALES, None);
        Self { _directory: directory, path }
    }

    fn open(&self) -> EventStore<Booking, Journal<Booking>> {
        EventStore::open(&self.path).unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        list(&list(&self.path.join("snapshots"))[0])
    }
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn reasons(source: &Reconstructor<AllSales, Journal<Booking>>) -> Vec<(u64, String)> {
    let ignored = |check: annals::SnapshotCheck| match check.verdict {
        SnapshotVerdict::Ignored { reason } => Some((check.head, reason)),
        _ => None,
    };
    source.verify_snapshots().unwrap().into_iter().filter_map(ignored).collect()
}

/// Asserts that the newest snapshot is ignored for this reason, that `folded` events are folded instead, and
/// that the state is right.
fn check_ignored(kept: &Kept, reason: &str, folded: u64) {
    let store = kept.open();
    let source = store.reconstruct(SALES).snapshots(SnapshotPolicy::every(10));
    let found = reasons(&source);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.contains(reason), "{found:?}");
    let state = model(&bookings(100));
    let log = logged(|| {
        assert_eq!(source.at(u64::MAX).unwrap(), state);
        assert_eq!(from_scratch(&store, SALES, None), (state, folded));
    });
    assert!(log.contains("a snapshot is ignored") && log.contains(reason), "{log}");
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).unwrap();
    change(&mut bytes);
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_damaged_or_torn_or_empty_snapshot_is_ignored() {
    for damage in [
        (|bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() = b' ') as fn(&mut Vec<u8>),
        |bytes| bytes.truncate(bytes.len() / 2),
        Vec::clear,
        |bytes| bytes.fill(0),
        |bytes| bytes.extend_from_slice(b"{}"),
    ] {
        let kept = Kept::new();
        change(&kept.files()[9], damage);
        check_ignored(&kept, "it is", 10);
        // A good snapshot has replaced it.
        let store = kept.open();
        assert_eq!(reasons(&store.reconstruct(SALES).snapshots(SnapshotPolicy::every(10))), []);
    }
}

#[test]
fn a_snapshot_that_seems_larger_than_memory_is_ignored() {
    let kept = Kept::new();
    let file = std::fs::File::options().write(true).open(&kept.files()[9]).unwrap();
    // A sparse file of 8 TiB.
    file.set_len(1 << 43).unwrap();
    check_ignored(&kept, "it cannot be read", 10);
    // A good snapshot has replaced it.
    let store = kept.open();
    assert_eq!(reasons(&store.reconstruct(SALES).snapshots(SnapshotPolicy::every(10))), []);
}

#[test]
fn a_snapshot_of_another_head_is_ignored() {
    let kept = Kept::new();
    std::fs::copy(&kept.files()[0], &kept.files()[9]).unwrap();
    check_ignored(&kept, "head 10", 10);
}

#[test]
fn a_snapshot_of_another_store_is_ignored() {
    let (kept, other) = (Kept::new(), Kept::new());
    std::fs::copy(&other.files()[9], &kept.files()[9]).unwrap();
    check_ignored(&kept, "another store", 10);
}

#[test]
fn a_snapshot_from_beyond_the_head_is_ignored() {
    let kept = Kept::new();
    let beyond = kept.files()[9].to_str().unwrap().replace("100.snapshot", "101.snapshot");
    std::fs::copy(&kept.files()[9], beyond).unwrap();
    check_ignored(&kept, "beyond the log's head, 100", 0);
}

#[test]
fn a_snapshot_of_a_log_that_lost_its_end_and_got_other_events_is_ignored() {
    // As after the restore of an older copy: the same store and length, but another history.
    let directory = tempfile::tempdir().unwrap();
    let (early, late) = (directory.path().join("early.store"), directory.path().join("late.store"));
    EventStore::open(&early).unwrap().append_batch(bookings(50)).unwrap();
    std::fs::create_dir(&late).unwrap();
    for file in std::fs::read_dir(&early).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), late.join(file.file_name())).unwrap();
    }
    let store = EventStore::open(&early).unwrap();
    store.append_batch(bookings(50)).unwrap();
    from_scratch(&store, SALES, None);
    let place: Arc<dyn SnapshotStore> = Arc::new(DirectorySnapshots::at(early.join("snapshots")));

    let store = EventStore::open(&late).unwrap();
    let frees: Vec<_> = (0..50).map(common::freed).collect();
    store.append_batch(frees.clone()).unwrap();
    let state = model(&[bookings(50), frees].concat());
    // The snapshots at 10 to 50 cover only events that the log still has.
    assert_eq!(from_scratch(&store, SALES, Some(place)), (state, 50));
}

#[test]
fn a_snapshot_of_another_version_is_ignored_and_replaced() {
    let kept = Kept::new();
    let store = kept.open();
    let state = model(&bookings(100));
    let newer = AllSales { version: 2 };
    assert_eq!(from_scratch(&store, newer, None), (state.clone(), 100));
    assert_eq!(from_scratch(&store, newer, None), (state.clone(), 0));
    assert_eq!(from_scratch(&store, SALES, None), (state, 100));
}

#[test]
fn a_projection_that_changed_without_its_version_is_detected() {
    struct Changed;
    impl Projection for Changed {
        type Event = Booking;
        type State = Sales;
        fn initial(&self) -> Sales {
            Sales::default()
        }
        fn query(&self) -> Query {
            SALES.query()
        }
        fn apply(&self, (_, count): &mut Sales, _: &Recorded<Booking>) {
            *count += 1;
        }
        fn name(&self) -> std::borrow::Cow<'_, str> {
            "sales".into()
        }
    }
    let store = memory(30);
    store.reconstruct(SALES).snapshots(SnapshotPolicy::every(10)).now().unwrap();
    let changed = store.reconstruct(Changed).snapshots(SnapshotPolicy::every(10));
    let checks = changed.verify_snapshots().unwrap();
    assert_eq!(checks.len(), 3);
    for check in checks {
        assert!(matches!(check.verdict, SnapshotVerdict::Differs { .. }), "{check:?}");
    }
}

#[test]
fn no_snapshot_is_taken_after_an_event_that_was_passed_over() {
    use annals::{RawEvent, UnknownEvents};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    EventStore::open(&path).unwrap().append_batch(bookings(25)).unwrap();
    let newer = RawEvent::builder("seat-upgraded").build().unwrap();
    EventStore::<RawEvent>::open(&path).unwrap().append(newer).unwrap();
    let store = EventStore::open(&path).unwrap();
    store.append_batch(bookings(25)).unwrap();
    let source = store.reconstruct(SALES).unknown_events(UnknownEvents::PassOver);
    let mut source = source.snapshots(SnapshotPolicy::every(10));
    source.now().unwrap();
    assert_eq!(good_heads(&source), [10, 20]);
}

/// A snapshot store whose methods all fail.
#[derive(Debug)]
struct Broken;

impl SnapshotStore for Broken {
    fn save(&self, _: &str, _: u64, _: &[u8]) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
    fn load(&self, _: &str, _: u64) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::PermissionDenied.into())
    }
    fn heads(&self, _: &str) -> std::io::Result<Vec<u64>> {
        Ok(vec![10, 20])
    }
    fn remove(&self, _: &str, _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::PermissionDenied.into())
    }
}

#[test]
fn a_snapshot_store_that_fails_never_changes_a_state() {
    let store = memory(35);
    assert_eq!(from_scratch(&store, SALES, Some(Arc::new(Broken))), (model(&bookings(35)), 35));
}

/// A snapshot store that can only be read.
#[derive(Debug)]
struct ReadOnly(Arc<dyn SnapshotStore>);

impl SnapshotStore for ReadOnly {
    fn save(&self, _: &str, _: u64, _: &[u8]) -> std::io::Result<()> {
        panic!("a snapshot is saved");
    }
    fn load(&self, series: &str, head: u64) -> std::io::Result<Vec<u8>> {
        self.0.load(series, head)
    }
    fn heads(&self, series: &str) -> std::io::Result<Vec<u64>> {
        self.0.heads(series)
    }
    fn remove(&self, _: &str, _: u64) -> std::io::Result<()> {
        panic!("a snapshot is removed");
    }
    fn is_read_only(&self) -> bool {
        true
    }
}

#[test]
fn a_read_only_snapshot_store_is_used_and_never_written_to() {
    let store = memory(35);
    let saved: Arc<dyn SnapshotStore> = Arc::new(MemorySnapshots::new());
    let read_only = || Arc::new(ReadOnly(Arc::clone(&saved)));
    assert_eq!(from_scratch(&store, SALES, Some(read_only())), (model(&bookings(35)), 35));
    let (_, folded) = from_scratch(&store, SALES, Some(Arc::clone(&saved)));
    assert_eq!(folded, 35, "nothing was saved before");
    let (state, folded) = from_scratch(&store, SALES, Some(read_only()));
    assert_eq!(state, model(&bookings(35)));
    assert!(folded < 35, "it begins at a snapshot: {folded}");
}
