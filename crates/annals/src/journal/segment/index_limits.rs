//! Tests of the limits of a segment's index, with limits so small that a test reaches them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::index_file::{MOST_INDEX_BYTES, encode, exact_bytes, most_bytes};
use super::memory_index::IndexWriter;
use crate::backend::encode::Encoded;
use crate::event::labels::Labels;
use crate::event::name::Hasher;
use crate::event::raw::RawEvent;
use crate::event::tags::Tags;
use crate::journal::Journal;
use crate::journal::options::IndexLimits;
use crate::journal::options::JournalOptions;
use crate::journal::verify::verify::verify_with;
use crate::query::Query;
use crate::store::store::EventStore;

type Store = EventStore<RawEvent, Journal<RawEvent>>;

/// Returns options with these limits of an index: the size at which its segment is sealed, and the largest size.
fn limited(sealed_at: u64, most: u64) -> JournalOptions {
    let options = Journal::options().segment_bytes(64 << 10);
    JournalOptions { index_limits: IndexLimits { sealed_at, most }, ..options }
}

fn open(options: &JournalOptions, path: &Path) -> Store {
    EventStore::on(options.clone().open(path).unwrap())
}

/// Returns an event with `tags` tags that no other event has, and one that every tenth event has.
fn event(n: u64, tags: u64) -> RawEvent {
    let own = (0..tags).map(|tag| format!("own:{n}:{tag}"));
    let builder = own.fold(RawEvent::builder("noted"), crate::RawEventBuilder::tag);
    builder.tag(format!("digit:{}", n % 10)).id(format!("id-{n}")).build().unwrap()
}

/// Returns the sizes of a store's files with this extension, by first offset.
fn sizes(path: &Path, extension: &str) -> BTreeMap<u64, u64> {
    let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    files
        .filter(|file| file.path().extension().is_some_and(|end| end == extension))
        .map(|file| {
            let first = file.path().file_stem().unwrap().to_str().unwrap().parse().unwrap();
            (first, file.metadata().unwrap().len())
        })
        .collect()
}

/// Checks that every event is found by offset, by its own tag, by its id and by the tag that it shares.
fn finds_all(store: &Store, count: u64, tags: impl Fn(u64) -> u64) {
    assert_eq!(store.len(), count);
    for n in 0..count {
        assert_eq!(store.get(n).unwrap().unwrap().event, event(n, tags(n)));
        if tags(n) > 0 {
            let own = store.query(&Query::tag(format!("own:{n}:0")));
            let found: Vec<u64> = own.map(|event| event.unwrap().offset).collect();
            assert_eq!(found, [n]);
        }
    }
    for digit in 0..10 {
        let found = store.query(&Query::tag(format!("digit:{digit}")));
        let found: Vec<u64> = found.map(|event| event.unwrap().offset).collect();
        let expected: Vec<u64> = (0..count).filter(|n| n % 10 == digit).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_segment_is_sealed_before_its_index_is_too_large() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    // Room for one commit of these, in the same proportion as the default limits leave it.
    let (sealed_at, most) = (16 << 10, (16 << 10) + 20 * (10 << 10));
    let options = limited(sealed_at, most);
    for round in 0..3 {
        let store = open(&options, &path);
        for batch in 0..20 {
            let first = round * 200 + batch * 10;
            store.append_batch((first..first + 10).map(|n| event(n, 40))).unwrap();
        }
    }
    let store = open(&options, &path);
    let (logs, indexes) = (sizes(&path, "log"), sizes(&path, "idx"));
    assert!(logs.len() > 20, "{logs:?}");
    let sealed: Vec<u64> = logs.keys().copied().take(logs.len() - 1).collect();
    assert!(indexes.keys().copied().eq(sealed), "a segment without its index: {indexes:?}");
    assert!(indexes.values().all(|&size| size <= most), "{indexes:?}");
    assert!(
        indexes.values().all(|&size| size > sealed_at / 2),
        "sealed far too early: {indexes:?}"
    );
    finds_all(&store, 600, |_| 40);
    drop(store);
    let report = verify_with(&path, &options, &mut |_, _| {}).unwrap();
    assert!(report.problems.is_empty() && report.notes.is_empty(), "{report:?}");
}

#[test]
fn the_next_commit_after_reopening_counts_what_the_index_has() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let options = limited(16 << 10, MOST_INDEX_BYTES);
    // Each event alone is far below the limit, and the store is opened again for each.
    (0..40).for_each(|n| assert_eq!(open(&options, &path).append(event(n, 40)).unwrap(), n));
    let indexes = sizes(&path, "idx");
    assert!(indexes.len() >= 3 && indexes.values().all(|&size| size < 20 << 10), "{indexes:?}");
}

/// Creates a store of 13 segments. Every third has an index that is too large to be written.
fn too_large(path: &Path) -> (JournalOptions, u64, fn(u64) -> u64) {
    // The 40 tags of each event in the third segment take more than the limit.
    fn tags(n: u64) -> u64 {
        if (n / 100) % 3 == 2 { 40 } else { 0 }
    }
    let options = limited(u64::MAX, 32 << 10).segment_bytes(4 << 10);
    let store = open(&options, path);
    for segment in 0..13 {
        let events = (segment * 100..segment * 100 + 100).map(|n| event(n, tags(n)));
        store.append_batch(events).unwrap();
    }
    (options, 1300, tags)
}

#[test]
fn an_index_that_is_too_large_stays_in_memory_and_is_not_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (options, count, tags) = too_large(&path);
    let small: Vec<u64> = (0..12).filter(|n| n % 3 != 2).map(|n| n * 100).collect();
    for _ in 0..2 {
        assert_eq!(sizes(&path, "log").len(), 13);
        assert_eq!(sizes(&path, "idx").into_keys().collect::<Vec<_>>(), small);
        let report = verify_with(&path, &options, &mut |_, _| {}).unwrap();
        assert_eq!((report.problems.as_slice(), report.events), ([].as_slice(), count));
        assert_eq!(report.notes.len(), 4, "{:?}", report.notes);
        for note in &report.notes {
            assert!(note.contains("would have") && note.contains("32768"), "{note}");
        }
        let read_only = options.clone().open_read_only(&path).unwrap();
        finds_all(&EventStore::on(read_only), count, tags);
        finds_all(&open(&options, &path), count, tags);
    }
    // With the default limits they are written.
    drop(open(&Journal::options(), &path));
    assert_eq!(sizes(&path, "idx").len(), 12);
    assert_eq!(verify_with(&path, &Journal::options(), &mut |_, _| {}).unwrap().notes, [""; 0]);
}

/// Makes an index file larger than any valid one, as an older annals wrote them. (The added bytes are a hole.)
fn lengthen(index: &PathBuf) {
    let file = fs::OpenOptions::new().append(true).open(index).unwrap();
    file.set_len(MOST_INDEX_BYTES + 1).unwrap();
}

#[test]
fn a_file_that_is_larger_than_an_index_can_be_is_not_believed_and_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (_, count, tags) = too_large(&path);
    let options = Journal::options();
    drop(open(&options, &path));
    let index = |first: u64| path.join(format!("{first:020}.idx"));
    lengthen(&index(0));
    let report = verify_with(&path, &options, &mut |_, _| {}).unwrap();
    assert_eq!((report.problems.len(), report.notes.len()), (0, 1), "{report:?}");
    let note = &report.notes[0];
    assert!(note.contains("not usable") && note.contains("4294967296"), "{note}");
    finds_all(&EventStore::on(options.clone().open_read_only(&path).unwrap()), count, tags);
    assert_eq!(sizes(&path, "idx")[&0], MOST_INDEX_BYTES + 1, "reading changes nothing");
    finds_all(&open(&options, &path), count, tags);
    assert!(sizes(&path, "idx")[&0] < 32 << 10);
    assert!(verify_with(&path, &options, &mut |_, _| {}).unwrap().notes.is_empty());
    // If the index of the segment is too large, the file is removed.
    lengthen(&index(200));
    let limited = limited(u64::MAX, 32 << 10);
    finds_all(&open(&limited, &path), count, tags);
    assert!(!index(200).exists());
}

proptest! {
    #[test]
    fn the_size_of_an_index_file_is_known_before_it_is_written(
        events in prop::collection::vec(
            (0_u8..4, prop::collection::vec("[a-z]{1,9}", 0..9), any::<bool>()), 0..80),
    ) {
        let hasher = Hasher::new(&[7; 16]);
        let mut index = IndexWriter::new();
        for (n, (event_type, tags, has_id)) in (0_u32..).zip(&events) {
            let (mut labels, mut set) = (Labels::default(), Tags::default());
            for tag in tags {
                set.push(tag);
            }
            let id = format!("id-{n}");
            labels.add(&format!("type-{event_type}"), &set, has_id.then_some(&id)).unwrap();
            labels.hash(&hasher);
            index.names.add_event(n, &labels.event(0));
            index.positions.stage(n);
        }
        index.positions.publish();
        let reader = index.reader();
        prop_assert_eq!(index.names.totals(), reader.names.totals());
        let count = events.len() as u64;
        let written = encode(&[7; 16], 0, count, &reader).len() as u64;
        prop_assert_eq!(exact_bytes(&reader), written);
        prop_assert!(most_bytes(count, &index.names.totals()) >= written);
    }
}

#[test]
fn one_commit_adds_less_to_an_index_than_20_bytes_for_each_of_its_own() {
    let hasher = Hasher::new(&[7; 16]);
    let growth = |events: &[RawEvent]| {
        let encoded = Encoded::records(events, &hasher).unwrap();
        let mut index = IndexWriter::new();
        let before = most_bytes(0, &index.names.totals());
        (0..).zip(0..events.len()).for_each(|(n, at)| index.names.add_event(n, &encoded.names(at)));
        let after = most_bytes(events.len() as u64, &index.names.totals());
        (after - before, encoded.size() as u64)
    };
    // As many names as few bytes can have: tags of one, two and three bytes.
    let mut names = (1..=3).flat_map(|size| {
        (0..26_u32.pow(size)).map(move |n| {
            (0..size)
                .map(|at| char::from(b'a' + u8::try_from(n / 26_u32.pow(at) % 26).unwrap()))
                .collect::<String>()
        })
    });
    let mut of_names = |tags: usize| {
        let tags: Vec<String> = names.by_ref().take(tags).collect();
        tags.iter().fold(RawEvent::builder("t"), crate::RawEventBuilder::tag).build().unwrap()
    };
    let alone = growth(&[of_names(26)]);
    let many = growth(&(0..200).map(|_| of_names(64)).collect::<Vec<_>>());
    let plain = growth(&(0..100).map(|n| event(n, 0)).collect::<Vec<_>>());
    for (index, records) in [alone, many, plain] {
        assert!(index < 20 * records, "{index} bytes of index for {records} of records");
    }
}
