//! Paths that are not a store in RocksDB, stores that cannot be opened, and damaged stores: the message states what
//! to do.

use std::fs;
use std::path::PathBuf;

use rocksdb::{DB, Options};

use crate::bad_stores::{COMMANDS, run};
use crate::harness::{StoreKind, TestDir, all, annals, line, lines};

/// Checks that every command that opens a store refuses this one with these words.
#[track_caller]
fn is_refused(store: &str, words: &[&str]) {
    annals(["append", store], line(0)).fails(words);
    for command in COMMANDS {
        run(command, store).fails(words);
    }
    let dir = TestDir::new();
    annals(["copy", store, &dir.arg("new.store")], "").fails(words);
    assert!(!dir.path("new.store").exists());
    annals(["copy", &dir.store("a.store", &line(0)), store], "").fails(words);
}

#[test]
fn a_file_or_a_directory_of_other_files() {
    let dir = TestDir::of(StoreKind::RocksDb);
    fs::write(dir.path("file"), "hello").unwrap();
    is_refused(&dir.at("file"), &["is not an annals store", "a file", "give the path of a store"]);
    is_refused(&dir.at(""), &["is not an annals store", "file"]);
    assert_eq!(fs::read_to_string(dir.path("file")).unwrap(), "hello");
    assert_eq!(fs::read_dir(dir.path("")).unwrap().count(), 1);
}

#[test]
fn a_store_of_the_other_kind() {
    let dir = TestDir::of(StoreKind::RocksDb);
    dir.store("a.rocks", &lines(0..3));
    let words = ["is not an annals store", "RocksDB database", "`rocksdb:PATH`"];
    is_refused(&dir.arg("a.rocks"), &words);
    annals(["append", &dir.arg("a.store")], line(0)).succeeds();
    let words = ["is not an annals store", "Journal", "without `rocksdb:`"];
    is_refused(&dir.at("a.store"), &words);
    // Neither store was changed.
    assert_eq!((all(&dir.at("a.rocks")).len(), all(&dir.arg("a.store")).len()), (3, 1));
}

#[test]
fn a_database_of_something_else() {
    let dir = TestDir::of(StoreKind::RocksDb);
    DB::open_default(dir.path("keys")).unwrap().put("users/1", "Ada").unwrap();
    is_refused(&dir.at("keys"), &["is not an annals store", "\"users/1\""]);
    {
        let mut families = DB::open_default(dir.path("families")).unwrap();
        families.create_cf("users", &Options::default()).unwrap();
    }
    is_refused(&dir.at("families"), &["is not an annals store", "\"users\""]);
    let (path, options) = (dir.path("keys"), Options::default());
    let keys = DB::open_cf(&options, &path, DB::list_cf(&options, &path).unwrap()).unwrap();
    assert_eq!(keys.get("users/1").unwrap().as_deref(), Some(&b"Ada"[..]));
}

#[test]
fn a_store_of_a_newer_format() {
    let dir = TestDir::of(StoreKind::RocksDb);
    let store = dir.store("a.store", &lines(0..1));
    {
        let (path, options) = (dir.path("a.store"), Options::default());
        let families = DB::list_cf(&options, &path).unwrap();
        let database = DB::open_cf(&options, &path, families).unwrap();
        database.put("annals/format", 99_u64.to_be_bytes()).unwrap();
    }
    is_refused(&store, &["format 99", "up to 1", "use a newer annals"]);
}

#[test]
fn a_store_is_not_copied_into_its_own_directory_by_another_name() {
    let dir = TestDir::of(StoreKind::RocksDb);
    let rocks = dir.store("a.rocks", &lines(0..3));
    let journal = dir.arg("a.store");
    annals(["append", &journal], lines(0..3)).succeeds();
    for (from, to, other) in
        [(&rocks, "a.rocks", &dir.arg("a.rocks")), (&journal, "a.store", &dir.at("a.store"))]
    {
        annals(["copy", from, other], "").fails(&["is the same store as", "outside the store"]);
        for inside in [dir.arg(&format!("{to}/b")), dir.at(&format!("{to}/b"))] {
            annals(["copy", from, &inside], "").fails(&[&inside, "is inside", from]);
        }
    }
    assert_eq!((all(&rocks).len(), all(&journal).len()), (3, 3));
}

/// Returns the largest of RocksDB's table files, which contains events.
fn file_of_events(dir: &TestDir, store: &str) -> PathBuf {
    let files = fs::read_dir(dir.path(store)).unwrap().map(|entry| entry.unwrap().path());
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
fn damage_early_in_the_log_is_reported_and_the_events_before_it_are_read() {
    let dir = TestDir::of(StoreKind::RocksDb);
    // Opening reads only the last events.
    let store = dir.store("a.store", &lines(0..100_000));
    let file = file_of_events(&dir, "a.store");
    flip_byte(&file, |size| size / 4);
    let report = annals(["verify", &store], "").fails(&["is damaged: 1 problem", "annals copy"]);
    assert!(report.err.contains(&store), "{report:?}");
    let problem = &report.lines()[0];
    assert_eq!(problem["file"], file.to_str().unwrap());
    let good = problem["offset"].as_u64().unwrap();
    assert!((1..65_536).contains(&good), "{good}");
    let read = annals(["read", &store], "").fails(&["damaged", "annals copy STORE NEW"]);
    assert_eq!(read.offsets(), (0..good).collect::<Vec<_>>());
    let saved = dir.arg("saved.store");
    annals(["copy", &store, &saved], "").fails(&["damaged", &format!("the {good} events")]);
    assert_eq!(all(&saved), lines(0..good).lines().collect::<Vec<_>>());
    let text = annals(["verify", &store, "--format", "table"], "").fails(&["is damaged"]).out;
    assert!(text.starts_with("problem: ") && text.contains("whole before the damage: "), "{text}");
}

#[test]
fn damage_in_the_last_events_refuses_to_open() {
    let dir = TestDir::of(StoreKind::RocksDb);
    let store = dir.store("a.store", &lines(0..1_000));
    let file = file_of_events(&dir, "a.store");
    flip_byte(&file, |size| size / 4);
    for command in ["append", "read"] {
        annals([command, &store], line(0)).fails(&["damaged", "annals verify"]);
    }
    annals(["verify", &store], "").fails(&["is damaged: 1 problem", "backup"]);
}

#[test]
fn a_missing_file_of_the_database_is_reported() {
    let dir = TestDir::of(StoreKind::RocksDb);
    let store = dir.store("a.store", &lines(0..1_000));
    let file = file_of_events(&dir, "a.store");
    fs::remove_file(&file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    annals(["append", &store], line(0)).fails(&["damaged", name, "backup"]);
    for command in ["read", "verify"] {
        annals([command, &store], "").fails(&["damaged", "backup"]);
    }
    fs::remove_file(dir.path("a.store").join("CURRENT")).unwrap();
    is_refused(&store, &["is not an annals store", "CURRENT"]);
}

/// Runs the command with a limit on the size of files, which fails writes as a full disk does.
#[cfg(target_os = "linux")]
fn with_small_files(args: &[&str], input: &str) -> crate::harness::Run {
    let dir = TestDir::new();
    fs::write(dir.path("input"), input).unwrap();
    let mut shell = std::process::Command::new("sh");
    // Without the trap, the limit would end the process with a signal.
    let script = "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\"";
    shell.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_annals")).args(args);
    let input = fs::File::open(dir.path("input")).unwrap();
    crate::harness::finish(crate::harness::streams(&mut shell).stdin(input).spawn().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_failed_write_is_reported_once() {
    let dir = TestDir::of(StoreKind::RocksDb);
    let store = dir.store("a.store", &lines(0..3));
    let many = lines(3..20_000);
    for command in ["append", "import"] {
        let run = with_small_files(&[command, &store, "--format", "table"], &many);
        let run = run.fails(&["writing failed", "File too large", "once the limit is raised"]);
        assert_eq!(run.err.matches("a write failed").count(), 0, "{run:?}");
        assert_eq!(run.err.matches("annals: writing failed").count(), 1, "{run:?}");
    }
    let all = all(&store);
    assert!(all.len() < 20_000, "{}", all.len());
    assert_eq!(all[..3], lines(0..3).lines().collect::<Vec<_>>());
}
