//! Opening a path that has something else than a store, or a damaged one: a clear error, and nothing is changed.

use std::fs;
use std::path::{Path, PathBuf};

use annals::{Durability, EventStore, OpenError, Query};
use annals_conformance::Sample;
use annals_rocksdb::{Compression, RocksDb, verify};
use rocksdb::{DB, Options};
use tempfile::TempDir;

use crate::schedule::Store;

const EVENTS: u64 = 300;

/// Changes a byte of the first occurrence of `needle` in `file`.
pub(crate) fn flip(file: &Path, needle: &[u8]) -> bool {
    let bytes = fs::read(file).unwrap();
    let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) else {
        return false;
    };
    flip_at(file, at);
    true
}

fn flip_at(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    // It becomes another file with the same name.
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}

fn open(path: &Path) -> Result<Store, OpenError> {
    let options = RocksDb::options().compression(Compression::None);
    options.durability(Durability::Buffered).open(path).map(EventStore::on)
}

fn event(n: u64) -> Sample {
    let event = Sample::new("checked").tag(format!("digit:{}", n % 10)).id(format!("id-{n}"));
    event.data(format!("{n} {}", "y".repeat(500)))
}

/// Returns a store that was closed twice, so that it has every kind of file.
fn filled() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rocks");
    for half in [0..EVENTS / 2, EVENTS / 2..EVENTS] {
        let store = open(&path).unwrap();
        store.append_batch(half.map(event)).unwrap();
    }
    (directory, path)
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn ending(path: &Path, end: &str) -> Vec<PathBuf> {
    files(path).into_iter().filter(|file| file.extension().is_some_and(|own| own == end)).collect()
}

fn starting(path: &Path, start: &str) -> PathBuf {
    let is_it = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().starts_with(start);
    files(path).into_iter().find(is_it).unwrap()
}

/// Opens a path for writing and read-only, and returns both errors. Each must contain all these words.
fn both_errors(path: &Path, words: &[&str]) -> [OpenError; 2] {
    let read_only = RocksDb::<Sample>::open_read_only(path).map(EventStore::on);
    [open(path), read_only].map(|opened| {
        let error = opened.expect_err("it opens");
        let message = error.to_string();
        for word in words {
            assert!(message.contains(word), "no {word:?} in: {message}");
        }
        error
    })
}

#[test]
fn other_files_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("letters.txt");
    fs::write(&file, "dear all").unwrap();
    for error in both_errors(directory.path(), &["letters.txt"]) {
        assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
    }
    assert_eq!(files(directory.path()), std::slice::from_ref(&file));
    for error in both_errors(&file, &["file"]) {
        assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"dear all");
}

#[test]
fn a_database_of_something_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("theirs");
    let theirs = DB::open_default(&path).unwrap();
    theirs.put("their key", "their value").unwrap();
    drop(theirs);
    for error in both_errors(&path, &["something else", "\"their key\""]) {
        assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
    }
    let mut theirs = DB::open_default(&path).unwrap();
    assert_eq!(theirs.get("their key").unwrap().as_deref(), Some(&b"their value"[..]));
    theirs.create_cf("theirs", &Options::default()).unwrap();
    drop(theirs);
    for error in both_errors(&path, &["something else", "theirs"]) {
        assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
    }
    let families = DB::list_cf(&Options::default(), &path).unwrap();
    assert_eq!(families, ["default", "theirs"]);
}

/// Opens the database of a store directly.
fn raw(path: &Path) -> DB {
    let families = DB::list_cf(&Options::default(), path).unwrap();
    DB::open_cf(&Options::default(), path, families).unwrap()
}

#[test]
fn a_newer_format_is_refused() {
    let (_directory, path) = filled();
    raw(&path).put("annals/format", 7_u64.to_be_bytes()).unwrap();
    for error in both_errors(&path, &["7"]) {
        assert!(matches!(error, OpenError::NewerFormat { found: 7, .. }), "{error:?}");
    }
    // A format that never existed.
    raw(&path).put("annals/format", "eight").unwrap();
    for error in both_errors(&path, &["format"]) {
        assert!(matches!(error, OpenError::Corrupt(_)), "{error:?}");
    }
}

#[test]
fn a_second_writer_in_this_process_is_refused() {
    let (_directory, path) = filled();
    let store = open(&path).unwrap();
    let error = open(&path).expect_err("it opens twice");
    assert!(matches!(&error, OpenError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains("in this process"), "{error}");
    assert_eq!(store.append(event(EVENTS)).unwrap(), EVENTS);
}

#[test]
fn a_log_that_is_shorter_than_when_it_was_closed_is_refused() {
    let (_directory, path) = filled();
    let database = raw(&path);
    let events = database.cf_handle("events").unwrap();
    let mut blocks = database.raw_iterator_cf(events);
    blocks.seek_to_last();
    let last = blocks.key().unwrap().to_vec();
    database.delete_cf(events, &last).unwrap();
    drop(blocks);
    drop(database);
    for error in both_errors(&path, &["offset 300", "closed"]) {
        assert!(matches!(error, OpenError::Corrupt(_)), "{error:?}");
    }
    let report = verify(&path).unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
}

/// Opens a store and reads everything. Returns the number of events, or the first error.
fn read_everything(path: &Path) -> Result<u64, String> {
    let store = open(path).map_err(|error| error.to_string())?;
    let mut count = 0;
    for (n, found) in (0..).zip(store.read(..)) {
        let found = found.map_err(|error| error.to_string())?;
        assert_eq!(found.event, event(n), "another event");
        count += 1;
    }
    assert_eq!(store.len(), count);
    let threes = store.query(&Query::tag("digit:3")).count();
    assert_eq!(threes, (0..count).filter(|n| n % 10 == 3).count());
    Ok(count)
}

fn copy_of(path: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in files(path) {
        fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    copy
}

/// Checks that verifying and reading a store both report this file.
fn is_reported(path: &Path, name: &str) {
    let before = files(path);
    let report = verify(path).unwrap();
    assert!(!report.problems.is_empty(), "{name}: no problem is found");
    let message = report.problems[0].to_string();
    assert!(message.contains(name), "{message}");
    assert_eq!(files(path), before, "verifying changes nothing");
    let message = read_everything(path).expect_err("all is read");
    assert!(message.contains(name), "{message}");
}

#[test]
fn a_file_that_is_gone_or_changed_is_named() {
    let (_directory, path) = filled();
    let tables = ending(&path, "sst");
    assert!(tables.len() >= 4, "{tables:?}");
    for table in tables {
        let name = table.file_name().unwrap().to_str().unwrap();
        let size = usize::try_from(fs::metadata(&table).unwrap().len()).unwrap();
        let copy = copy_of(&path);
        fs::remove_file(copy.path().join(name)).unwrap();
        is_reported(copy.path(), name);
        for at in [0, size / 3, size / 2, size - 30] {
            let copy = copy_of(&path);
            flip_at(&copy.path().join(name), at);
            is_reported(copy.path(), name);
        }
    }
}

/// RocksDB's follower would use an earlier state of one column family, and a query would find some of its events.
#[test]
fn a_reader_refuses_a_store_that_lacks_a_table_or_a_part_of_it() {
    let (_directory, path) = filled();
    for table in ending(&path, "sst") {
        let name = table.file_name().unwrap().to_str().unwrap();
        let size = fs::metadata(&table).unwrap().len();
        for kept in [None, Some(size / 2)] {
            let copy = copy_of(&path);
            let file = copy.path().join(name);
            match kept {
                None => fs::remove_file(&file).unwrap(),
                Some(kept) => {
                    fs::File::options().write(true).open(&file).unwrap().set_len(kept).unwrap();
                }
            }
            let before = files(copy.path());
            let read = RocksDb::<Sample>::open_read_only(copy.path()).map(EventStore::on);
            let error = read.map(|store| store.len()).expect_err("a table is missing");
            assert!(error.to_string().contains(name), "{name}, {kept:?}: {error}");
            assert_eq!(files(copy.path()), before, "a reader changes nothing");
        }
    }
}

#[test]
fn a_missing_or_cut_manifest_is_reported_or_is_an_earlier_state() {
    let (_directory, path) = filled();
    let manifest = starting(&path, "MANIFEST-");
    let (name, size) = (manifest.file_name().unwrap(), fs::metadata(&manifest).unwrap().len());
    let mut reported = 0;
    for kept in std::iter::once(None).chain((0..size).step_by(61).map(Some)) {
        let copy = copy_of(&path);
        let file = copy.path().join(name);
        match kept {
            None => fs::remove_file(file).unwrap(),
            Some(kept) => {
                let file = fs::File::options().write(true).open(file).unwrap();
                file.set_len(kept).unwrap();
            }
        }
        match read_everything(copy.path()) {
            Err(message) => {
                assert!(message.contains("MANIFEST-") || message.contains("WAL"), "{message}");
                reported += 1;
            }
            // A manifest is a list of changes, so a shorter one is an earlier state of the store: after an earlier
            // close, or before a file was moved to another level.
            Ok(count) => {
                assert!([EVENTS / 2, EVENTS].contains(&count), "{kept:?} bytes of {size}: {count}");
            }
        }
    }
    assert!(reported > 10, "only {reported} are reported");
}
