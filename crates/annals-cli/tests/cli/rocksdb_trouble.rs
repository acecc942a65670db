//! What is no store in RocksDB, or none that can be opened, or a damaged one: the message says what to do.

use std::fs;
use std::path::PathBuf;

use rocksdb::{DB, Options};

use crate::bad_stores::{COMMANDS, run};
use crate::harness::{Place, StoreKind, all, annals, line, lines};

/// Every command that opens a store refuses this one, with these words.
#[track_caller]
fn is_refused(store: &str, words: &[&str]) {
    annals(["append", store], line(0)).fails(words);
    for command in COMMANDS {
        run(command, store).fails(words);
    }
    let place = Place::new();
    annals(["copy", store, &place.arg("new.store")], "").fails(words);
    assert!(!place.path("new.store").exists());
    annals(["copy", &place.store("a.store", &line(0)), store], "").fails(words);
}

#[test]
fn a_file_or_a_directory_of_other_files() {
    let place = Place::of(StoreKind::RocksDb);
    fs::write(place.path("file"), "hello").unwrap();
    is_refused(&place.at("file"), &["is no annals store", "it is a file", "give the path of a"]);
    is_refused(&place.at(""), &["is no annals store", "there is file in it"]);
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "hello");
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 1);
}

#[test]
fn a_store_of_the_other_kind() {
    let place = Place::of(StoreKind::RocksDb);
    place.store("a.rocks", &lines(0..3));
    let words = ["is no annals store", "it is a RocksDB database", "opened as `rocksdb:PATH`"];
    is_refused(&place.arg("a.rocks"), &words);
    annals(["append", &place.arg("a.store")], line(0)).succeeds();
    let words = ["is no annals store", "it is a Journal", "opened without `rocksdb:`"];
    is_refused(&place.at("a.store"), &words);
    // Nothing was changed in either.
    assert_eq!((all(&place.at("a.rocks")).len(), all(&place.arg("a.store")).len()), (3, 1));
}

#[test]
fn a_database_of_something_else() {
    let place = Place::of(StoreKind::RocksDb);
    DB::open_default(place.path("keys")).unwrap().put("users/1", "Ada").unwrap();
    is_refused(&place.at("keys"), &["is no annals store", "of something else", "\"users/1\""]);
    {
        let mut families = DB::open_default(place.path("families")).unwrap();
        families.create_cf("users", &Options::default()).unwrap();
    }
    is_refused(&place.at("families"), &["is no annals store", "column family \"users\""]);
    let (path, options) = (place.path("keys"), Options::default());
    let keys = DB::open_cf(&options, &path, DB::list_cf(&options, &path).unwrap()).unwrap();
    assert_eq!(keys.get("users/1").unwrap().as_deref(), Some(&b"Ada"[..]));
}

#[test]
fn a_store_of_a_newer_format() {
    let place = Place::of(StoreKind::RocksDb);
    let store = place.store("a.store", &lines(0..1));
    {
        let (path, options) = (place.path("a.store"), Options::default());
        let families = DB::list_cf(&options, &path).unwrap();
        let database = DB::open_cf(&options, &path, families).unwrap();
        database.put("annals/format", 99_u64.to_be_bytes()).unwrap();
    }
    is_refused(&store, &["format 99", "up to 1", "use a newer one"]);
}

#[test]
fn a_store_is_not_copied_into_its_own_directory_by_another_name() {
    let place = Place::of(StoreKind::RocksDb);
    let rocks = place.store("a.rocks", &lines(0..3));
    let journal = place.arg("a.store");
    annals(["append", &journal], lines(0..3)).succeeds();
    for (from, to, other) in
        [(&rocks, "a.rocks", &place.arg("a.rocks")), (&journal, "a.store", &place.at("a.store"))]
    {
        annals(["copy", from, other], "").fails(&["is the same store as", "outside the store"]);
        for inside in [place.arg(&format!("{to}/b")), place.at(&format!("{to}/b"))] {
            annals(["copy", from, &inside], "").fails(&[&inside, "is inside", from]);
        }
    }
    assert_eq!((all(&rocks).len(), all(&journal).len()), (3, 3));
}

/// The largest of RocksDB's files, in which events are.
fn file_of_events(place: &Place, store: &str) -> PathBuf {
    let files = fs::read_dir(place.path(store)).unwrap().map(|entry| entry.unwrap().path());
    let tables = files.filter(|file| file.extension().is_some_and(|end| end == "sst"));
    tables.max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap()
}

fn flip_byte(file: &PathBuf, at: impl FnOnce(usize) -> usize) {
    let mut bytes = fs::read(file).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn damage_early_in_the_log_is_told_and_what_is_before_it_is_read() {
    let place = Place::of(StoreKind::RocksDb);
    // Opening reads only the last events.
    let store = place.store("a.store", &lines(0..100_000));
    let file = file_of_events(&place, "a.store");
    flip_byte(&file, |size| size / 4);
    let report = annals(["verify", &store], "").fails(&["is damaged: 1 problem", "annals copy"]);
    assert!(report.err.contains(&store), "{report:?}");
    let problem = &report.lines()[0];
    assert_eq!(problem["file"], file.to_str().unwrap());
    let good = problem["offset"].as_u64().unwrap();
    assert!((1..65_536).contains(&good), "{good}");
    let read = annals(["read", &store], "").fails(&["is damaged", "annals copy STORE NEW"]);
    assert_eq!(read.offsets(), (0..good).collect::<Vec<_>>());
    let saved = place.arg("saved.store");
    annals(["copy", &store, &saved], "").fails(&["is damaged", &format!("the {good} events")]);
    assert_eq!(all(&saved), lines(0..good).lines().collect::<Vec<_>>());
    let text = annals(["verify", &store, "--format", "table"], "").fails(&["is damaged"]).out;
    assert!(text.starts_with("problem: ") && text.contains("whole up to there: "), "{text}");
}

#[test]
fn damage_in_the_last_events_refuses_to_open() {
    let place = Place::of(StoreKind::RocksDb);
    let store = place.store("a.store", &lines(0..1_000));
    let file = file_of_events(&place, "a.store");
    flip_byte(&file, |size| size / 4);
    for command in ["append", "read"] {
        annals([command, &store], line(0)).fails(&["is damaged", "annals verify"]);
    }
    annals(["verify", &store], "").fails(&["is damaged: 1 problem", "backup"]);
}

#[test]
fn a_file_of_the_database_missing_is_told() {
    let place = Place::of(StoreKind::RocksDb);
    let store = place.store("a.store", &lines(0..1_000));
    let file = file_of_events(&place, "a.store");
    fs::remove_file(&file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    annals(["append", &store], line(0)).fails(&["is damaged", name, "backup"]);
    for command in ["read", "verify"] {
        annals([command, &store], "").fails(&["is damaged", "backup"]);
    }
    fs::remove_file(place.path("a.store").join("CURRENT")).unwrap();
    is_refused(&store, &["is no annals store", "without its file CURRENT"]);
}
