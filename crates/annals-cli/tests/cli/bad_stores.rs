//! Paths without a store, stores that cannot be opened, and damaged stores: the message states what to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{
    Run, Running, TestDir, all, annals, line, lines, on_every_backend, store_of_segments,
};

on_every_backend!(a_path_with_nothing_there, a_store_that_another_process_writes,);

pub(crate) const COMMANDS: &[&[&str]] = &[
    &["count", "--by", "day"],
    &["export"],
    &["export", "--format", "csv"],
    &["read"],
    &["tail"],
    &["get", "0"],
    &["stats"],
    &["tags"],
    &["types"],
    &["verify"],
    #[cfg(feature = "channels")]
    &["state", "--channel", "0x0000000000000000000000000000000000000000000000000000000000000001"],
];

/// Runs a command that reads this store.
pub(crate) fn run(command: &[&str], store: &str) -> Run {
    annals([command[0], store].into_iter().chain(command[1..].iter().copied()), "")
}

fn a_path_with_nothing_there(dir: &TestDir) {
    let nowhere = dir.at("nowhere");
    for command in COMMANDS {
        run(command, &nowhere).fails(&[
            "no store",
            &dir.arg("nowhere"),
            "`annals append` creates a store",
        ]);
    }
    assert!(!dir.path("nowhere").exists());
}

#[test]
fn a_file_or_another_directory() {
    let dir = TestDir::new();
    let file = dir.arg("file");
    fs::write(&file, "hello").unwrap();
    let directory = dir.arg("");
    for (path, reason) in [(&file, "a file"), (&directory, "store.json")] {
        annals(["append", path], line(0)).fails(&["is not an annals store", reason, path]);
        for command in COMMANDS {
            run(command, path).fails(&["is not an annals store", reason]);
        }
        annals(["copy", path, &dir.arg("new")], "").fails(&["is not an annals store"]);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "hello");
}

#[test]
fn a_path_that_cannot_be_written_to() {
    let dir = TestDir::new();
    annals(["append", &dir.at("missing/a.store")], line(0)).fails(&[
        "missing/a.store",
        "create the directory",
        "first",
    ]);
    // Not even root can create directories there.
    if fs::exists("/proc/self").unwrap() {
        annals(["append", "/proc/a.store"], line(0)).fails(&["/proc/a.store"]);
    }
}

#[cfg(unix)]
#[test]
fn a_path_without_permission() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TestDir::new();
    fs::create_dir(dir.path("closed")).unwrap();
    fs::set_permissions(dir.path("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(dir.path("closed")).is_ok() {
        return; // Permissions do not apply to this user.
    }
    let store = dir.arg("closed/a.store");
    annals(["append", &store], line(0)).fails(&["Permission denied", "check the permissions"]);
    annals(["read", &store], "").fails(&["Permission denied", "check the permissions"]);
    fs::set_permissions(dir.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_store_of_a_newer_format() {
    let dir = TestDir::new();
    let store = dir.store("a.store", &lines(0..1));
    let file = dir.path("a.store").join("store.json");
    let content = fs::read_to_string(&file).unwrap();
    fs::write(&file, content.replace("\"format\":1", "\"format\":99")).unwrap();
    annals(["append", &store], line(0)).fails(&["format 99", "up to 1", "use a newer annals"]);
    for command in COMMANDS {
        run(command, &store).fails(&["format 99", "up to 1", "use a newer annals"]);
    }
    fs::write(&file, "{").unwrap();
    annals(["append", &store], line(0)).fails(&["store.json"]);
}

fn a_store_that_another_process_writes(dir: &TestDir) {
    let store = dir.at("a.store");
    let mut append = Running::start(["append", &store]);
    append.say(&line(0));
    append.hear();
    let holder = format!("in process {}\n", append.child.id());
    let words = [
        "open for writing",
        &holder,
        "`annals read` and `annals tail` work meanwhile",
        "wait until that process ends, or end it",
    ];
    let refused = annals(["append", &store], line(1)).fails(&words);
    // The message has no advice for programs.
    assert!(!refused.err.contains("read-only") && !refused.err.contains("handle"), "{refused:?}");
    annals(["copy", &dir.store("b.store", ""), &store], "").fails(&["open for writing", &holder]);
    assert_eq!(all(&store), [line(0)]);
    append.say(&line(1));
    append.hear();
    assert_eq!(all(&store).len(), 2);
}

#[cfg(not(feature = "rocksdb"))]
#[test]
fn a_kind_of_store_that_is_not_built_in() {
    let build = "`cargo build --release -p annals-cli --features rocksdb`";
    for command in COMMANDS.iter().chain([&&["append"][..]]) {
        run(command, "rocksdb:x").fails(&["rocksdb:x", "without RocksDB", build, "./rocksdb:x"]);
    }
    let dir = TestDir::new();
    let store = dir.store("a.store", &line(0));
    annals(["copy", "rocksdb:x", "y"], "").fails(&["without RocksDB", build]);
    annals(["copy", &store, "rocksdb:x"], "").fails(&["without RocksDB", build]);
}

#[test]
fn an_argument_without_a_path() {
    for nothing in ["", "rocksdb:"] {
        annals(["read", nothing], "").complains(&["<STORE>", "expected a path", "rocksdb:PATH"]);
        annals(["copy", "x", nothing], "").complains(&["<TO>", "expected a path"]);
    }
}

#[test]
fn a_commit_that_a_crash_cut_off() {
    let dir = TestDir::new();
    let store = dir.store("a.store", &lines(0..10));
    let log = dir.path("a.store").join(format!("{:020}.log", 0));
    let mut bytes = fs::read(&log).unwrap();
    let torn = bytes[64..64 + 100].to_vec();
    bytes.extend(torn);
    fs::write(&log, bytes).unwrap();
    let report = annals(["verify", &store], "").succeeds();
    assert!(report.lines()[0]["note"].is_string(), "{report:?}");
    let run = annals(["append", &store], line(10));
    assert_eq!(run.code, Some(0));
    assert!(
        run.err.starts_with("annals: warning: ") && run.err.lines().count() == 1,
        "{}",
        run.err
    );
    assert!(run.err.contains("position: ") && run.err.contains("0.log"), "{}", run.err);
    assert_eq!(all(&store).len(), 11);
}

/// Creates a store with several segments. Returns it with the files of the segments.
pub(crate) fn segments(dir: &TestDir) -> (String, Vec<PathBuf>) {
    let path = dir.path("a.store");
    store_of_segments(&path, 300);
    let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|end| end == "log")).collect();
    files.sort();
    (dir.arg("a.store"), files)
}

/// Returns all files of a store and its subdirectories, with their bytes.
pub(crate) fn contents(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(store).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
}

/// Checks that no refused command and no command that reads changes a file of the store. (An append does not find all
/// damage: opening checks the last segment, and the headers of the others.)
#[track_caller]
pub(crate) fn stays_as_it_is(dir: &TestDir, store: &str) {
    let before = contents(&dir.path("a.store"));
    let (copy, saved) = (dir.store("b.store", &line(0)), dir.arg("c.store"));
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["copy", store, &saved],
        vec!["copy", &copy, store],
        vec!["read", store, "--reverse"],
        vec!["tail", store, "--from", "0"],
        vec!["append", store, "--if-none", "type-0"],
        vec!["append", store, "--create=never"],
        vec!["append", store, "--type", "type-0"],
        vec!["import", store],
        vec!["import", store, "--keep-times"],
        vec!["append", store],
    ];
    for command in COMMANDS.iter().filter(|command| command[0] != "tail") {
        commands.insert(0, [&[command[0], store], &command[1..]].concat());
    }
    for command in commands {
        let run = annals(command.iter().copied(), line(0));
        if run.code == Some(0) && command[0] == "append" {
            return;
        }
        let after = contents(&dir.path("a.store"));
        assert!(before.keys().eq(after.keys()), "{command:?}: {:?}", after.keys());
        for (file, bytes) in &before {
            assert!(after[file] == *bytes, "{command:?} changed {}", file.display());
        }
    }
}

/// Damages a store, and checks that `verify` reports where, and that reading prints the events before the damage and
/// then fails.
#[track_caller]
fn damaged(damage: impl FnOnce(&[PathBuf])) {
    let dir = TestDir::new();
    let (store, files) = segments(&dir);
    damage(&files);
    let report =
        annals(["verify", &store], "").fails(&["damaged", "problem", "annals salvage", "backup"]);
    let problem = &report.lines()[0];
    assert!(problem["problem"].is_string() && problem["expected"].is_string(), "{report:?}");
    let summary = report.lines().pop().unwrap();
    assert!(summary["problems"].as_u64().unwrap() >= 1);
    let text = annals(["verify", &store, "--format", "table"], "").fails(&["damaged"]).out;
    assert!(text.starts_with("problem: "), "{text}");
    let read = annals(["read", &store], "").fails(&["damaged"]);
    assert!(read.err.contains("annals salvage STORE NEW"), "{}", read.err);
    let good = read.out.lines().count() as u64;
    assert!(good < 300, "{good}");
    assert_eq!(read.offsets(), (0..good).collect::<Vec<_>>());
    stays_as_it_is(&dir, &store);
    // The events before the damage can be copied.
    if good > 0 {
        annals(["copy", &store, &dir.arg("saved.store")], "").fails(&["damaged"]);
        assert_eq!(all(&dir.arg("saved.store")).len() as u64, good);
    }
}

#[test]
fn a_segment_cut_short() {
    damaged(|files| {
        let bytes = fs::read(&files[1]).unwrap();
        fs::write(&files[1], &bytes[..bytes.len() / 2]).unwrap();
    });
}

#[test]
fn a_segment_with_a_byte_flipped() {
    damaged(|files| {
        let mut bytes = fs::read(&files[1]).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&files[1], bytes).unwrap();
    });
}

#[test]
fn two_segments_swapped() {
    damaged(|files| {
        let (one, two) = (fs::read(&files[1]).unwrap(), fs::read(&files[2]).unwrap());
        fs::write(&files[1], two).unwrap();
        fs::write(&files[2], one).unwrap();
    });
}

#[test]
fn a_segment_missing() {
    damaged(|files| fs::remove_file(&files[1]).unwrap());
}

#[test]
fn the_first_segment_missing() {
    let dir = TestDir::new();
    let (store, files) = segments(&dir);
    fs::remove_file(&files[0]).unwrap();
    for command in ["append", "read"] {
        annals([command, &store], "").fails(&["damaged", "no such file", "annals verify"]);
    }
    annals(["verify", &store], "").fails(&["damaged"]);
}

#[test]
fn the_last_segment_missing_or_damaged() {
    damaged(|files| fs::remove_file(files.last().unwrap()).unwrap());
    damaged(|files| {
        let last = files.last().unwrap();
        let mut bytes = fs::read(last).unwrap();
        bytes[100] ^= 1;
        fs::write(last, bytes).unwrap();
    });
}

#[test]
fn an_append_to_a_damaged_store_is_refused() {
    let dir = TestDir::new();
    let (store, files) = segments(&dir);
    let bytes = fs::read(&files[1]).unwrap();
    fs::remove_file(&files[1]).unwrap();
    annals(["append", &store], line(0)).fails(&["damaged", "annals verify"]);
    fs::write(&files[1], bytes).unwrap();
    annals(["append", &store], line(300)).succeeds();
    assert_eq!(all(&store).len(), 301);
}

#[test]
fn damage_in_index_files_only_loses_no_event() {
    let dir = TestDir::new();
    let (store, files) = segments(&dir);
    let index = |log: &PathBuf| log.with_extension("idx");
    for log in &files[..2] {
        let mut bytes = fs::read(index(log)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(index(log), bytes).unwrap();
    }
    let report = annals(["verify", &store], "").fails(&[
        "2 problems found, in index files only; no event is lost",
        "remove the index files named above",
        "rebuilt from the log when the store is next opened for appending",
    ]);
    assert!(!report.err.contains("backup") && !report.err.contains("annals salvage"), "{report:?}");
    for (problem, log) in report.lines().iter().zip(&files[..2]) {
        assert_eq!(problem["file"], index(log).to_str().unwrap());
    }
    let text = annals(["verify", &store, "--format", "table"], "").fails(&["no event is lost"]);
    assert!(text.out.contains("every event is whole"), "{text:?}");
    for log in &files[..2] {
        fs::remove_file(index(log)).unwrap();
    }
    annals(["append", &store], line(300)).succeeds();
    annals(["verify", &store], "").succeeds();
    assert!(files[..2].iter().all(|log| index(log).exists()));
    assert_eq!(all(&store).len(), 301);
    // If an event is lost as well, the advice is how to save the others.
    let mut bytes = fs::read(index(&files[0])).unwrap();
    bytes[10] ^= 1;
    fs::write(index(&files[0]), bytes).unwrap();
    fs::write(&files[2], "").unwrap();
    annals(["verify", &store], "").fails(&["annals salvage", "backup"]);
}
