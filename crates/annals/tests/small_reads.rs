//! A small read decodes few events, and an iterator's hints and ends are those of any iterator.

use std::sync::atomic::{AtomicU64, Ordering};

use annals::{CodecError, Event, EventStore, Query, RawEvent};

static DECODED: AtomicU64 = AtomicU64::new(0);

/// An event that counts how often one is decoded.
struct Counted;

impl Event for Counted {
    fn event_type(&self) -> &'static str {
        "counted"
    }

    fn encode(&self, _: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode(_: &RawEvent) -> Result<Self, CodecError> {
        DECODED.fetch_add(1, Ordering::Relaxed);
        Ok(Self)
    }
}

#[test]
fn a_small_read_decodes_few_events() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::<Counted>::open(directory.path()).unwrap();
    store.append_batch((0..1_000).map(|_| Counted)).unwrap();
    let decoded = |read: &dyn Fn() -> usize| {
        DECODED.store(0, Ordering::Relaxed);
        let count = read();
        (count, DECODED.load(Ordering::Relaxed))
    };
    let all = Query::event_type("counted");
    assert_eq!(decoded(&|| usize::from(store.read(..).next().is_some())), (1, 1));
    assert_eq!(decoded(&|| usize::from(store.query(&all).next_back().is_some())), (1, 1));
    assert_eq!(decoded(&|| usize::from(store.query(&all).last().is_some())), (1, 1));
    assert_eq!(decoded(&|| store.query(&all).take(0).count()), (0, 0));
    for n in 1..300 {
        let (count, read) = decoded(&|| store.query(&all).take(n).flatten().count());
        assert_eq!(count, n);
        assert!(read <= (3 * n as u64).max(9), "{read} decoded for {n} events");
    }
    assert_eq!(decoded(&|| store.read(..).count()), (1_000, 1_000));
}

#[test]
fn an_iterator_is_as_std_says() {
    let store = EventStore::in_memory();
    let noted = |n: u64| RawEvent::builder("noted").tag(format!("digit:{}", n % 10)).build();
    store.append_batch((0..100).map(|n| noted(n).unwrap())).unwrap();
    let mut events = store.read(10..30);
    assert_eq!(events.size_hint(), (0, Some(20)));
    assert_eq!(events.next().unwrap().unwrap().offset, 10);
    assert_eq!(events.next_back().unwrap().unwrap().offset, 29);
    // A page of 8 was read at the end, and then one with all that was left.
    assert_eq!(events.size_hint(), (7, Some(18)));
    assert_eq!(events.next().unwrap().unwrap().offset, 11);
    assert_eq!(events.size_hint(), (17, Some(17)));
    // What was read is left out, too, if the range is narrowed then.
    let rest = events.range(15..20).map(|event| event.unwrap().offset);
    assert_eq!(rest.collect::<Vec<_>>(), [15, 16, 17, 18, 19]);
    let mut none = store.query(&Query::none());
    assert!(none.next().is_none() && none.next_back().is_none() && none.next().is_none());
    assert_eq!(none.size_hint(), (0, Some(0)));
    let mut refused = store.query(&Query::tag(""));
    assert_eq!(refused.size_hint(), (1, Some(1)));
    assert!(refused.next().unwrap().is_err() && refused.next_back().is_none());
    assert_eq!(store.query(&Query::tag("digit:3")).rev().nth(2).unwrap().unwrap().offset, 73);
}
