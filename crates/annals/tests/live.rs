//! Live projections: they catch up, are never wrong, and never block readers or writers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::time::Duration;

use annals::{Backend, EventStore, LiveError, Projection, Query, Recorded, SnapshotPolicy};
use common::{Booking, SALES, model, nth};

/// A time limit that only a failure reaches.
const EVER: Duration = Duration::from_secs(3600);

fn check_beside_writers<B: Backend<Booking> + 'static>(
    store: &EventStore<Booking, B>,
    events: u64,
) {
    store.append_batch((0..10).map(nth)).unwrap();
    let live = store.reconstruct(SALES).snapshots(SnapshotPolicy::every(100)).live().unwrap();
    assert_eq!(live.load().1, 10);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..events {
                    let offset = store.append(nth(n)).unwrap();
                    if n % 16 == 0 {
                        assert!(live.wait_for(offset, EVER).unwrap());
                        assert!(live.load().head() > offset && live.head() > offset);
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let mut reader = live.reader();
                let (mut last, end) = (0, 10 + 2 * events);
                while last < end {
                    let state = reader.load();
                    // Every event changes the state, so the state belongs to exactly one head.
                    assert_eq!(state.1, state.head());
                    assert!(state.head() >= last);
                    last = state.head();
                    assert!(live.load().head() >= last);
                }
            });
        }
    });
    let all: Vec<Booking> = store.read(..).map(|event| event.unwrap().event.clone()).collect();
    assert_eq!(**live.load(), model(&all));
}

#[test]
fn a_live_projection_is_right_beside_writers_in_memory() {
    check_beside_writers(&EventStore::in_memory(), 3_000);
}

#[test]
fn a_live_projection_is_right_beside_writers_in_files() {
    let directory = tempfile::tempdir().unwrap();
    check_beside_writers(&EventStore::open(directory.path().join("log.store")).unwrap(), 100);
}

#[test]
fn a_live_projection_ends_when_it_is_dropped_and_stays_readable_after_the_log_is_closed() {
    let store = EventStore::in_memory();
    store.append(nth(0)).unwrap();
    drop(store.reconstruct(SALES).live().unwrap());
    let live = store.reconstruct(SALES).live().unwrap();
    let held = live.load();
    store.append(nth(1)).unwrap();
    store.close().unwrap();
    assert!(live.wait_for(1, EVER).unwrap());
    assert!(matches!(live.wait_for(2, EVER), Err(LiveError::Closed)));
    drop(store);
    assert_eq!((held.1, live.load().1), (1, 2));
}

#[test]
fn no_caller_waits_for_an_offset_after_the_end_of_a_closed_log() {
    let store = EventStore::in_memory();
    store.append(nth(0)).unwrap();
    let live = store.reconstruct(SALES).live().unwrap();
    assert!(!live.wait_for(1, Duration::ZERO).unwrap(), "the log is open");
    let (sender, results) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for timeout in [EVER * 2, Duration::MAX] {
            let (sender, live) = (sender.clone(), &live);
            scope.spawn(move || sender.send(live.wait_for(9, timeout)).unwrap());
        }
        store.append(nth(1)).unwrap();
        store.close().unwrap();
        for _ in 0..2 {
            // If a call does not return, this fails at its time limit.
            let waited = results.recv_timeout(EVER).expect("the call returns");
            assert!(matches!(waited, Err(LiveError::Closed)));
        }
    });
    assert!(matches!(live.wait_for(2, Duration::MAX), Err(LiveError::Closed)));
    assert!(live.wait_for(1, Duration::MAX).unwrap());
    assert!(live.failure().is_none());
}

/// Panics at offset 2.
struct Panics;

impl Projection for Panics {
    type Event = Booking;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, count: &mut u64, event: &Recorded<Booking>) {
        assert!(event.offset < 2, "the projection is wrong");
        *count += 1;
    }
}

#[test]
fn a_live_projection_that_panics_reports_it_and_keeps_its_last_state() {
    let store = EventStore::in_memory();
    let live = store.reconstruct(Panics).live().unwrap();
    store.append(nth(0)).unwrap();
    assert!(live.wait_for(0, EVER).unwrap());
    store.append_batch((1..4).map(nth)).unwrap();
    assert!(matches!(live.wait_for(3, EVER), Err(LiveError::Panicked)));
    assert_eq!(**live.load(), 1);
    assert!(matches!(live.failure(), Some(LiveError::Panicked)));
}

#[test]
fn a_live_projection_that_cannot_read_an_event_reports_it() {
    use annals::RawEvent;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    let reader = EventStore::<Booking>::open_read_only(&path).unwrap();
    let live = reader.reconstruct(SALES).live().unwrap();
    store.append(RawEvent::builder("seat-upgraded").build().unwrap()).unwrap();
    let error = live.wait_for(0, EVER).unwrap_err();
    assert!(error.to_string().contains("seat-upgraded"), "{error}");
    assert_eq!(live.load().1, 0);
}

#[test]
fn a_live_projection_that_cannot_read_an_event_has_the_state_before_it() {
    use annals::RawEvent;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    let reader = EventStore::<Booking>::open_read_only(&path).unwrap();
    let live = reader.reconstruct(SALES).live().unwrap();
    let freed = |seat: &str| {
        let data = format!(r#"{{"seat":{seat}}}"#);
        RawEvent::builder("seat-freed").data(data).build().unwrap()
    };
    let batch = [freed("1"), freed("2"), freed("\"three\""), freed("4")];
    store.append_batch(batch).unwrap();
    assert!(live.wait_for(3, EVER).is_err());
    assert_eq!((live.load().1, live.head()), (2, 2));
    assert!(live.wait_for(1, EVER).unwrap());
    assert!(matches!(live.failure(), Some(LiveError::Read(_))));
}
