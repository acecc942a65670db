//! Torn ends of RocksDB's logs after a loss of power: the store always opens, with the events before the torn record.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use annals::{Durability, EventStore, OpenError};
use annals_conformance::{Random, Sample, or_abort};
use annals_rocksdb::{RocksDb, verify};
use tempfile::TempDir;

const EVENTS: u64 = 40;

type Store = EventStore<Sample, RocksDb<Sample>>;

fn event(n: u64) -> Sample {
    Sample::new("torn").tag(format!("digit:{}", n % 10)).data(format!("{n}"))
}

fn open(path: &Path) -> Result<Store, OpenError> {
    RocksDb::options().durability(Durability::Buffered).open(path).map(EventStore::on)
}

fn open_read_only(path: &Path) -> Result<Store, OpenError> {
    RocksDb::open_read_only(path).map(EventStore::on)
}

/// Returns record types: all that exist, and others.
fn kinds() -> impl Iterator<Item = u8> {
    (0..=14).chain([64, 127]).chain(128..=133).chain([255])
}

/// Returns the files of an open store, which is the state after a loss of power.
fn crashed() -> (TempDir, PathBuf) {
    let (directory, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = directory.path().join("rocks");
    let store = open(&path).unwrap();
    for n in 0..EVENTS {
        store.append(event(n)).unwrap();
    }
    copy(&path, &crashed.path().join("rocks"));
    let path = crashed.path().join("rocks");
    (crashed, path)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let file = entry.unwrap().path();
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// Returns the longest matching file.
fn file(path: &Path, is_it: impl Fn(&Path) -> bool) -> PathBuf {
    let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let size = |file: &PathBuf| fs::metadata(file).unwrap().len();
    files.filter(|file| is_it(file)).max_by_key(size).unwrap()
}

fn log(path: &Path) -> PathBuf {
    file(path, |file| file.extension().is_some_and(|end| end == "log"))
}

fn manifest(path: &Path) -> PathBuf {
    file(path, |file| file.file_name().unwrap().to_str().unwrap().starts_with("MANIFEST-"))
}

/// Returns the positions of the records of a log, which is shorter than a block.
fn records(bytes: &[u8]) -> Vec<usize> {
    let (mut starts, mut at) = (Vec::new(), 0);
    while at + 7 <= bytes.len() {
        starts.push(at);
        at += 7 + usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
    }
    assert_eq!(at, bytes.len());
    assert!(at < 32_768);
    starts
}

/// Opens a store, checks that it has the first events, or all of them if `all` is set, and appends the others. Returns
/// the head after opening.
fn opens(what: &str, path: &Path, all: bool) -> u64 {
    or_abort(what, || {
        let store = open(path).unwrap_or_else(|error| panic!("{what}: {error}"));
        let events: Vec<Sample> =
            store.read(..).map(|found| found.unwrap().event.clone()).collect();
        let head = store.len();
        assert!(events.into_iter().eq((0..head).map(event)), "{what}: other events");
        assert!(!all || head == EVENTS, "{what}: {head}");
        store.append_batch((head..EVENTS).map(event)).unwrap();
        drop(store);
        let report = verify(path).unwrap();
        assert_eq!((report.events, &report.problems[..]), (EVENTS, &[][..]), "{what}");
        head
    })
}

#[test]
fn a_write_ahead_log_opens_whatever_type_its_torn_record_has() {
    let (_directory, path) = crashed();
    let starts = records(&fs::read(log(&path)).unwrap());
    let torn = starts[starts.len() / 2];
    let (mut refused, mut heads) = (0, Vec::new());
    for kind in kinds() {
        let directory = tempfile::tempdir().unwrap();
        let copied = directory.path().join("rocks");
        copy(&path, &copied);
        let mut bytes = fs::read(log(&copied)).unwrap();
        // A whole header without a matching record, and more records behind it.
        bytes[torn..torn + 7].copy_from_slice(&[1, 2, 3, 4, 20, 0, kind]);
        fs::write(log(&copied), bytes).unwrap();
        let read =
            or_abort(&format!("read, {kind}"), || open_read_only(&copied).map(|store| store.len()));
        match read {
            Ok(head) => assert!(head < EVENTS, "{kind}"),
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains(".log") && message.contains("for writing"), "{message}");
                refused += 1;
            }
        }
        heads.push(opens(&format!("type {kind}"), &copied, false));
        let read = or_abort(&format!("{kind}"), || open_read_only(&copied).unwrap().len());
        assert_eq!(read, EVENTS);
    }
    assert!(refused >= 6, "{refused}: at least the types of recycled logs");
    assert!(heads.iter().all(|head| *head == heads[0] && (1..EVENTS).contains(head)), "{heads:?}");
}

#[test]
fn zeroes_in_a_write_ahead_log_leave_no_hole() {
    const BLOCK: u64 = 32_768;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rocks");
    let store = open(&path).unwrap();
    let sized = |n: u64, size: u64| {
        let data = vec![b'a'; usize::try_from(size).unwrap()];
        Sample::new("torn").tag(format!("digit:{}", n % 10)).data(data)
    };
    let written = || fs::metadata(log(&path)).unwrap().len();
    // The fourth record ends where the block ends, so that the fifth begins the next.
    for n in 0..3 {
        store.append(sized(n, 9_000)).unwrap();
    }
    let before = written();
    store.append(sized(3, 1_000)).unwrap();
    let beside = written() - before - 1_000;
    let left = BLOCK - written();
    store.append(sized(4, left - beside - 3)).unwrap();
    assert!((BLOCK - 6..=BLOCK).contains(&written()), "{}", written());
    for n in 5..10 {
        store.append(sized(n, 1_000)).unwrap();
    }
    let crashed = directory.path().join("crashed");
    copy(&path, &crashed);
    drop(store);
    let mut bytes = fs::read(log(&crashed)).unwrap();
    let torn = usize::try_from(before).unwrap();
    let end = usize::try_from(BLOCK).unwrap();
    bytes[torn..end].fill(0);
    fs::write(log(&crashed), bytes).unwrap();
    let refused = or_abort("zeroes", || open_read_only(&crashed).map(|store| store.len()));
    let refused = refused.expect_err("records behind zeroes are not read").to_string();
    assert!(refused.contains("for writing"), "{refused}");
    let head = or_abort("zeroes", || {
        let store = open(&crashed).unwrap();
        assert!(store.read(..).all(|found| found.is_ok()));
        store.len()
    });
    assert_eq!(head, 3);
}

#[test]
fn a_manifest_that_ends_early_or_in_zeroes_opens_and_others_are_reported_and_left() {
    let (_directory, path) = crashed();
    let whole = fs::read(manifest(&path)).unwrap();
    let starts = records(&whole);
    let mut opened = 0;
    for kind in kinds() {
        for (size, behind) in [(20_u16, false), (60_000, false), (0, false), (20, true)] {
            let directory = tempfile::tempdir().unwrap();
            let copied = directory.path().join("rocks");
            copy(&path, &copied);
            let [low, high] = size.to_le_bytes();
            let header = [low, low, low, low, low, high, kind];
            let torn = if behind {
                // Damage with whole records behind it.
                let mut torn = whole.clone();
                torn[starts[starts.len() / 2]..][..7].copy_from_slice(&header);
                torn
            } else {
                [&whole[..], &header, &[kind; 30]].concat()
            };
            fs::write(manifest(&copied), &torn).unwrap();
            let what = format!("manifest, type {kind}, size {size}, {behind}");
            let read = or_abort(&what, || open_read_only(&copied).map(|store| store.len()));
            match read {
                Ok(EVENTS) => {
                    opened += 1;
                    opens(&what, &copied, true);
                }
                Err(OpenError::Corrupt(_)) => {
                    let error = or_abort(&what, || open(&copied).map(|store| store.len()));
                    let error = error.expect_err("it is damaged").to_string();
                    assert!(error.contains("MANIFEST-"), "{what}: {error}");
                    assert_eq!(fs::read(manifest(&copied)).unwrap(), torn, "{what}");
                }
                other => panic!("{what}: {other:?}"),
            }
        }
    }
    assert!((10..50).contains(&opened), "{opened}");
}

#[test]
fn damage_at_the_end_of_a_closed_stores_manifest_is_reported_and_removes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rocks");
    open(&path).unwrap().append_batch((0..EVENTS).map(event)).unwrap();
    let whole = fs::read(manifest(&path)).unwrap();
    let names = |path: &Path| {
        let mut names: Vec<_> =
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let starts = records(&whole);
    for &start in &starts {
        let copied = directory.path().join(format!("copy-{start}"));
        copy(&path, &copied);
        let mut damaged = whole.clone();
        // All checksums from this record on are wrong.
        starts.iter().filter(|later| **later >= start).for_each(|later| damaged[*later] ^= 1);
        fs::write(manifest(&copied), &damaged).unwrap();
        let before = names(&copied);
        for error in [open(&copied), open_read_only(&copied)] {
            let error = error.map(|store| store.len()).expect_err("it is damaged");
            assert!(matches!(error, OpenError::Corrupt(_)), "{start}: {error:?}");
        }
        assert_eq!(names(&copied), before);
    }
}

#[test]
fn something_else_than_a_store_is_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("theirs");
    let theirs = rocksdb::DB::open_default(&path).unwrap();
    theirs.put("their key", "their value").unwrap();
    let copied = directory.path().join("copied");
    copy(&path, &copied);
    drop(theirs);
    let torn = [&fs::read(log(&copied)).unwrap()[..], &[1, 2, 3, 4, 1, 0, 5], &[9; 99]].concat();
    fs::write(log(&copied), &torn).unwrap();
    fs::write(copied.join("app.log"), [9; 50]).unwrap();
    for opened in [open(&copied), open_read_only(&copied)] {
        let error = opened.map(|store| store.len()).expect_err("it is not a store");
        assert!(error.to_string().contains(".log"), "{error}");
    }
    assert_eq!(fs::read(log(&copied)).unwrap(), torn);
    assert_eq!(fs::read(copied.join("app.log")).unwrap(), [9; 50]);
}

/// Changes random bytes in the log of a store whose events span many blocks.
#[test]
fn opening_never_hangs_and_keeps_the_events_before_the_torn_record() {
    const BLOCK: usize = 32 << 10;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rocks");
    let mut random = Random::new(7);
    let most = [20, 3_000, 200_000];
    let sizes: Vec<usize> = (0..30).map(|n| random.index(most[n % 3])).collect();
    let event_of = |n: usize| Sample::new("torn").data(format!("{n} {}", "x".repeat(sizes[n])));
    let store = open(&path).unwrap();
    let mut ends = vec![0];
    for n in 0..sizes.len() {
        store.append(event_of(n)).unwrap();
        ends.push(fs::metadata(log(&path)).unwrap().len());
    }
    let crashed = directory.path().join("crashed");
    copy(&path, &crashed);
    drop(store);
    let whole = fs::read(log(&crashed)).unwrap();
    let blocks = whole.len() / BLOCK;
    let mut refused = 0;
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let copied = directory.path().join(format!("copy-{seed}"));
        copy(&crashed, &copied);
        let mut torn = whole.clone();
        let mut first = torn.len();
        for _ in 0..=random.index(5) {
            // The start of a block, the start of an event, or any byte.
            let at = match random.below(5) {
                0..3 => BLOCK * random.index(blocks + 1),
                3 => usize::try_from(ends[random.index(ends.len())]).unwrap(),
                _ => random.index(torn.len()),
            };
            let size = [1, 7, 500, 40_000][random.index(4)].min(torn.len() - at);
            let kinds: Vec<u8> = kinds().collect();
            let byte = if random.once_in(2) { 0 } else { kinds[random.index(kinds.len())] };
            torn[at..at + size].fill(byte);
            if size == 7 {
                torn[at + 6] = kinds[random.index(kinds.len())];
            }
            first = first.min(at);
        }
        torn.truncate(torn.len() - random.index(100));
        let first = first.min(torn.len());
        fs::write(log(&copied), &torn).unwrap();
        let what = format!("seed {seed}");
        let before = ends.iter().take_while(|end| **end <= first as u64).count().max(1) - 1;
        let check = |store: Store| {
            let head = usize::try_from(store.len()).unwrap();
            assert!((before..=sizes.len()).contains(&head), "{what}: {head} of {before}");
            for (n, found) in store.read(..).enumerate() {
                assert_eq!(found.unwrap().event, event_of(n), "{what}: {n}");
            }
        };
        match or_abort(&what, || open_read_only(&copied)) {
            Ok(store) => check(store),
            Err(error) => {
                assert!(error.to_string().contains("for writing"), "{what}: {error}");
                refused += 1;
            }
        }
        or_abort(&what, || check(open(&copied).unwrap()));
        let report = verify(&copied).unwrap();
        assert_eq!(report.problems, [], "{what}");
        fs::remove_dir_all(&copied).unwrap();
    }
    assert!((100..200).contains(&refused), "{refused}");
}

/// Returns the files of a store while RocksDB has two logs whose events are not in table files yet, and the first log.
fn with_two_logs(directory: &Path) -> (PathBuf, PathBuf) {
    let path = directory.join("rocks");
    let options = RocksDb::options().durability(Durability::Buffered).memtable_bytes(4 << 20);
    let store: Store = EventStore::on(options.open(&path).unwrap());
    let logs = |path: &Path| {
        let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let is_log = |file: &PathBuf| file.extension().is_some_and(|end| end == "log");
        let size = |file: &PathBuf| fs::metadata(file).map_or(0, |file| file.len());
        let mut logs: Vec<_> = files.filter(|file| is_log(file) && size(file) > 0).collect();
        logs.sort();
        logs
    };
    for n in 0.. {
        store.append(numbered(n)).unwrap();
        let crashed = directory.join(format!("crashed-{n}"));
        // The manifest is copied first, and the logs that it needs last, if they still exist.
        if logs(&path).len() == 2 && try_copy(&path, &crashed) {
            let logs = logs(&crashed);
            if let [first, _] = &logs[..] {
                return (crashed, first.clone());
            }
        }
    }
    unreachable!("a memtable is written to a file at some point");
}

fn try_copy(from: &Path, to: &Path) -> bool {
    fs::create_dir(to).unwrap();
    let mut files: Vec<_> =
        fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_by_key(|file| file.extension().is_some_and(|end| end == "log"));
    files.iter().all(|file| fs::copy(file, to.join(file.file_name().unwrap())).is_ok())
}

fn numbered(n: u64) -> Sample {
    Sample::new("torn").data(format!("{n} {}", "z".repeat(10_000)))
}

#[test]
fn a_log_behind_one_that_lost_its_end_is_not_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let (crashed, first) = with_two_logs(directory.path());
    let whole = fs::read(&first).unwrap();
    // The ends of events. An event is a record of RocksDB, in one block or in two.
    let mut ends = Vec::new();
    for start in (0..whole.len()).step_by(32 << 10) {
        let block = &whole[start..whole.len().min(start + (32 << 10))];
        let mut at = 0;
        while let Some(header) = block.get(at..at + 7) {
            at += 7 + usize::from(u16::from_le_bytes([header[4], header[5]]));
            if header[6] == 1 || header[6] == 4 {
                ends.push(start + at);
            }
        }
    }
    let middle = ends[ends.len() / 2];
    let torn = [
        ("a whole record", whole[..middle].to_vec(), false),
        ("a header", whole[..middle + 3].to_vec(), true),
        ("a record", whole[..middle + 300].to_vec(), true),
        ("zeroes", [&whole[..middle], &vec![0; whole.len() - middle]].concat(), true),
        ("zeroes in a record", [&whole[..middle + 99], &vec![0; 90_000]].concat(), true),
    ];
    for (what, torn, is_refused) in torn {
        let copied = directory.path().join(what);
        copy(&crashed, &copied);
        fs::write(copied.join(first.file_name().unwrap()), torn).unwrap();
        let read = or_abort(what, || open_read_only(&copied).map(|store| store.len()));
        if is_refused {
            let error = read.expect_err("it has a hole").to_string();
            assert!(error.contains("for writing"), "{what}: {error}");
        }
        let head = or_abort(what, || {
            let store = open(&copied).unwrap_or_else(|error| panic!("{what}: {error}"));
            for (n, found) in (0..).zip(store.read(..)) {
                assert_eq!(found.unwrap().event, numbered(n), "{what}: {n}");
            }
            store.append(numbered(store.len())).unwrap();
            store.len() - 1
        });
        // The first records of the log belong to the store, not to events.
        assert!((100..ends.len() as u64).contains(&head), "{what}: {head} of {}", ends.len());
        assert_eq!(open_read_only(&copied).unwrap().len(), head + 1, "{what}");
        assert_eq!(verify(&copied).unwrap().problems, [], "{what}");
    }
}

#[test]
fn zeroes_behind_a_part_of_an_event_are_not_an_end_for_a_reader() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rocks");
    let store = open(&path).unwrap();
    store.append(event(0)).unwrap();
    store.append(Sample::new("torn").data("w".repeat(100_000))).unwrap();
    let crashed = directory.path().join("crashed");
    copy(&path, &crashed);
    drop(store);
    let mut bytes = fs::read(log(&crashed)).unwrap();
    bytes[32 << 10..].fill(0);
    fs::write(log(&crashed), bytes).unwrap();
    let error = open_read_only(&crashed).map(|store| store.len()).expect_err("it is torn");
    assert!(error.to_string().contains("for writing"), "{error}");
    assert_eq!(open(&crashed).unwrap().len(), 1);
    assert_eq!(open_read_only(&crashed).unwrap().len(), 1);
}
