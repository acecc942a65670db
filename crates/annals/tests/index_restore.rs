//! Index files of another history of the log, as they remain after an older copy was restored.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;

use annals::{Durability, EventStore, Journal, JournalOptions, Query, RawEvent};

const EVENTS: u64 = 200;

/// Opens a store with segments so small that each has one or a few events.
fn options() -> JournalOptions {
    Journal::options().segment_bytes(4 << 10).durability(Durability::Buffered)
}

fn copy(from: &Path, to: &Path, extensions: &[&str]) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        let extension = path.extension().map_or("", |found| found.to_str().unwrap());
        if extensions.is_empty() || extensions.contains(&extension) {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Writes two histories of one log with payloads of these sizes. The second gets the index files of the first.
fn second_life(directory: &Path, sizes: [usize; 2]) -> std::path::PathBuf {
    let (one, other) = (directory.join("one"), directory.join("other"));
    drop(EventStore::<RawEvent, _>::on(options().open(&one).unwrap()));
    copy(&one, &other, &[]);
    for ((path, life), size) in [(&one, "a"), (&other, "b")].into_iter().zip(sizes) {
        let store = EventStore::on(options().open(path).unwrap());
        for n in 0..EVENTS {
            let event = RawEvent::builder(format!("type-{life}")).tag(format!("{life}:{n}"));
            let event = event.id(format!("id-{life}{n}")).data(life.repeat(size));
            store.append(event.build().unwrap()).unwrap();
        }
    }
    copy(&one, &other, &["idx"]);
    other
}

fn check(store: &EventStore<RawEvent, Journal<RawEvent>>) {
    assert_eq!(store.len(), EVENTS);
    assert_eq!(store.query(&Query::event_type("type-b")).count() as u64, EVENTS);
    assert_eq!(store.query(&Query::event_type("type-a")).count(), 0);
    for n in 0..EVENTS {
        let mut found = store.query(&Query::tag(format!("b:{n}")));
        assert_eq!(found.next().unwrap().unwrap().offset, n);
        assert_eq!(store.query(&Query::tag(format!("a:{n}"))).count(), 0);
    }
}

fn check_second_life(sizes: [usize; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let path = second_life(directory.path(), sizes);
    check(&EventStore::on(options().open_read_only(&path).unwrap()));
    let store = EventStore::on(options().open(&path).unwrap());
    check(&store);
    let again = RawEvent::builder("type-b").tag("b:7").id("id-b7").data("b".repeat(sizes[1]));
    assert_eq!(store.append(again.build().unwrap()).unwrap(), 7, "its id is known");
    drop(store);
    assert_eq!(annals::verify(&path).unwrap().problems, []);
    check(&EventStore::on(options().open_read_only(&path).unwrap()));
}

#[test]
fn an_index_of_another_history_of_the_log_is_rebuilt() {
    // Both have the same segments, and every event has the same position in them.
    check_second_life([600, 600]);
}

#[test]
fn an_index_with_wrong_positions_is_rebuilt() {
    // Both have the same segments, but all events except the first have other positions in them.
    check_second_life([600, 592]);
}

/// Writes two histories of one log. Both begin with `common` events, each in a batch of its own. Then `one` has events
/// with `seat:A` and `other` has events with `seat:B`. All events have the same size, and the last events of
/// corresponding segments are equal.
fn diverged(directory: &Path) -> [std::path::PathBuf; 2] {
    let append = |store: &EventStore<RawEvent, Journal<RawEvent>>, tag: &str, count| {
        for _ in 0..count {
            let event = RawEvent::builder("tick").tag(tag).data("d".repeat(400));
            store.append(event.build().unwrap()).unwrap();
        }
    };
    let (one, other) = (directory.join("one"), directory.join("other"));
    append(&EventStore::on(options().open(&one).unwrap()), "all", 2);
    copy(&one, &other, &[]);
    for (path, seat) in [(&one, "seat:A"), (&other, "seat:B")] {
        // Each store is opened twice: the checksum of the active segment's frames continues after a reopening.
        append(&EventStore::on(options().open(path).unwrap()), seat, 1);
        let store = EventStore::on(options().open(path).unwrap());
        append(&store, seat, 2);
        append(&store, "all", 12);
    }
    [one, other]
}

fn of_seat(path: &Path, seat: &str) -> usize {
    let store = EventStore::<RawEvent, _>::on(options().open(path).unwrap());
    store.query(&Query::tag(seat)).map(Result::unwrap).count()
}

const FIRST: &str = "00000000000000000000";

#[test]
fn an_index_of_a_diverged_history_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let [one, other] = diverged(directory.path());
    let name = format!("{FIRST}.idx");
    std::fs::copy(other.join(&name), one.join(&name)).unwrap();
    let report = annals::verify(&one).unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(report.problems[0].found, "the checksum of other frames");
    let store = EventStore::<RawEvent, _>::on(options().open_read_only(&one).unwrap());
    assert_eq!(store.query(&Query::tag("seat:A")).count(), 3);
    assert_eq!(store.query(&Query::tag("seat:B")).count(), 0);
    drop(store);
    assert_eq!(of_seat(&one, "seat:A"), 3);
    assert_eq!(of_seat(&one, "seat:B"), 0);
    assert_eq!(annals::verify(&one).unwrap().problems, []);
}

/// Whether the segment is cut short is asked of the index's last position, whose checksum is not read at each opening.
#[test]
fn a_damaged_last_position_in_an_index_is_not_taken_for_a_segment_that_is_cut_short() {
    let directory = tempfile::tempdir().unwrap();
    let [one, _] = diverged(directory.path());
    let index = one.join(format!("{FIRST}.idx"));
    let mut bytes = std::fs::read(&index).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let end_of_positions = word(48) + word(52);
    bytes[end_of_positions - 1] ^= 0x40;
    std::fs::write(&index, bytes).unwrap();
    let store = EventStore::<RawEvent, _>::on(options().open_read_only(&one).unwrap());
    assert_eq!(store.query(&Query::tag("seat:A")).count(), 3);
    drop(store);
    assert_eq!(of_seat(&one, "seat:A"), 3);
}

/// The reader follows a copy of the first history, into which an index file of the other comes before the next segment.
#[test]
fn a_follower_does_not_use_an_index_of_another_history() {
    let directory = tempfile::tempdir().unwrap();
    let [one, other] = diverged(directory.path());
    let seen = directory.path().join("seen");
    std::fs::create_dir(&seen).unwrap();
    for name in ["store.json".to_owned(), format!("{FIRST}.log")] {
        std::fs::copy(one.join(&name), seen.join(&name)).unwrap();
    }
    let reader = EventStore::<RawEvent, _>::on(options().open_read_only(&seen).unwrap());
    let sealed = reader.len();
    std::fs::copy(other.join(format!("{FIRST}.idx")), seen.join(format!("{FIRST}.idx"))).unwrap();
    let next = format!("{sealed:020}.log");
    std::fs::copy(one.join(&next), seen.join("coming")).unwrap();
    std::fs::rename(seen.join("coming"), seen.join(&next)).unwrap();
    // An event of the next segment is there: the first one is sealed for the reader, too.
    reader.subscription(Query::all(), sealed).next().unwrap().unwrap();
    assert_eq!(reader.query(&Query::tag("seat:A")).count(), 3);
    assert_eq!(reader.query(&Query::tag("seat:B")).count(), 0);
}

#[test]
fn a_segment_of_another_history_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let [one, other] = diverged(directory.path());
    for name in [format!("{FIRST}.log"), format!("{FIRST}.idx")] {
        std::fs::copy(other.join(&name), one.join(&name)).unwrap();
    }
    let is_told = |problem: &annals::Corruption| {
        problem.file.ends_with(format!("{FIRST}.log")) && problem.expected.contains("after which")
    };
    assert!(annals::verify(&one).unwrap().problems.iter().any(is_told));
    match options().open::<RawEvent>(&one) {
        Err(annals::OpenError::Corrupt(problem)) => assert!(is_told(&problem), "{problem}"),
        opened => panic!("{:?}", opened.map(|_| ())),
    }
}

/// A store of an older version has no checksum of frames. Then only the last event shows that an index belongs to
/// another history.
#[test]
fn a_store_without_checksums_of_frames_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let [one, _] = diverged(directory.path());
    let clear = |file: &Path, word: usize, head: usize| {
        let mut bytes = std::fs::read(file).unwrap();
        assert_ne!(bytes[word..word + 4], [0; 4], "{}", file.display());
        bytes[word..word + 4].fill(0);
        if head == 112 {
            bytes[108..112].fill(0); // nor has it checksums of blocks
        }
        let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[16..head]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes()[..4]);
        std::fs::write(file, bytes).unwrap();
    };
    for file in std::fs::read_dir(&one).unwrap() {
        let path = file.unwrap().path();
        let is_first = path.file_stem().is_some_and(|stem| stem == FIRST);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("idx") => clear(&path, 60, 112),
            Some("log") if !is_first => clear(&path, 48, 64),
            _ => {}
        }
    }
    assert_eq!(annals::verify(&one).unwrap().problems, []);
    let index = std::fs::read(one.join(format!("{FIRST}.idx"))).unwrap();
    assert_eq!(of_seat(&one, "seat:A"), 3);
    assert_eq!(
        std::fs::read(one.join(format!("{FIRST}.idx"))).unwrap(),
        index,
        "it is used as it is"
    );
}
