//! Searches over many segments of a Journal: the filters in the index files change only how long a search takes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use annals::{
    AppendError, Condition, Durability, EventStore, Journal, JournalOptions, NameKind, Query,
    QueryItem, RawEvent, verify,
};

type Store = EventStore<RawEvent, Journal<RawEvent>>;

/// The number of events of the log in most of these tests. It has more than 200 segments.
const COUNT: u64 = 1_500;

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

fn append(store: &Store, range: Range<u64>) {
    for n in range {
        assert_eq!(store.append(event(n)).unwrap(), n);
    }
}

/// Returns the index files of a store, with their bytes.
fn indexes(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let indexes = files.filter(|path| path.extension().is_some_and(|extension| extension == "idx"));
    indexes.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Returns the positions of the filter in an index file: its last bytes. Byte 76 of the file has their number.
fn filter(index: &[u8]) -> Range<usize> {
    let size = u32::from_le_bytes(*index[76..].first_chunk().unwrap());
    index.len() - usize::try_from(size).unwrap()..index.len()
}

/// Removes the filter from an index file, as if annals 0.1 had written it.
fn without_filter(index: &[u8]) -> Vec<u8> {
    let mut index = without_blocks(index);
    index.truncate(filter(&index).start);
    index[76..80].fill(0);
    index[92..96].fill(0);
    write_head_checksum(&mut index);
    index
}

/// Removes the checksums of blocks from an index file, as if an annals before them had written it. Byte 108 of the file
/// has their position; the filter follows them.
fn without_blocks(index: &[u8]) -> Vec<u8> {
    let start = u32::from_le_bytes(*index[108..].first_chunk().unwrap());
    let sections = &index[..usize::try_from(start).unwrap()];
    let mut index = [sections, &index[filter(index)]].concat();
    index[108..112].fill(0);
    write_head_checksum(&mut index);
    index
}

fn write_head_checksum(index: &mut [u8]) {
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &index[16..112]);
    index[12..16].copy_from_slice(&checksum.to_le_bytes()[..4]);
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
        assert!((200..250).contains(&segments), "{segments}");
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
        let found = |range: Range<u64>, reverse: bool| -> Vec<u64> {
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
    let indexes = indexes(&path);
    assert_eq!(indexes.len() as u64, segments - 1);
    for (name, index) in &indexes {
        assert!(filter(index).len() >= 64, "{} has a filter", name.display());
    }
    check(&open_read_only(&path), COUNT);
    let store = open(&path);
    check(&store, COUNT);
    check_writing(&store, COUNT);
    assert_eq!(verify(&path).unwrap().problems, []);
}

/// annals 0.1 wrote index files without a filter.
#[test]
fn an_index_without_a_filter_is_used_as_it_is() {
    let (_place, path, _) = log();
    // In every third index file the filter stays.
    for (at, (file, index)) in indexes(&path).into_iter().enumerate() {
        if at % 3 != 0 {
            std::fs::write(file, without_filter(&index)).unwrap();
        }
    }
    let before = indexes(&path);
    let report = verify(&path).unwrap();
    assert_eq!((report.problems, report.notes), (vec![], Vec::<String>::new()));
    check(&open_read_only(&path), COUNT);
    let store = open(&path);
    check(&store, COUNT);
    assert!(store.segments().iter().rev().skip(1).all(|segment| segment.memory_bytes == 0));
    check_writing(&store, COUNT);
    drop(store);
    assert!(indexes(&path) == before, "the files are as they were");
}

/// An older annals wrote index files without checksums of blocks.
#[test]
fn an_index_without_checksums_of_blocks_is_used_as_it_is() {
    let (_place, path, _) = log();
    for (at, (file, index)) in indexes(&path).into_iter().enumerate() {
        if at % 3 != 0 {
            std::fs::write(file, without_blocks(&index)).unwrap();
        }
    }
    let before = indexes(&path);
    assert_eq!(verify(&path).unwrap().problems, []);
    check(&open_read_only(&path), COUNT);
    let store = open(&path);
    check(&store, COUNT);
    assert!(store.segments().iter().rev().skip(1).all(|segment| segment.memory_bytes == 0));
    check_writing(&store, COUNT);
    drop(store);
    assert!(indexes(&path) == before, "the files are as they were");
}

/// Asserts what a store of `count` events of `small_event` answers, through each kind of name and by offset.
fn check_small(store: &Store, count: u64, what: &str) {
    let offsets = |query: Query| -> Vec<u64> {
        store.query(&query).map(|event| event.expect(what).offset).collect()
    };
    for n in 0..count {
        assert_eq!(offsets(Query::tag(format!("own:{n}"))), [n], "{what}");
        assert_eq!(store.get(n).expect(what).expect(what).event, small_event(n), "{what}");
        assert_eq!(store.find(&format!("id-{n}")).expect(what), Some(n), "{what}");
    }
    for rest in 0..3 {
        let expected: Vec<u64> = (0..count).filter(|n| n % 3 == rest).collect();
        let name = format!("type-{rest}");
        assert_eq!(offsets(Query::event_type(&name)), expected, "{what}");
        assert_eq!(
            store.count(NameKind::Type, &name, ..).expect(what),
            expected.len() as u64,
            "{what}"
        );
    }
    assert_eq!(offsets(Query::tag("none")), [] as [u64; 0], "{what}");
}

fn small_event(n: u64) -> RawEvent {
    let event = RawEvent::builder(format!("type-{}", n % 3)).tag(format!("own:{n}"));
    event.id(format!("id-{n}")).data(vec![b'x'; 400]).build().unwrap()
}

/// A damaged block is found when it is used, wherever the damage is, in files with checksums of blocks and without.
#[test]
fn no_flipped_byte_of_an_index_file_changes_an_answer() {
    const EVENTS: u64 = 10;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let store = open(&path);
    for n in 0..EVENTS {
        store.append(small_event(n)).unwrap();
    }
    drop(store);
    let (file, index) = indexes(&path).pop_first().unwrap();
    let other = without_blocks(&index);
    for whole in [index, other] {
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&file, bytes).unwrap();
            check_small(&open_read_only(&path), EVENTS, &format!("byte {at} of {}", whole.len()));
        }
    }
}

#[test]
fn an_index_with_a_damaged_filter_is_rebuilt() {
    let (_place, path, segments) = log();
    let before = indexes(&path);
    for (file, index) in &before {
        // Clears every bit of the filter, so that it would hide every name.
        let mut bytes = index.clone();
        bytes[filter(index)].fill(0);
        std::fs::write(file, bytes).unwrap();
    }
    let report = verify(&path).unwrap();
    assert_eq!((report.problems.len() as u64, report.events), (segments - 1, COUNT));
    let problem = report.problems[0].to_string();
    assert!(problem.contains(".idx") && problem.contains("remove the file"), "{problem}");
    check(&open_read_only(&path), COUNT);
    let store = open(&path);
    check(&store, COUNT);
    let in_memory = store.segments().iter().filter(|segment| segment.memory_bytes > 0).count();
    assert_eq!(in_memory as u64, segments, "the index of every segment was rebuilt in memory");
    check_writing(&store, COUNT);
    drop(store);
    for file in before.keys() {
        std::fs::remove_file(file).unwrap();
    }
    drop(open(&path));
    assert!(indexes(&path) == before, "the files are rebuilt with the same bytes");
    assert_eq!(verify(&path).unwrap().problems, []);
}

#[test]
fn no_flipped_bit_of_a_filter_hides_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    append(&open(&path), 0..10);
    let (file, whole) = indexes(&path).pop_first().unwrap();
    let filter = filter(&whole);
    // The bits of the filter, and of its size and checksum.
    for at in filter.chain(76..80).chain(92..96) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&file, bytes).unwrap();
        let report = verify(&path).unwrap();
        assert_eq!((report.problems.len(), report.events), (1, 10), "byte {at}: {report:?}");
        let store = open_read_only(&path);
        for n in 0..10 {
            let own = store.query(&Query::tag(format!("own:{n}")));
            assert_eq!(
                own.map(|event| event.unwrap().offset).collect::<Vec<_>>(),
                [n],
                "byte {at}"
            );
        }
    }
    // A file that was cut inside the filter.
    std::fs::write(&file, &whole[..whole.len() - 8]).unwrap();
    check_types(&open_read_only(&path), 10);
    check_types(&open(&path), 10);
}

fn check_types(store: &Store, count: u64) {
    let often = store.query(&Query::event_type("often")).count() as u64;
    assert_eq!(often + store.query(&Query::event_type("seldom")).count() as u64, count);
}

/// A development version of annals 0.2 wrote filters of 8, 64 and 512 segments to files of their own.
#[test]
fn the_filter_files_of_an_older_version_are_removed_by_a_writer() {
    let (_place, path, _) = log();
    let first = "00000000000000000000";
    let old = [".8.flt", ".64.flt", ".512.flt", ".8.flt.new"].map(|end| format!("{first}{end}"));
    let others = [".7.flt", ".flt", ".idx.flt"].map(|end| format!("{first}{end}"));
    for name in old.iter().chain(&others) {
        std::fs::write(path.join(name), b"annals.f").unwrap();
    }
    // A directory cannot be removed like a file. It stays, and hinders nothing.
    let directory = path.join("00000000000000000112.64.flt");
    std::fs::create_dir(&directory).unwrap();
    assert_eq!(verify(&path).unwrap().problems, []);
    check_types(&open_read_only(&path), COUNT);
    assert!(old.iter().all(|name| path.join(name).exists()), "a reader removes nothing");
    check_types(&open(&path), COUNT);
    assert!(!old.iter().any(|name| path.join(name).exists()));
    assert!(others.iter().all(|name| path.join(name).exists()) && directory.exists());
}

/// Waits until the store has `count` events. If the store does not follow, the test does not end.
fn wait_for(store: &Store, count: u64) {
    let before = usize::try_from(count).unwrap();
    assert_eq!(store.subscription(Query::all(), 0).take(before).count(), before);
}

#[test]
fn a_follower_searches_the_segments_that_its_writer_seals() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let writer = open(&path);
    append(&writer, 0..10);
    let reader = open_read_only(&path);
    for end in (200..1_000).step_by(200) {
        append(&writer, writer.len()..end);
        wait_for(&reader, end);
        check(&reader, end);
    }
}
