//! The Journal as a program uses it: appended events are there after the store is opened again, in every way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use annals::{Condition, Durability, EventStore, Journal, Query, QueryItem, RawEvent};

fn event(n: u64) -> RawEvent {
    RawEvent::builder(format!("type-{}", n % 3))
        .tag(format!("digit:{}", n % 10))
        .tag(format!("event:{n}"))
        .data(format!("{{\"n\":{n}}}"))
        .build()
        .unwrap()
}

type Store = EventStore<RawEvent, Journal<RawEvent>>;

fn small_segments(path: &std::path::Path) -> Store {
    EventStore::on(
        Journal::options()
            .segment_bytes(4 << 10)
            .durability(Durability::Buffered)
            .open(path)
            .unwrap(),
    )
}

fn check(store: &Store, count: u64) {
    assert_eq!(store.len(), count);
    for (n, read) in (0..).zip(store.read(..)) {
        let read = read.unwrap();
        assert_eq!((read.offset, &read.event), (n, &event(n)));
        assert_eq!(store.get(n).unwrap().unwrap().event, event(n));
    }
    assert_eq!(
        store.read(..).rev().map(|read| read.unwrap().offset).collect::<Vec<_>>(),
        (0..count).rev().collect::<Vec<_>>()
    );
    assert!(store.get(count).unwrap().is_none());
    let sevens = Query::item(QueryItem::new().tag("digit:7").event_type("type-1"));
    let expected: Vec<u64> = (0..count).filter(|n| n % 10 == 7 && n % 3 == 1).collect();
    assert_eq!(store.query(&sevens).map(|read| read.unwrap().offset).collect::<Vec<_>>(), expected);
    let mut backwards: Vec<u64> =
        store.query(&sevens).rev().map(|read| read.unwrap().offset).collect();
    backwards.reverse();
    assert_eq!(backwards, expected);
    assert_eq!(store.types().unwrap().iter().map(|name| name.count).sum::<u64>(), count);
}

#[test]
fn events_in_many_segments_are_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    {
        let store = small_segments(&path);
        for n in 0..500 {
            assert_eq!(store.append(event(n)).unwrap(), n);
        }
        assert_eq!(store.append_batch((500..900).map(event)).unwrap(), 500..900);
        check(&store, 900);
        assert!(store.stats().segments > 10);
    }
    check(&small_segments(&path), 900);
    let follower = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    check(&follower, 900);
    let report = annals::verify(&path).unwrap();
    assert_eq!((report.events, &report.problems, &report.notes), (900, &vec![], &vec![]));
}

#[test]
fn a_read_only_store_follows_a_writer_over_segments() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = small_segments(&path);
    let follower = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..2_000).for_each(|n| assert_eq!(store.append(event(n)).unwrap(), n)));
        let cursor = follower.subscription(Query::all(), 0);
        for (n, read) in (0..2_000).zip(cursor) {
            assert_eq!(read.unwrap().event, event(n));
        }
    });
    check(&follower, 2_000);
}

#[test]
fn conditions_and_ids_work_across_segments_and_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let with_id = |n: u64| {
        RawEvent::builder("named").id(format!("id-{n}")).data(n.to_string()).build().unwrap()
    };
    {
        let store = small_segments(&path);
        (0..300).for_each(|n| assert_eq!(store.append(with_id(n)).unwrap(), n));
    }
    let store = small_segments(&path);
    assert_eq!(store.append(with_id(7)).unwrap(), 7);
    assert_eq!(store.append_batch((250..260).map(with_id)).unwrap(), 250..260);
    assert_eq!(store.len(), 300);
    let retry = RawEvent::builder("named").id("id-7").data("8").metadata("attempt", "2");
    assert_eq!(store.append(retry.build().unwrap()).unwrap(), 7);
    let other = RawEvent::builder("other").id("id-7").data("7").build().unwrap();
    let error = store.append(other).unwrap_err().to_string();
    assert!(
        error.contains("\"id-7\"")
            && error.contains("offset 7")
            && error.contains("of the type \"named\", not \"other\""),
        "{error}"
    );
    assert!(store.append_batch([with_id(299), with_id(300)]).is_err());
    let none_named = Condition::fail_if(Query::event_type("named"));
    assert!(store.append_if([event(1)], &none_named).is_err());
    assert_eq!(store.append_if([event(1)], &none_named.after(300)).unwrap(), 300..301);
}
