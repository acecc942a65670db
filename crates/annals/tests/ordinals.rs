//! Counts and ordinals over many segments of a Journal are those of a walk, for the writer and for a follower.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use annals::{Backend, Durability, EventStore, Journal, NameKind, RawEvent};
use proptest::prelude::*;

type Store = EventStore<RawEvent, Journal<RawEvent>>;

const NAMES: [(NameKind, &str); 6] = [
    (NameKind::Tag, "all"),
    (NameKind::Tag, "third"),
    (NameKind::Tag, "rare"),
    (NameKind::Tag, "never"),
    (NameKind::Type, "even"),
    (NameKind::Type, "odd"),
];

fn event(n: u64) -> RawEvent {
    let event = RawEvent::builder(if n.is_multiple_of(2) { "even" } else { "odd" }).tag("all");
    let event = if n.is_multiple_of(3) { event.tag("third") } else { event };
    let event = if n % 97 == 41 { event.tag("rare") } else { event };
    event.data(vec![b'x'; 480]).build().unwrap()
}

fn has(kind: NameKind, name: &str, n: u64) -> bool {
    let event = event(n);
    match kind {
        NameKind::Type => event.event_type() == name,
        NameKind::Tag => event.tags().any(|tag| tag == name),
    }
}

/// Checks the counts of some ranges, and all ordinals.
fn check(store: &Store, ranges: &[(u64, u64)]) {
    let head = store.len();
    for (kind, name) in NAMES {
        let with: Vec<u64> = (0..head).filter(|&n| has(kind, name, n)).collect();
        for &(start, end) in ranges {
            let within = with.iter().filter(|&&n| (start..end).contains(&n)).count() as u64;
            let count = store.count(kind, name, start..end).unwrap();
            assert_eq!(count, within, "{name} in {start}..{end} of {head}");
        }
        assert_eq!(store.count(kind, name, ..).unwrap(), with.len() as u64);
        for (n, &offset) in (0..).zip(&with) {
            assert_eq!(store.nth(kind, name, n).unwrap(), Some(offset), "event {n} of {name}");
        }
        assert_eq!(store.nth(kind, name, with.len() as u64).unwrap(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn ordinals_are_those_of_a_walk(
        batches in prop::collection::vec(1_u64..40, 1..10),
        ranges in prop::collection::vec((0_u64..400, 0_u64..400), 1..20),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let options = || Journal::options().segment_bytes(4 << 10).durability(Durability::Buffered);
        let store: Store = EventStore::on(options().open(directory.path()).unwrap());
        let follower: Store = EventStore::on(options().open_read_only(directory.path()).unwrap());
        for batch in batches {
            let head = store.len();
            store.append_batch((head..head + batch).map(event)).unwrap();
            // The totals of the segments before are cached by now.
            check(&store, &ranges);
            let end = head + batch;
            assert_eq!(follower.backend().head().wait_beyond(end - 1, None), end);
            check(&follower, &ranges);
        }
        drop(store);
        // Sealed indexes are read from their files now.
        check(&EventStore::on(options().open(directory.path()).unwrap()), &ranges);
    }
}

#[test]
fn more_names_than_are_cached_are_counted_right() {
    let directory = tempfile::tempdir().unwrap();
    let options = Journal::options().segment_bytes(4 << 10).durability(Durability::Buffered);
    let store: Store = EventStore::on(options.open(directory.path()).unwrap());
    let tagged = |n: u64| RawEvent::builder("noted").tag(format!("n:{}", n % 1_500)).build();
    for start in (0..6_000).step_by(600) {
        store.append_batch((start..start + 600).map(|n| tagged(n).unwrap())).unwrap();
    }
    assert!(store.segments().len() > 3);
    for _ in 0..2 {
        for n in 0..1_500 {
            assert_eq!(store.revision(&format!("n:{n}")).unwrap(), 4);
        }
    }
}
