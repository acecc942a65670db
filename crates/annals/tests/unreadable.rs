//! Events that cannot be read: each is one error for every kind of reader, and no reader stops or spins because of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use annals::{
    Backend, EventRef, EventStore, Journal, Query, RawEvent, ReadError, Subscription, UnknownEvents,
};
use common::{Booking, SALES, freed, nth};
use futures_util::Stream;

type Read = Result<u64, ReadError>;

fn raw(event_type: &str, data: &str) -> RawEvent {
    RawEvent::builder(event_type).tag("seat:1").data(data.to_owned()).build().unwrap()
}

/// Returns a log of readable events, except unknown types at 1, 2 and 7, and a payload that cannot be decoded at 4.
fn mixed(directory: &Path) -> EventStore<Booking, Journal<Booking>> {
    let path = directory.join("log.store");
    let good = || raw("seat-freed", r#"{"seat":1}"#);
    let unknown = || raw("seat-upgraded", "{}");
    let bad = raw("seat-freed", r#"{"seat":"one"}"#);
    let events = [good(), unknown(), unknown(), good(), bad, good(), good(), unknown(), good()];
    EventStore::<RawEvent>::open(&path).unwrap().append_batch(events).unwrap();
    EventStore::open(&path).unwrap()
}

fn offset(read: Result<EventRef<'_, Booking>, ReadError>) -> Read {
    read.map(|event| event.offset)
}

/// Returns the offset of each read, and whether it returned an event. Panics if an error is not a decoding error.
fn outcomes(reads: &[Read]) -> Vec<(u64, bool)> {
    let one = |read: &Read| match read {
        Ok(offset) => (*offset, true),
        Err(ReadError::Decode { offset, .. }) => (*offset, false),
        Err(error) => panic!("{error}"),
    };
    reads.iter().map(one).collect()
}

/// A waker that counts its calls.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns the items that a stream gives until it ends, or is pending without having woken its task. Also returns the
/// largest number of items between two polls that were pending.
fn drain<B: Backend<Booking>>(cursor: Subscription<'_, Booking, B>) -> (Vec<Read>, usize) {
    let mut stream = cursor.stream();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let (mut reads, mut at_once, mut most) = (Vec::new(), 0, 0);
    loop {
        match Pin::new(&mut stream).poll_next(&mut context) {
            Poll::Ready(Some(read)) => {
                reads.push(offset(read));
                at_once += 1;
                most = most.max(at_once);
                assert!(reads.len() < 100_000, "it spins: {:?}", reads.last());
            }
            Poll::Pending if woken.0.swap(0, Ordering::Relaxed) > 0 => at_once = 0,
            Poll::Ready(None) | Poll::Pending => return (reads, most),
        }
    }
}

const ALL: [(u64, bool); 9] = [
    (0, true),
    (1, false),
    (2, false),
    (3, true),
    (4, false),
    (5, true),
    (6, true),
    (7, false),
    (8, true),
];

#[test]
fn an_event_that_cannot_be_decoded_is_one_error_for_cursors_and_streams() {
    let directory = tempfile::tempdir().unwrap();
    let store = mixed(directory.path());
    for query in [Query::all(), Query::tag("seat:1")] {
        assert_eq!(outcomes(&drain(store.subscription(query.clone(), 0)).0), ALL);
        let mut cursor = store.subscription(query, 0);
        for expected in ALL {
            assert_eq!(cursor.position(), expected.0);
            let read = offset(cursor.try_next().unwrap());
            assert_eq!(outcomes(&[read]), [expected]);
            assert_eq!(cursor.position(), expected.0 + 1);
        }
        assert!(cursor.try_next().is_none() && !cursor.is_stopped());
    }
    // A loop that logs errors and goes on ends at the end of the log.
    let cursor = store.subscription(Query::all(), 0);
    store.close().unwrap();
    assert_eq!(outcomes(&cursor.map(offset).collect::<Vec<_>>()), ALL);
    assert_eq!(outcomes(&drain(store.subscription(Query::all(), 0)).0), ALL);
}

#[test]
fn events_of_unknown_types_are_passed_over_and_counted_if_configured() {
    let directory = tempfile::tempdir().unwrap();
    let store = mixed(directory.path());
    let known: Vec<_> = ALL.into_iter().filter(|(offset, _)| ![1, 2, 7].contains(offset)).collect();
    let pass = UnknownEvents::PassOver;
    let cursor = || store.subscription(Query::all(), 0).unknown_events(pass);
    assert_eq!(outcomes(&drain(cursor()).0), known);
    let mut one = cursor();
    while one.try_next().is_some() {}
    assert_eq!((one.passed_over(), one.position()), (3, 9));
    let mut stream = store.subscription(Query::all(), 0).stream().unknown_events(pass);
    stream.seek(7);
    let next = futures_executor::block_on(futures_util::StreamExt::next(&mut stream));
    assert_eq!(offset(next.unwrap()).unwrap(), 8);
    assert_eq!((stream.passed_over(), stream.position(), stream.is_stopped()), (1, 9, false));
    let mut events = store.read(..).unknown_events(pass);
    assert_eq!(outcomes(&events.by_ref().map(offset).collect::<Vec<_>>()), known);
    assert_eq!(events.passed_over(), 3);
}

#[test]
fn an_iterator_goes_on_after_an_undecodable_event_from_either_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = mixed(directory.path());
    let mut backwards = ALL;
    backwards.reverse();
    assert_eq!(outcomes(&store.read(..).map(offset).collect::<Vec<_>>()), ALL);
    assert_eq!(outcomes(&store.read(..).rev().map(offset).collect::<Vec<_>>()), backwards);
    let mut both = store.read(..);
    let ends = [both.next(), both.next_back(), both.next(), both.next_back()];
    let ends: Vec<_> = ends.into_iter().map(|read| offset(read.unwrap())).collect();
    assert_eq!(outcomes(&ends), [(0, true), (8, true), (1, false), (7, false)]);
    assert_eq!(outcomes(&both.map(offset).collect::<Vec<_>>()), ALL[2..7]);
    let limited = store.read(..).take(3).map(offset).collect::<Vec<_>>();
    assert_eq!(outcomes(&limited), ALL[..3]);
}

#[test]
fn a_fold_step_by_step_ends_with_the_first_error() {
    let directory = tempfile::tempdir().unwrap();
    let store = mixed(directory.path());
    let source = store.reconstruct(SALES);
    let steps: Vec<_> = source.steps(..).unwrap().map(|step| step.is_ok()).collect();
    assert_eq!(steps, [true, false]);
}

/// Opens a Journal of ten events, of which the one at offset 6 is damaged.
fn damaged(directory: &Path) -> EventStore<Booking, Journal<Booking>> {
    let path: PathBuf = directory.join("log.store");
    let store = EventStore::open(&path).unwrap();
    store.append_batch((0..10).map(|n| freed(1_000 + n))).unwrap();
    // The store is opened before it is damaged, because opening checks the active segment.
    let file = path.join("00000000000000000000.log");
    let bytes = std::fs::read(&file).unwrap();
    let needle = b"{\"seat\":1006}";
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    let file = std::fs::File::options().write(true).open(&file).unwrap();
    file.write_all_at(b"7", at as u64 + 8).unwrap();
    store
}

#[test]
fn damage_is_reported_once_and_stops_a_cursor_until_it_is_moved() {
    let directory = tempfile::tempdir().unwrap();
    let store = damaged(directory.path());
    let mut cursor = store.subscription(Query::all(), 0);
    let first: Vec<_> = cursor.by_ref().take(6).map(|read| offset(read).unwrap()).collect();
    assert_eq!(first, [0, 1, 2, 3, 4, 5]);
    for _ in 0..2 {
        assert!(matches!(cursor.next(), Some(Err(ReadError::Corrupt(_)))));
        // The cursor neither waits nor reports the damage again.
        assert!(cursor.next().is_none() && cursor.try_next().is_none() && cursor.is_stopped());
        assert_eq!(cursor.position(), 6);
        cursor.seek(6);
        assert!(!cursor.is_stopped());
    }
    cursor.seek(7);
    assert_eq!(cursor.take(3).map(|read| offset(read).unwrap()).collect::<Vec<_>>(), [7, 8, 9]);
    let (reads, _) = drain(store.subscription(Query::all(), 0));
    assert_eq!((reads.len(), reads.iter().filter(|read| read.is_err()).count()), (7, 1));
    let reads: Vec<_> = store.read(..).map(offset).collect();
    assert_eq!((reads.len(), reads.iter().filter(|read| read.is_err()).count()), (7, 1));
}

#[test]
fn a_stream_that_catches_up_yields_to_other_tasks_once_a_page() {
    let store = EventStore::in_memory();
    store.append_batch((0..10_000).map(nth)).unwrap();
    let (reads, at_once) = drain(store.subscription(Query::all(), 0));
    assert_eq!(reads.len(), 10_000);
    assert!(at_once <= 64, "{at_once} events without a pause");
    let (reads, at_once) = drain(store.clone().into_subscription(Query::all(), 0));
    assert_eq!(reads.len(), 10_000);
    assert!(at_once <= 64, "{at_once} events without a pause in an owned stream");
}

#[test]
fn a_stream_that_skips_many_events_yields_to_other_tasks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let events = (0..1_000).map(|_| raw("seat-upgraded", "{}"));
    EventStore::<RawEvent>::open(&path).unwrap().append_batch(events).unwrap();
    let store = EventStore::<Booking>::open(&path).unwrap();
    let cursor = store.subscription(Query::all(), 0).unknown_events(UnknownEvents::PassOver);
    let mut stream = cursor.stream();
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 0;
    while stream.passed_over() < 1_000 {
        assert!(Pin::new(&mut stream).poll_next(&mut context).is_pending());
        polls += 1;
    }
    assert!(polls >= 1_000 / 64, "{polls}");
}
