//! A return to an older copy of the log, with newer snapshots beside it: none of them is trusted beyond what the two
//! logs have in common.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals::{
    AppendError, AppendFuture, Backend, Batch, DirectorySnapshots, EventRef, EventStore, Head,
    Journal, Memory, MemorySnapshots, NameCount, NameKind, RawEvent, ReadError, Reconstructor,
    Rejection, Selection, SnapshotPolicy, SnapshotStore, SnapshotVerdict, Stats,
};
use common::{Booking, Seat, freed, sold};

/// Long enough to be reached only by what does not work.
const EVER: Duration = Duration::from_hours(1);

/// A fold of 8 events comes by one at which it would take a snapshot too many; it takes that at the log's end.
fn policy() -> SnapshotPolicy {
    SnapshotPolicy::every(1).keep(3)
}

fn open(path: &Path) -> EventStore<Booking, Journal<Booking>> {
    EventStore::open(path).unwrap()
}

/// Appends events recorded at this time.
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

/// A store whose events of seat 1 end at offset 7, of whose 40 events the last 10 are lost and came anew.
struct Restored {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Restored {
    /// `before` are the last ten events of the log that was folded, `after` those of the log as it is now, both with
    /// the time at which they were recorded.
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

    /// Asserts that every way to a state comes to seat 1 being sold at this price, and that the newest snapshot is
    /// found out.
    fn check(&self, price: Option<u64>) {
        let store = open(&self.path);
        assert_eq!(*store.reconstruct(Seat(1)).now().unwrap(), price, "a plain fold");
        let place = store.backend().snapshots().unwrap();
        let kept: Vec<_> = std::fs::read_dir(self.path.join("snapshots")).unwrap().collect();
        let series = kept[0].as_ref().unwrap().file_name().into_string().unwrap();
        let stale = place.load(&series, 40).unwrap();
        // Each finds the snapshots as they were.
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
        assert_eq!(source().at_time(u64::MAX).unwrap(), price);
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
fn events_that_came_in_other_order_are_found_out_by_their_time() {
    // The very same event stands in front of the snapshot's head, but later.
    let mut after = others(10);
    after[2] = sold(1, 99);
    Restored::new((20, others(10)), (21, after)).check(Some(99));
}

#[test]
fn events_of_the_same_time_are_found_out_by_what_they_are() {
    let mut after = others(10);
    after[2] = freed(1);
    after[9] = sold(4, 9);
    Restored::new((20, others(10)), (20, after)).check(None);
}

#[test]
fn the_projections_own_last_event_is_compared_by_what_it_is() {
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
fn an_event_that_this_program_cannot_read_does_not_hinder_a_snapshot() {
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

/// A backend of another crate: without an id, and with no more than it must have.
struct Nameless(Memory<Booking>, AtomicBool);

impl Nameless {
    fn new() -> Self {
        Self(Memory::new(), AtomicBool::new(false))
    }
}

impl Backend<Booking> for Nameless {
    fn append(&self, batch: Batch<Booking>) -> Result<Range<u64>, AppendError> {
        self.0.append(batch)
    }

    fn submit(&self, batch: Batch<Booking>) -> AppendFuture {
        self.0.submit(batch)
    }

    fn head(&self) -> &Head<Booking> {
        self.0.head()
    }

    /// Fails once if the flag is set.
    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, Booking>>, ReadError> {
        if self.1.swap(false, Ordering::SeqCst) {
            let source = Arc::new(std::io::Error::other("injected"));
            return Err(ReadError::Io { path: "disk".into(), source });
        }
        self.0.get(offset)
    }

    fn read<'a>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, Booking>>,
    ) -> Result<Range<u64>, ReadError> {
        self.0.read(selection, page)
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        self.0.names(kind, prefix)
    }

    fn stats(&self) -> Stats {
        Backend::<Booking>::stats(&self.0)
    }

    fn close(&self) -> Result<(), AppendError> {
        self.0.close()
    }

    fn sync(&self) -> Result<(), AppendError> {
        Backend::<Booking>::sync(&self.0)
    }
}

#[test]
fn logs_without_an_id_that_share_a_place_are_told_apart_by_their_events() {
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
fn a_snapshot_is_kept_if_an_event_that_it_is_compared_with_could_not_be_read_this_time() {
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
fn logs_in_memory_that_share_a_place_are_told_apart_by_their_ids() {
    let place: Arc<dyn SnapshotStore> = Arc::new(MemorySnapshots::new());
    for price in [100, 200] {
        let store = EventStore::in_memory();
        append(&store, 10, (0..6).map(|n| sold(1, price + n)).chain([sold(2, 1)]));
        let mut seat = store.reconstruct(Seat(1)).snapshots_in(place.clone(), policy());
        assert_eq!(*seat.now().unwrap(), Some(price + 5));
    }
}
