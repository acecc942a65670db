//! Searches over many segments of a Journal: filters change only how long a search takes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use annals::{
    AppendError, Condition, Durability, EventStore, Journal, JournalOptions, Query, QueryItem,
    RawEvent, verify,
};

type Store = EventStore<RawEvent, Journal<RawEvent>>;
type Change = fn(&mut Vec<u8>);

/// The number of events of the log in most of these tests. It has more than 530 segments.
const COUNT: u64 = 3_760;

fn options() -> JournalOptions {
    Journal::options().segment_bytes(4 << 10).durability(Durability::Buffered)
}

fn open(path: &Path) -> Store {
    EventStore::on(options().open(path).unwrap())
}

fn open_read_only(path: &Path) -> Store {
    EventStore::on(options().open_read_only(path).unwrap())
}

fn event(n: u64) -> RawEvent {
    let event = RawEvent::builder(if n % 701 == 5 { "seldom" } else { "often" })
        .tag(format!("own:{n}"))
        .tag(format!("far:{}", n % 1_009))
        .tag(format!("near:{}", n / 20))
        .data(vec![b'x'; 480]);
    if n.is_multiple_of(5) { event.id(format!("id-{n}")) } else { event }.build().unwrap()
}

fn append(store: &Store, range: std::ops::Range<u64>) {
    for n in range {
        assert_eq!(store.append(event(n)).unwrap(), n);
    }
}

/// Returns the names of the filter files of a store.
fn filters(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let filters = files.filter(|path| path.extension().is_some_and(|extension| extension == "flt"));
    filters
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect()
}

/// Returns a copy of a log of `COUNT` events, and its number of segments.
fn log() -> (tempfile::TempDir, PathBuf, u64) {
    static MADE: OnceLock<(tempfile::TempDir, u64)> = OnceLock::new();
    let (made, segments) = MADE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("log"));
        append(&store, 0..COUNT);
        check(&store, COUNT);
        let segments = store.stats().segments;
        assert!((530..600).contains(&segments), "{segments}");
        (directory, segments)
    });
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("log");
    std::fs::create_dir(&path).unwrap();
    for entry in std::fs::read_dir(made.path().join("log")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), path.join(entry.file_name())).unwrap();
    }
    (copy, path, *segments)
}

fn tags(tags: &[String]) -> QueryItem {
    tags.iter().fold(QueryItem::new(), QueryItem::tag)
}

fn queries(count: u64) -> Vec<Query> {
    let numbers = (0..count).step_by(usize::try_from(count / 60).unwrap().max(1));
    let mut queries: Vec<Query> = numbers
        .clone()
        .flat_map(|n| {
            let (own, far, near) =
                (format!("own:{n}"), format!("far:{}", n % 1_009), format!("near:{}", n / 20));
            [
                Query::tag(&own),
                Query::tag(&far),
                Query::item(tags(&[far.clone(), near.clone()])),
                Query::item(tags(&[far, near.clone()]).event_type("seldom")),
                Query::tag(near).or(tags(&[format!("own:{}", n / 3)])),
                Query::tag(format!("none:{n}")),
            ]
        })
        .collect();
    queries.extend([
        Query::event_type("seldom"),
        Query::event_type("never"),
        Query::event_type("never").or(QueryItem::new().event_type("seldom").tag("far:5")),
        Query::item(QueryItem::new().event_type("seldom").event_type("often").tag("near:7")),
        Query::item(tags(&["own:1".to_owned(), "own:2".to_owned()])),
    ]);
    queries
}

/// Asserts that every search in a store of these first `count` events finds the same events as a full scan.
fn check(store: &Store, count: u64) {
    assert_eq!(store.len(), count);
    let events: Vec<RawEvent> = (0..count).map(event).collect();
    for (at, query) in (1..).zip(queries(count)) {
        let matches = |n: &u64| {
            let event = &events[usize::try_from(*n).unwrap()];
            query.matches(event.event_type(), event.tags())
        };
        let expected: Vec<u64> = (0..count).filter(matches).collect();
        let found = |range: std::ops::Range<u64>, reverse: bool| -> Vec<u64> {
            let read = store.query(&query).range(range);
            let offset = |read: Result<annals::EventRef<'_, RawEvent>, _>| read.unwrap().offset;
            if reverse { read.rev().map(offset).collect() } else { read.map(offset).collect() }
        };
        let cut = count * at / 1_200;
        for range in [0..count, cut..count, 0..count - cut, cut..count - cut] {
            let mut within: Vec<u64> =
                expected.iter().copied().filter(|n| range.contains(n)).collect();
            assert_eq!(found(range.clone(), false), within, "{query:?} in {range:?}");
            within.reverse();
            assert_eq!(found(range.clone(), true), within, "{query:?} in {range:?}, backwards");
        }
    }
}

/// Asserts that conditions and ids work.
fn check_writing(store: &Store, count: u64) {
    for n in (0..count).step_by(37) {
        let far = Query::tag(format!("far:{}", n % 1_009));
        let first = n % 1_009;
        for after in [0, first + 1, n, n + 1] {
            let last = (count - 1 - first) / 1_009 * 1_009 + first;
            let next = if after <= first {
                first
            } else {
                first + (after - first).div_ceil(1_009) * 1_009
            };
            let condition = Condition::fail_if(far.clone()).after(after);
            let result = store.append_as(annals::Batch::new(Vec::new()).condition(condition));
            if next <= last {
                assert!(
                    matches!(result, Err(AppendError::Conflict { offset, .. }) if offset == next),
                    "far:{first} after {after}: {result:?}"
                );
            } else {
                assert_eq!(result.unwrap().offsets, count..count, "far:{first} after {after}");
            }
        }
        if n.is_multiple_of(5) {
            assert_eq!(store.append(event(n)).unwrap(), n, "the id is known");
        }
    }
    let new = store.append_batch([RawEvent::builder("often").id("id-new").build().unwrap()]);
    assert_eq!(new.unwrap(), count..count + 1);
}

#[test]
fn every_search_finds_all_matches_for_writers_and_followers() {
    let (_place, path, segments) = log();
    let names: Vec<String> = filters(&path).into_keys().collect();
    let sealed = usize::try_from(segments - 1).unwrap();
    assert_eq!(names.len(), 1 + (sealed % 512) / 64 + (sealed % 64) / 8, "{names:?}");
    assert_eq!(names[0], "00000000000000000000.512.flt");
    check(&open_read_only(&path), COUNT);
    let store = open(&path);
    check(&store, COUNT);
    check_writing(&store, COUNT);
    assert_eq!(verify(&path).unwrap().problems, []);
    assert_eq!(filters(&path).into_keys().collect::<Vec<_>>(), names);
}

#[test]
fn a_writer_rebuilds_missing_filters() {
    let (_place, path, _) = log();
    let before = filters(&path);
    for name in before.keys() {
        std::fs::remove_file(path.join(name)).unwrap();
    }
    check(&open_read_only(&path), COUNT);
    assert_eq!(filters(&path).len(), 0, "a reader writes nothing");
    check(&open(&path), COUNT);
    assert_eq!(filters(&path), before);
    // A filter of a lower tier is not needed while one of a higher tier covers it.
    let last = before.keys().next_back().unwrap();
    std::fs::remove_file(path.join(last)).unwrap();
    drop(open(&path));
    assert_eq!(filters(&path), before);
}

#[test]
fn a_damaged_filter_is_ignored() {
    let (_place, path, _) = log();
    let before = filters(&path);
    let changes: [(&str, Change); 4] = [
        ("a byte of its bits", |bytes| bytes[70] ^= 0xff),
        ("a byte of its head", |bytes| bytes[40] ^= 1),
        ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
        ("emptied", Vec::clear),
    ];
    for (what, change) in changes {
        for (name, bytes) in &before {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            std::fs::write(path.join(name), bytes).unwrap();
        }
        let report = verify(&path).unwrap();
        assert_eq!((report.problems.len(), report.events), (before.len(), COUNT), "{what}");
        let problem = report.problems[0].to_string();
        assert!(problem.contains(".flt") && problem.contains("remove the file"), "{problem}");
        check(&open_read_only(&path), COUNT);
        let store = open(&path);
        check(&store, COUNT);
        drop(store);
        for name in before.keys().filter(|_| what == "a byte of its bits") {
            // Only a search reads these.
            std::fs::remove_file(path.join(name)).unwrap();
        }
        drop(open(&path));
        assert_eq!(filters(&path), before, "{what}");
    }
}

/// Returns events of another history of the log, of the same size as those of the first.
fn other(n: u64) -> RawEvent {
    let event = RawEvent::builder("often").tag(format!("other:{n}")).tag("far:0").tag("near:0");
    event.id(format!("other-{n}")).data(vec![b'y'; 480]).build().unwrap()
}

#[test]
fn a_filter_of_another_history_of_the_log_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let (path, backup) = (directory.path().join("log"), directory.path().join("backup"));
    let copy = |from: &Path, to: &Path| {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_none_or(|extension| extension != "flt") {
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    };
    append(&open(&path), 0..20);
    copy(&path, &backup);
    append(&open(&path), 20..1_000);
    // Restores everything except the filters.
    let left = filters(&path);
    for swept in [true, false] {
        std::fs::remove_dir_all(&path).unwrap();
        copy(&backup, &path);
        let put_back = || {
            for (name, bytes) in &left {
                std::fs::write(path.join(name), bytes).unwrap();
            }
        };
        let store = if swept {
            put_back();
            open(&path)
        } else {
            let store = open(&path);
            put_back();
            store
        };
        for n in store.len()..store.len() + 500 {
            assert_eq!(store.append(other(n)).unwrap(), n);
        }
        for store in [&store, &open_read_only(&path)] {
            for n in 20..store.len() {
                let found = store.query(&Query::tag(format!("other:{n}")));
                let found: Vec<u64> = found.map(|event| event.unwrap().offset).collect();
                assert_eq!(found, [n], "swept: {swept}");
            }
        }
        let unless = |n| Condition::fail_if(Query::tag(format!("other:{n}")));
        for n in (20..store.len()).step_by(7) {
            let nothing = annals::Batch::new(Vec::new()).condition(unless(n));
            let result = store.append_as(nothing);
            assert!(matches!(result, Err(AppendError::Conflict { offset, .. }) if offset == n));
            assert_eq!(store.append(other(n)).unwrap(), n);
        }
        drop(store);
        drop(open(&path));
        assert_eq!(verify(&path).unwrap().problems, []);
    }
}

#[test]
fn the_leftovers_of_an_interrupted_merge_are_removed() {
    let (_place, path, _) = log();
    let before = filters(&path);
    for left in ["00000000000000000000.8.flt", "00000000000000000112.64.flt"] {
        std::fs::write(path.join(left), b"left").unwrap();
    }
    drop(open_read_only(&path));
    assert_eq!(filters(&path).len(), before.len() + 2, "a reader removes nothing");
    drop(open(&path));
    assert_eq!(filters(&path), before);
}

#[test]
fn a_damaged_filter_is_rebuilt_when_it_is_merged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    append(&open(&path), 0..100);
    let file = path.join("00000000000000000000.8.flt");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[80] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let store = open(&path);
    append(&store, 100..600);
    check(&store, 600);
    drop(store);
    assert!(filters(&path).contains_key("00000000000000000000.64.flt"));
    assert_eq!(verify(&path).unwrap().problems, []);
}

#[test]
fn building_filters_makes_no_event_unreadable() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    append(&open(&path), 0..100);
    for name in filters(&path).keys() {
        std::fs::remove_file(path.join(name)).unwrap();
    }
    let flip = |name: &str, at: usize| {
        let mut bytes = std::fs::read(path.join(name)).unwrap();
        bytes[at] ^= 1;
        std::fs::write(path.join(name), bytes).unwrap();
    };
    // Damages an event, and the ids in the index of that segment. The index has their position at byte 96.
    flip("00000000000000000000.log", 900);
    let index = std::fs::read(path.join("00000000000000000000.idx")).unwrap();
    let ids = u32::from_le_bytes(*index[96..].first_chunk().unwrap());
    flip("00000000000000000000.idx", usize::try_from(ids).unwrap() + 9);
    let readable = |store: &Store| (0..100).filter(|&n| store.get(n).is_ok()).count();
    assert_eq!(readable(&open_read_only(&path)), 99);
    assert_eq!(readable(&open(&path)), 99);
}

#[test]
fn the_log_works_if_no_filter_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    drop(open(&path));
    // A directory has the name of the file.
    std::fs::create_dir(path.join("00000000000000000000.8.flt")).unwrap();
    let store = open(&path);
    append(&store, 0..1_000);
    check(&store, 1_000);
    assert!(store.stats().segments > 100);
    drop(store);
    check(&open_read_only(&path), 1_000);
    check(&open(&path), 1_000);
}

/// Waits until the store has `count` events. If the store does not follow, the test does not end.
fn wait_for(store: &Store, count: u64) {
    let before = usize::try_from(count).unwrap();
    assert_eq!(store.subscription(Query::all(), 0).take(before).count(), before);
}

#[test]
fn a_follower_uses_new_filters() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let writer = open(&path);
    append(&writer, 0..10);
    let reader = open_read_only(&path);
    for end in (200..1_400).step_by(400) {
        append(&writer, writer.len()..end);
        wait_for(&reader, end);
        check(&reader, end);
    }
    let ours = |store: &Store| {
        let segments: u64 = store.segments().iter().map(|segment| segment.index_bytes).sum();
        store.stats().index_bytes - segments
    };
    assert!(ours(&reader) > 0, "it found filters");
    assert!(ours(&reader) <= ours(&writer));
    // A follower that was opened before the filters were built finds them later.
    drop(writer);
    for name in filters(&path).keys() {
        std::fs::remove_file(path.join(name)).unwrap();
    }
    let reader = open_read_only(&path);
    assert_eq!(ours(&reader), 0);
    let writer = open(&path);
    append(&writer, writer.len()..1_200);
    wait_for(&reader, 1_200);
    assert!(ours(&reader) * 2 > ours(&writer), "{} of {}", ours(&reader), ours(&writer));
}
