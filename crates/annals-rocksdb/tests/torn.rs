//! Ends of RocksDB's logs that a loss of power tore: whatever is in them, a store opens, with what was before it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use annals::{Durability, EventStore, OpenError};
use annals_conformance::{Sample, or_abort};
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

/// Types of records: all that there are, and others.
fn kinds() -> impl Iterator<Item = u8> {
    (0..=14).chain([64, 127]).chain(128..=133).chain([255])
}

/// The files of a store as they are while it is open, and so after a loss of power.
fn crashed() -> (TempDir, PathBuf) {
    let (place, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = place.path().join("rocks");
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

/// The longest file that is such a one.
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

/// Where the records of a log begin, which is shorter than a block.
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

/// Opens a store, sees that it has the first events and all of them if `all`, and appends the others.
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
    let (_place, path) = crashed();
    let starts = records(&fs::read(log(&path)).unwrap());
    let torn = starts[starts.len() / 2];
    let (mut refused, mut heads) = (0, Vec::new());
    for kind in kinds() {
        let place = tempfile::tempdir().unwrap();
        let copied = place.path().join("rocks");
        copy(&path, &copied);
        let mut bytes = fs::read(log(&copied)).unwrap();
        // A whole header of nothing, and more behind it.
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
    assert!(refused >= 6, "{refused}: at least those of recycled logs' records");
    assert!(heads.iter().all(|head| *head == heads[0] && (1..EVENTS).contains(head)), "{heads:?}");
}

#[test]
fn zeroes_in_a_write_ahead_log_leave_no_hole() {
    const BLOCK: u64 = 32_768;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("rocks");
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
    let crashed = place.path().join("crashed");
    copy(&path, &crashed);
    drop(store);
    let mut bytes = fs::read(log(&crashed)).unwrap();
    let torn = usize::try_from(before).unwrap();
    let end = usize::try_from(BLOCK).unwrap();
    bytes[torn..end].fill(0);
    fs::write(log(&crashed), bytes).unwrap();
    let head = or_abort("zeroes", || {
        let store = open(&crashed).unwrap();
        assert!(store.read(..).all(|found| found.is_ok()));
        store.len()
    });
    assert_eq!(head, 3);
}

#[test]
fn a_manifest_opens_whatever_its_torn_end_is() {
    let (_place, path) = crashed();
    let whole = fs::read(manifest(&path)).unwrap();
    records(&whole);
    for kind in kinds() {
        for size in [20, 60_000_u16] {
            let place = tempfile::tempdir().unwrap();
            let copied = place.path().join("rocks");
            copy(&path, &copied);
            let [low, high] = size.to_le_bytes();
            let torn = [&[1, 2, 3, 4, low, high, kind][..], &[kind; 30]].concat();
            fs::write(manifest(&copied), [&whole[..], &torn].concat()).unwrap();
            let what = format!("manifest, type {kind}, size {size}");
            let read = or_abort(&format!("read, {what}"), || {
                open_read_only(&copied).map(|store| store.len())
            });
            match read {
                Ok(head) => assert_eq!(head, EVENTS, "{what}"),
                Err(error) => assert!(error.to_string().contains("for writing"), "{what}: {error}"),
            }
            opens(&what, &copied, true);
        }
    }
}

#[test]
fn damage_in_the_middle_of_a_manifest_is_told() {
    let (_place, path) = crashed();
    let whole = fs::read(manifest(&path)).unwrap();
    let starts = records(&whole);
    for kind in kinds() {
        let place = tempfile::tempdir().unwrap();
        let copied = place.path().join("rocks");
        copy(&path, &copied);
        let mut bytes = whole.clone();
        let middle = starts[starts.len() / 2];
        bytes[middle] ^= 1;
        bytes[middle + 6] = kind;
        fs::write(manifest(&copied), &bytes).unwrap();
        for opened in [
            or_abort(&format!("write, {kind}"), || open(&copied)),
            or_abort(&format!("read, {kind}"), || open_read_only(&copied)),
        ] {
            let error = opened.map(|store| store.len()).expect_err("it opens");
            assert!(matches!(error, OpenError::Corrupt(_)), "{kind}: {error:?}");
            assert!(error.to_string().contains("MANIFEST-"), "{error}");
        }
        assert_eq!(fs::read(manifest(&copied)).unwrap(), bytes, "{kind}: it is left as it is");
    }
}
