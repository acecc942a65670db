//! An older copy of the log is restored beside newer snapshots. A snapshot is used only if the log has its events.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals::{
    AppendError, AppendFuture, Appended, Backend, Batch, DirectorySnapshots, Event, EventRef,
    EventStore, Head, Journal, Memory, MemorySnapshots, NameCount, NameKind, RawEvent, ReadError,
    Reconstructor, Rejection, Selection, SnapshotPolicy, SnapshotStore, SnapshotVerdict, Stats,
};
use common::{Booking, Seat, end_of_time, freed, sold};

/// A time limit that only a failure reaches.
const EVER: Duration = Duration::from_secs(3600);

/// A policy with which a fold of 8 events has one possible snapshot too many, so it takes one at the end of the log.
fn policy() -> SnapshotPolicy {
    SnapshotPolicy::every(1).keep(3)
}

fn open(path: &Path) -> EventStore<Booking, Journal<Booking>> {
    EventStore::open(path).unwrap()
}

/// Appends events with this time.
fn append<B: Backend<Booking>>(
    store: &EventStore<Booking, B>,
    time_ms: u64,
    events: impl IntoIterator<Item = Booking>,
) {
    store.append_as(Batch::new(events.into_iter().collect()).time_ms(time_ms)).unwrap();
}

/// Copies the files of a store, but not its snapshots.
fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

/// A store of 40 events that lost its last 10 events and got others. The events of seat 1 before those end at offset 7.
struct Restored {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Restored {
    /// `before` are the last ten events of the folded log, `after` those of the log as it is now, both with
    /// the times at which they were recorded.
    fn new(before: (u64, Vec<Booking>), after: (u64, Vec<Booking>)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.store");
        let backup = directory.path().join("backup");
        append(&open(&path), 10, (0..8).map(|n| sold(1, n)).chain((8..30).map(|n| sold(2, n))));
        copy_files(&path, &backup);
        append(&open(&path), before.0, before.1);
        let store = open(&path);
        let mut seat = store.reconstruct(Seat(1)).snapshots(policy());
        assert_eq!(*seat.now().unwrap(), Some(7));
        assert_eq!(heads(&seat).last(), Some(&40), "one at the end");
        drop((seat, store));
        copy_files(&backup, &path);
        append(&open(&path), after.0, after.1);
        Self { _directory: directory, path }
    }

    /// Asserts that seat 1 is sold at this price, however the state is computed, and that the newest snapshot is
    /// refused.
    fn check(&self, price: Option<u64>) {
        let store = open(&self.path);
        assert_eq!(*store.reconstruct(Seat(1)).now().unwrap(), price, "a plain fold");
        let place = store.backend().snapshots().unwrap();
        let kept: Vec<_> = std::fs::read_dir(self.path.join("snapshots")).unwrap().collect();
        let series = kept[0].as_ref().unwrap().file_name().into_string().unwrap();
        let stale = place.load(&series, 40).unwrap();
        // Each of them starts with the same snapshots.
        let source = || {
            place.save(&series, 40, &stale).unwrap();
            store.reconstruct(Seat(1)).snapshots(policy())
        };
        let checks = source().verify_snapshots().unwrap();
        let ignored = |check: &annals::SnapshotCheck| {
            matches!(&check.verdict, SnapshotVerdict::Ignored { reason }
                if reason.contains("another event at 39"))
        };
        assert!(checks.iter().any(|check| check.head == 40 && ignored(check)), "{checks:?}");
        assert_eq!(source().at(u64::MAX).unwrap(), price);
        assert_eq!(source().at_time(end_of_time()).unwrap(), price);
        append(&store, 1_000, [sold(1, 77)]);
        let stepped = source();
        let step = stepped.steps(40..).unwrap().next().unwrap().unwrap();
        assert_eq!(step.state, Some(77));
        append(&store, 1_000, [freed(2)]);
        let live = source().live().unwrap();
        assert!(live.wait_for(41, EVER).unwrap());
        assert_eq!(**live.load(), Some(77));
        drop(live);
        source()
            .decide(|state| {
                assert_eq!(*state, Some(77));
                Ok::<_, Rejection>(vec![freed(1)])
            })
            .unwrap();
        assert_eq!(*source().now().unwrap(), None);
    }
}

fn heads<B: Backend<Booking>>(source: &Reconstructor<Seat, B>) -> Vec<u64> {
    source.verify_snapshots().unwrap().iter().map(|check| check.head).collect()
}

fn others(n: u64) -> Vec<Booking> {
    (0..n).map(|n| sold(3, n)).collect()
}

#[test]
fn events_in_another_order_are_detected_by_their_times() {
    // The event before the head of the snapshot is the same, but its time is later.
    let mut after = others(10);
    after[2] = sold(1, 99);
    Restored::new((20, others(10)), (21, after)).check(Some(99));
}

#[test]
fn other_events_with_the_same_times_are_detected_by_their_digests() {
    let mut after = others(10);
    after[2] = freed(1);
    after[9] = sold(4, 9);
    Restored::new((20, others(10)), (20, after)).check(None);
}

#[test]
fn the_last_event_of_the_projection_is_compared_by_its_digest() {
    // Of a log with given times: the event in front of the head is the same to the bit, and so is the last one's time.
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (directory.path().join("one"), directory.path().join("other"));
    open(&one);
    copy_files(&one, &other);
    let place: Arc<dyn SnapshotStore> =
        Arc::new(DirectorySnapshots::at(directory.path().join("snapshots")));
    for (path, price) in [(one, 1), (other, 2)] {
        let store = open(&path);
        append(&store, 10, (0..8).map(|n| sold(1, price * n)).chain(others(10)));
        let mut seat = store.reconstruct(Seat(1)).snapshots_in(place.clone(), policy());
        assert_eq!(*seat.now().unwrap(), Some(7 * price));
    }
}

#[test]
fn a_snapshot_is_used_even_if_the_program_cannot_decode_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    append(&open(&path), 10, (0..6).map(|n| sold(1, n)));
    let newer = RawEvent::builder("seat-upgraded").build().unwrap();
    EventStore::<RawEvent>::open(&path).unwrap().append(newer).unwrap();
    let store = open(&path);
    let source = || store.reconstruct(Seat(1)).snapshots(SnapshotPolicy::every(1));
    assert_eq!(*source().now().unwrap(), Some(5));
    let checks = source().verify_snapshots().unwrap();
    assert_eq!(checks.len(), 6);
    for check in checks {
        assert!(matches!(check.verdict, SnapshotVerdict::Good { .. }), "{check:?}");
    }
}

#[test]
fn a_snapshot_of_the_first_format_is_ignored_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = open(&path);
    append(&store, 10, (0..10).map(|n| sold(1, n)));
    let source = || store.reconstruct(Seat(1)).snapshots(policy());
    source().now().unwrap();
    let series = std::fs::read_dir(path.join("snapshots")).unwrap().next().unwrap().unwrap();
    let file = series.path().join("00000000000000000010.snapshot");
    let text = std::fs::read_to_string(&file).unwrap();
    let older = text.replacen("{\"annals_snapshot\":2,", "{\"annals_snapshot\":1,", 1);
    assert_ne!(older, text);
    std::fs::write(&file, older).unwrap();
    let log = common::logged(|| assert_eq!(*source().now().unwrap(), Some(9)));
    assert!(log.contains("it has format 1"), "{log}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_backend_without_an_index_of_ids_finds_them_by_reading() {
    let event = |n: u64| RawEvent::builder("paid").id(format!("id-{n}")).build().unwrap();
    let store = EventStore::<RawEvent, _>::on(Nameless::new());
    store.append_batch((0..9).map(event)).unwrap();
    assert_eq!((store.find("id-7").unwrap(), store.find("id-9").unwrap()), (Some(7), None));
    store.backend().1.store(true, Ordering::SeqCst);
    assert!(matches!(store.find("id-7"), Err(ReadError::Io { .. })));
}

/// A backend with only the required methods and without a store id, as another crate might implement it.
struct Nameless<E: Event>(Memory<E>, AtomicBool);

impl<E: Event> Nameless<E> {
    fn new() -> Self {
        Self(Memory::new(), AtomicBool::new(false))
    }
}

impl<E: Event> Backend<E> for Nameless<E> {
    fn append(&self, batch: Batch<E>) -> Result<Appended, AppendError> {
        self.0.append(batch)
    }

    fn submit(&self, batch: Batch<E>) -> AppendFuture {
        self.0.submit(batch)
    }

    fn head(&self) -> &Head<E> {
        self.0.head()
    }

    /// Fails once if the flag is set.
    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError> {
        if self.1.swap(false, Ordering::SeqCst) {
            let source = Arc::new(std::io::Error::other("injected"));
            return Err(ReadError::Io { path: "disk".into(), source });
        }
        self.0.get(offset)
    }

    fn read<'a>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, E>>,
    ) -> Result<Range<u64>, ReadError> {
        self.0.read(selection, page)
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        self.0.names(kind, prefix)
    }

    fn stats(&self) -> Stats {
        Backend::<E>::stats(&self.0)
    }

    fn close(&self) -> Result<(), AppendError> {
        self.0.close()
    }

    fn sync(&self) -> Result<(), AppendError> {
        Backend::<E>::sync(&self.0)
    }
}

#[test]
fn logs_without_an_id_that_share_a_snapshot_store_are_distinguished_by_their_events() {
    let place: Arc<dyn SnapshotStore> = Arc::new(MemorySnapshots::new());
    let log = |price: u64, last: Booking| {
        let store = EventStore::on(Nameless::new());
        append(&store, 10, (0..8).map(|n| sold(1, price + n)).chain(others(5)).chain([last]));
        let mut seat = store.reconstruct(Seat(1)).snapshots_in(place.clone(), policy());
        assert_eq!(*seat.now().unwrap(), Some(price + 7));
        assert_eq!(heads(&seat).last(), Some(&14));
    };
    log(100, sold(2, 1));
    log(200, sold(2, 1));
    log(300, sold(2, 2));
}

#[test]
fn a_snapshot_is_not_deleted_if_its_events_cannot_be_read_temporarily() {
    let place: Arc<dyn SnapshotStore> = Arc::new(MemorySnapshots::new());
    let store = EventStore::on(Nameless::new());
    append(&store, 10, (0..8).map(|n| sold(1, n)));
    let source = |every| {
        store
            .reconstruct(Seat(1))
            .snapshots_in(place.clone(), SnapshotPolicy::every(every).keep(20))
    };
    assert_eq!(*source(3).now().unwrap(), Some(7));
    append(&store, 10, (8..68).map(|n| sold(1, n)));
    let mut seat = source(50);
    store.backend().1.store(true, Ordering::SeqCst);
    let log = common::logged(|| assert_eq!(*seat.now().unwrap(), Some(67)));
    assert!(log.contains("head=6 reason=\"the event at 5 cannot be read"), "{log}");
    let heads = heads(&seat);
    assert!(heads.contains(&6) && heads.last() > Some(&6), "{heads:?}");
}

#[test]
fn logs_in_memory_that_share_a_snapshot_store_are_distinguished_by_their_ids() {
    let place: Arc<dyn SnapshotStore> = Arc::new(MemorySnapshots::new());
    for price in [100, 200] {
        let store = EventStore::in_memory();
        append(&store, 10, (0..6).map(|n| sold(1, price + n)).chain([sold(2, 1)]));
        let mut seat = store.reconstruct(Seat(1)).snapshots_in(place.clone(), policy());
        assert_eq!(*seat.now().unwrap(), Some(price + 5));
    }
}
