//! Stores in RocksDB and Journals: events that are copied, or exported and appended, from one to the other stay the
//! same.

use std::path::Path;

use annals::{Backend, Batch, Durability, EventStore, Journal, RawEvent};
use annals_rocksdb::RocksDb;
use serde_json::json;

use crate::harness::{Running, StoreKind, TestDir, all, annals, as_given, line, lines};

/// The last time that RFC 3339 can express, in ms since 1970.
const LAST_TIME_MS: u64 = 253_402_300_799_999;

/// Returns event `n` of a log with all kinds of events.
fn sample(n: u64) -> RawEvent {
    let mut event =
        RawEvent::builder(["opened", "geändert", "closed"][usize::try_from(n % 3).unwrap()]);
    for tag in 0..n % 5 {
        event = event.tag(format!("tag-{tag}:{}", n % 97));
    }
    if n.is_multiple_of(3) {
        event = event.id(format!("id-{n}"));
    }
    if n.is_multiple_of(7) {
        event = event.metadata("by", "x\ny").metadata("n", n.to_string()).metadata("empty", "");
    }
    event = match n % 6 {
        0 => event,
        1 => event.data(vec![0xFF, 0, u8::try_from(n % 256).unwrap()]),
        2 => event.data(r#"{"z":1.0e5,"a":123456789012345678901234567890,"z":"\u00e4ä"}"#),
        3 if n % 500 == 3 => event.data(format!("\"{}\"", "long ".repeat(20_000))),
        _ => event.data(format!("{{\"n\":{n}}}")),
    };
    event.build().unwrap()
}

/// Appends `count` events to a new Journal, three per batch and time, the last ones at times after the year 9999.
fn write_sample(path: &Path, count: u64) {
    let store = EventStore::<RawEvent>::open(path).unwrap();
    for first in (0..count).step_by(3) {
        let events = (first..count.min(first + 3)).map(sample).collect();
        let early = first + 30 < count;
        let time_ms = if early { 1_700_000_000_000 } else { LAST_TIME_MS } + first;
        store.append_as(Batch::new(events).time_ms(time_ms).allow_future_time()).unwrap();
    }
}

/// Returns the output of a command on a store.
fn output(command: &str, store: &str) -> String {
    annals([command, store], "").succeeds().out
}

#[test]
fn a_log_goes_to_rocksdb_and_back_and_is_the_same() {
    let dir = TestDir::of(StoreKind::RocksDb);
    let (from, there, back) = (dir.arg("a.store"), dir.at("b.rocks"), dir.arg("c.store"));
    write_sample(&dir.path("a.store"), 5_000);
    for (from, to) in [(&from, &there), (&there, &back)] {
        let copied = annals(["copy", from, to], "").succeeds().out;
        assert_eq!(copied, "{\"copied\":5000,\"events\":5000}\n");
        let again = annals(["copy", from, to], "").succeeds().out;
        assert_eq!(again, "{\"copied\":0,\"events\":5000}\n");
        annals(["verify", to], "").succeeds();
    }
    let events = output("read", &from);
    assert_eq!(events.lines().count(), 5_000);
    for copy in [&there, &back] {
        for command in ["read", "types", "tags"] {
            assert!(output(command, copy) == output(command, &from), "{command} {copy}");
        }
        for filter in [&["--tag", "tag-2:31"][..], &["--type", "geändert", "--tag", "tag-0:5"]] {
            let read =
                |store: &str| annals(["read", store].iter().chain(filter).copied(), "").succeeds();
            assert!(read(copy).out == read(&from).out && !read(copy).out.is_empty(), "{filter:?}");
        }
    }
    // The copy has the same ids.
    let with_id = as_given(events.lines().nth(3).unwrap());
    let again = annals(["append", &there], with_id).succeeds().lines().remove(0);
    assert_eq!(again, json!({"first": 3, "last": 3, "already": true}));
    // The copy can be brought up to date.
    annals(["append", &from], lines(0..10)).succeeds();
    let more = annals(["copy", &from, &there], "").succeeds().out;
    assert_eq!(more, "{\"copied\":10,\"events\":5010}\n");
    assert!(output("read", &there) == output("read", &from));
}

#[test]
fn events_exported_from_memory_are_the_same_on_every_backend() {
    let memory = EventStore::<RawEvent>::in_memory();
    let mut export = Vec::new();
    for n in 0..1_000 {
        let offset = memory.append(sample(n)).unwrap();
        annals_cli::write_line(&memory.get(offset).unwrap().unwrap(), &mut export).unwrap();
    }
    // Each store assigns offsets and times itself, so they are not part of its input.
    let export = String::from_utf8(export).unwrap();
    let given: Vec<String> = export.lines().map(as_given).collect();
    for kind in [StoreKind::Journal, StoreKind::RocksDb] {
        let dir = TestDir::of(kind);
        let store = dir.store("a.store", &given.join("\n"));
        assert!(all(&store) == given, "{store}");
        let ids = given.iter().filter(|line| line.contains("\"id\":")).count();
        let again = annals(["append", &store], given.join("\n")).succeeds().lines().pop().unwrap();
        assert_eq!((ids, &again["already"]), (334, &334.into()));
    }
}

/// Returns the number of events of a store, 0 if it does not exist or cannot be opened yet.
fn events(kind: StoreKind, path: &Path) -> u64 {
    match kind {
        StoreKind::Journal => Journal::options().open_read_only(path).map_or(0, |log| len(&log)),
        StoreKind::RocksDb => RocksDb::open_read_only(path).map_or(0, |log| len(&log)),
    }
}

fn len(log: &impl Backend<RawEvent>) -> u64 {
    log.head().get()
}

/// Creates a store of `count` events with different times, so that a copy must commit each of them separately.
fn write_one_by_one(kind: StoreKind, path: &Path, count: u64) {
    let log: Box<dyn Backend<RawEvent>> = match kind {
        StoreKind::Journal => {
            Box::new(Journal::options().durability(Durability::Buffered).open(path).unwrap())
        }
        StoreKind::RocksDb => {
            Box::new(RocksDb::options().durability(Durability::Buffered).open(path).unwrap())
        }
    };
    for n in 0..count {
        let event = annals_cli::parse_line(line(n).as_bytes()).unwrap();
        log.append(Batch::new(vec![event]).time_ms(n)).unwrap();
    }
}

/// Copies a log from one kind to the other, kills the copy as soon as it has some events, and copies again.
fn goes_on_after_a_kill(kinds: [StoreKind; 2]) {
    const COUNT: u64 = 20_000;
    for _ in 0..3 {
        let dirs = kinds.map(TestDir::of);
        let paths = dirs.each_ref().map(|dir| dir.path("a.store"));
        let [from, to] = dirs.each_ref().map(|dir| dir.at("a.store"));
        write_one_by_one(kinds[0], &paths[0], COUNT);
        let mut copy = Running::start(["copy", &from, &to]);
        while events(kinds[1], &paths[1]) == 0 && copy.child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        copy.child.kill().unwrap();
        copy.code();
        // The copy may have finished before the kill.
        let begun = events(kinds[1], &paths[1]);
        assert!((1..=COUNT).contains(&begun), "{begun}");
        let copied = annals(["copy", &from, &to], "").succeeds().lines().remove(0);
        assert_eq!(copied, json!({"copied": COUNT - begun, "events": COUNT}));
        assert!(output("read", &from) == output("read", &to));
        annals(["verify", &to], "").succeeds();
    }
}

#[test]
fn a_copy_to_rocksdb_that_was_killed_half_way_goes_on() {
    goes_on_after_a_kill([StoreKind::Journal, StoreKind::RocksDb]);
}

#[test]
fn a_copy_from_rocksdb_that_was_killed_half_way_goes_on() {
    goes_on_after_a_kill([StoreKind::RocksDb, StoreKind::Journal]);
}

#[cfg(feature = "channels")]
#[test]
fn a_channels_state_is_the_same_now_and_then() {
    let dir = TestDir::of(StoreKind::RocksDb);
    let (journal, channel) = crate::state::store(&dir);
    let copy = dir.at("b.rocks");
    annals(["copy", &journal, &copy], "").succeeds();
    for at in 0..7 {
        for format in ["jsonl", "table"] {
            let at = at.to_string();
            let state = |store: &str| {
                let args = ["state", store, "--channel", &channel, "--at", &at, "--format", format];
                annals(args, "").succeeds().out
            };
            assert_eq!(state(&copy), state(&journal));
        }
    }
    annals(["state", &copy, "--channel", &channel, "--at", "7"], "").fails(&["offsets 0 to 6"]);
}

#[test]
fn its_files_are_called_files() {
    let dir = TestDir::of(StoreKind::RocksDb);
    let store = dir.store("a.store", &lines(0..100));
    let table = annals(["stats", &store, "--format", "table"], "").succeeds().out;
    assert!(table.contains("\nfiles  ") && !table.contains("segments"), "{table}");
    assert!(table.contains("events          100\n"), "{table}");
    let stats = annals(["stats", &store], "").succeeds().lines().remove(0);
    for (field, expected) in [("events", 100), ("head", 100), ("types", 3), ("tags", 11)] {
        assert_eq!(stats[field], expected, "{field}");
    }
}
