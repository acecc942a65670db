//! A log of several chunks: queries use the stored index and the in-memory index together.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use annals::{
    AppendError, Backend, Batch, Condition, EventStore, NameCount, NameKind, Query, QueryItem,
    RawEvent,
};
use annals_conformance::Random;
use annals_rocksdb::{Compression, RocksDb, verify_watched};

const EVENTS: u64 = 150_000;

/// Returns the event at `offset`: one of two types, a common tag, rarer ones, and some ids.
fn event(offset: u64) -> RawEvent {
    let mut random = Random::new(offset);
    let event_type = if random.below(3) == 0 { "seat-freed" } else { "seat-sold" };
    let mut event = RawEvent::builder(event_type).data(format!(r#"{{"n":{offset}}}"#));
    if random.below(2) == 0 {
        event = event.tag("show:7");
    }
    event = event.tag(format!("seat:{}", random.below(40_000)));
    if offset == 3 || offset == 70_000 {
        event = event.tag("rare");
    }
    if offset.is_multiple_of(11) {
        event = event.id(format!("id-{offset}"));
    }
    event.build().unwrap()
}

fn filled(path: &std::path::Path) -> EventStore<RawEvent, RocksDb<RawEvent>> {
    let options =
        RocksDb::options().durability(annals::Durability::Buffered).memtable_bytes(4 << 20);
    let store =
        EventStore::<RawEvent, _>::on(options.compression(Compression::None).open(path).unwrap());
    let mut random = Random::new(1);
    let mut is_counted = false;
    while store.len() < EVENTS {
        if store.len() > 70_000 && !is_counted {
            // The counts of the first chunk are cached from here on.
            check_ordinals(&store);
            is_counted = true;
        }
        // Some batches cross the end of a chunk.
        let count = (1 + random.below(6_000)).min(EVENTS - store.len());
        let first = store.len();
        store.append_batch((first..first + count).map(event)).unwrap();
    }
    store
}

fn queries() -> Vec<Query> {
    let sold_show = QueryItem::new().event_type("seat-sold").tag("show:7");
    vec![
        Query::all(),
        Query::tag("seat:77"),
        Query::tag("rare"),
        Query::tag("nobody"),
        Query::event_type("seat-freed"),
        Query::item(sold_show.clone()),
        Query::item(QueryItem::new().tag("show:7").tag("seat:5")),
        Query::tag("rare").or(QueryItem::new().event_type("seat-freed").tag("seat:1234")),
        Query::event_type("never").or(QueryItem::new().tag("seat:39999")),
    ]
}

fn check_queries<B: Backend<RawEvent>>(store: &EventStore<RawEvent, B>) {
    for query in queries() {
        let expected: Vec<u64> = (0..EVENTS)
            .filter(|&offset| {
                let event = event(offset);
                query.matches(event.event_type(), event.tags())
            })
            .collect();
        let found: Vec<u64> = store.query(&query).map(|event| event.unwrap().offset).collect();
        assert_eq!(found, expected, "{query:?}");
        let mut back: Vec<u64> =
            store.query(&query).rev().map(|event| event.unwrap().offset).collect();
        back.reverse();
        assert_eq!(back, expected, "{query:?}, from the end");
        for from in [1, 65_535, 65_536, 65_537, 131_072, EVENTS - 1, EVENTS] {
            let found = store.query(&query).range(from..).next().map(|event| event.unwrap().offset);
            assert_eq!(
                found,
                expected.iter().copied().find(|&offset| offset >= from),
                "{query:?} from {from}"
            );
            let blocked = store.append_as(
                Batch::new(vec![]).condition(Condition::fail_if(query.clone()).after(from)),
            );
            match (blocked, found) {
                (Err(AppendError::Conflict { offset, .. }), Some(found)) => {
                    assert_eq!(offset, found);
                }
                (Ok(_), None) | (Err(AppendError::ReadOnly), _) => {}
                (blocked, found) => panic!("{query:?} after {from}: {blocked:?}, but {found:?}"),
            }
        }
    }
    for offset in [0, 1, 65_535, 65_536, 131_071, 131_072, EVENTS - 1] {
        assert_eq!(store.get(offset).unwrap().unwrap().event, event(offset));
    }
}

/// Checks counts and ordinals whose ranges begin and end in every chunk, and at the ends of chunks.
fn check_ordinals<B: Backend<RawEvent>>(store: &EventStore<RawEvent, B>) {
    let head = store.len();
    let bounds = [0, 1, 40_000, 65_535, 65_536, 65_537, 100_000, 131_072, 140_000, EVENTS];
    for (kind, name) in [
        (NameKind::Tag, "show:7"),
        (NameKind::Tag, "seat:77"),
        (NameKind::Tag, "rare"),
        (NameKind::Tag, "nobody"),
        (NameKind::Type, "seat-freed"),
    ] {
        let has = |offset: u64| match kind {
            NameKind::Type => event(offset).event_type() == name,
            NameKind::Tag => event(offset).tags().any(|tag| tag == name),
        };
        let with: Vec<u64> = (0..head).filter(|&offset| has(offset)).collect();
        for (from, to) in bounds.iter().flat_map(|&from| bounds.map(|to| (from, to))) {
            let within = with.iter().filter(|&&offset| (from..to).contains(&offset)).count() as u64;
            let count = store.count(kind, name, from..to).unwrap();
            assert_eq!(count, within, "{name} in {from}..{to}");
        }
        for (n, &offset) in
            (0..).zip(&with).filter(|(n, _)| n % 97 == 0 || n + 1 == with.len() as u64)
        {
            assert_eq!(store.nth(kind, name, n).unwrap(), Some(offset), "event {n} of {name}");
        }
        assert_eq!(store.nth(kind, name, with.len() as u64).unwrap(), None);
    }
}

fn counted(mut names: Vec<NameCount>) -> Vec<(String, u64)> {
    names.sort_by(|a, b| a.name.cmp(&b.name));
    names.into_iter().map(|name| (name.name, name.count)).collect()
}

#[test]
fn chunks_are_queried_as_one_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rocks");
    let store = filled(&path);
    check_queries(&store);
    check_ordinals(&store);

    let types = counted(store.types().unwrap());
    assert_eq!(types.iter().map(|(_, count)| count).sum::<u64>(), EVENTS);
    let shows = counted(store.tags("show").unwrap());
    let expected = store.query(&Query::tag("show:7")).count() as u64;
    assert_eq!(shows, [("show:7".to_owned(), expected)]);

    // Ids from a sealed chunk and from the growing chunk.
    let find = |store: &EventStore<RawEvent, RocksDb<RawEvent>>| {
        for offset in [0, 66_000, 143_000] {
            assert_eq!(store.find(&format!("id-{offset}")).unwrap(), Some(offset));
        }
        assert_eq!(store.find("id-66001").unwrap(), None);
    };
    find(&store);
    find(&EventStore::on(RocksDb::open_read_only(&path).unwrap()));
    for offset in [0, 66_000, 143_000] {
        assert_eq!(store.append(event(offset)).unwrap(), offset);
    }
    let retry =
        RawEvent::builder("seat-freed").id("id-66000").metadata("attempt", "2").build().unwrap();
    assert_eq!(store.append(retry).unwrap(), 66_000);
    let other = RawEvent::builder("other").id("id-66000").build().unwrap();
    assert!(matches!(store.append(other), Err(AppendError::IdConflict { offset: 66_000, .. })));

    // Beside the writer, from a checkpoint, and after opening again.
    let reader = EventStore::<RawEvent, _>::on(RocksDb::open_read_only(&path).unwrap());
    check_queries(&reader);
    check_ordinals(&reader);
    let copy = directory.path().join("checkpoint");
    store.backend().checkpoint(&copy).unwrap();
    assert!(store.backend().checkpoint(&copy).unwrap_err().to_string().contains("already"));
    drop(store);
    let mut progress = Vec::new();
    let report = verify_watched(&path, |done, all| progress.push((done, all))).unwrap();
    assert_eq!((report.events, report.problems.as_slice()), (EVENTS, &[][..]));
    assert!(progress.len() > 100 && progress.is_sorted(), "{}", progress.len());
    assert!(progress.iter().all(|&(_, all)| all == EVENTS));
    assert_eq!(progress.last(), Some(&(EVENTS, EVENTS)));
    let store = EventStore::<RawEvent, _>::on(RocksDb::open(&path).unwrap());
    check_queries(&store);
    check_ordinals(&store);
    let restored = EventStore::<RawEvent, _>::on(RocksDb::open(&copy).unwrap());
    check_queries(&restored);
    assert_eq!(restored.backend().store_id(), store.backend().store_id());
    restored.append(event(EVENTS)).unwrap();
    assert_eq!((restored.len(), store.len()), (EVENTS + 1, EVENTS));
}
