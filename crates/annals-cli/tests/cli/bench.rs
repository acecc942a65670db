//! `annals bench`: its report, and that it does not change existing files. No test asserts a speed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Run, Running, TestDir, all, annals, command, finish, lines};

/// Runs a short bench in a directory.
fn bench(dir: &TestDir, args: &[&str]) -> Run {
    let quick = ["bench", "--seconds", "0.3", "--events", "2000", "--writers", "2"];
    let mut command = command(quick.into_iter().chain(args.iter().copied()));
    finish(command.current_dir(dir.path("")).spawn().unwrap())
}

fn is_empty(dir: &TestDir) -> bool {
    fs::read_dir(dir.path("")).unwrap().next().is_none()
}

#[track_caller]
fn are_sane(rows: &[Value], target: &str) {
    let of: Vec<_> = rows.iter().filter(|row| row["target"] == target).collect();
    let tests: Vec<_> = of.iter().map(|row| row["test"].as_str().unwrap()).collect();
    assert_eq!(tests, ["bulk", "append", "append", "append-if", "scan", "get", "tag"]);
    for row in of {
        let number = |name: &str| row[name].as_f64().unwrap();
        assert!(number("events") >= 1.0 && number("mb_per_second") > 0.0, "{row}");
        let ordered = ["p50_us", "p95_us", "p99_us", "max_us"].map(number);
        assert!(ordered[0] >= 0.0 && ordered.is_sorted(), "{row}");
    }
}

#[test]
fn memory_and_files_next_to_the_disk() {
    let dir = TestDir::new();
    let rows = bench(&dir, &[]).succeeds().lines();
    are_sane(&rows, "memory");
    are_sane(&rows, "journal");
    assert_eq!(rows.iter().filter(|row| row["target"] == "plain file").count(), 2);
    for row in rows.iter().filter(|row| row["target"] == "journal") {
        let writes = ["bulk", "append", "append-if"].contains(&row["test"].as_str().unwrap());
        assert_eq!(row["ratio_to_disk"].is_number(), writes, "{row}");
    }
    assert!(is_empty(&dir));
}

#[test]
fn memory_alone_touches_no_disk() {
    let dir = TestDir::new();
    let rows = bench(&dir, &["memory:", "--payload", "0"]).succeeds().lines();
    are_sane(&rows, "memory");
    assert_eq!(rows.len(), 7);
    assert!(is_empty(&dir));
}

#[test]
fn a_table_for_people() {
    let dir = TestDir::new();
    let table = bench(&dir, &["new", "--format", "table"]).succeeds().out;
    assert!(table.starts_with("WHERE"), "{table}");
    assert_eq!(table.lines().count(), 10, "{table}");
    assert!(is_empty(&dir));
}

#[test]
fn a_store_that_is_there_is_left_as_it_is() {
    let dir = TestDir::new();
    let store = dir.store("my.store", &lines(0..10));
    let before = all(&store);
    bench(&dir, &["my.store"]).fails(&["my.store already exists", "where nothing exists yet"]);
    fs::write(dir.path("file"), "hello").unwrap();
    bench(&dir, &["file"]).fails(&["file already exists"]);
    assert_eq!(all(&store), before);
    assert_eq!(fs::read(dir.path("file")).unwrap(), b"hello");
}

#[test]
fn an_empty_directory_stays_empty_and_a_kept_log_is_whole() {
    let dir = TestDir::new();
    fs::create_dir(dir.path("empty")).unwrap();
    bench(&dir, &["empty"]).succeeds();
    assert!(fs::read_dir(dir.path("empty")).unwrap().next().is_none());
    bench(&dir, &["kept", "--keep"]).succeeds();
    annals(["verify", &dir.arg("kept/log")], "").succeeds();
    assert!(!dir.path("kept/plain-file").exists());
}

#[test]
fn bad_usage() {
    for args in [
        ["--seconds", "0"],
        ["--payload", "x"],
        ["--writers", "1"],
        ["--batch", "0"],
        ["--events", "-1"],
        ["--payload", "1000000"],
        ["", "--keep"],
    ] {
        annals(["bench"].into_iter().chain(args), "").complains(&["annals: "]);
    }
    annals(["bench", "memory:", "--keep"], "").complains(&["memory: has no files", "give a path"]);
}

#[test]
fn a_path_that_cannot_be_written_is_reported() {
    let dir = TestDir::new();
    bench(&dir, &["no/where"]).fails(&["cannot write no/where", "create the directory"]);
    fs::write(dir.path("file"), "hello").unwrap();
    let beyond = Path::new("file").join("new");
    bench(&dir, &["file/new"]).fails(&[&format!("cannot write {}", beyond.display())]);
    assert_eq!(fs::read_dir(dir.path("")).unwrap().count(), 1);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let dir = TestDir::new();
    let mut running = Running::start(["bench", &dir.arg("new"), "--seconds", "0.3"]);
    running.turn_away();
    assert_eq!(running.code(), Some(0));
    assert!(is_empty(&dir));
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let dir = TestDir::new();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = command(["bench", &dir.arg("new"), "--seconds", "0.1"]);
    finish(command.stdout(full).spawn().unwrap()).fails(&["cannot write the output: No space"]);
    assert!(is_empty(&dir));
}

#[cfg(unix)]
#[test]
fn interrupted_it_leaves_nothing_behind() {
    let dir = TestDir::new();
    let mut running = Running::start(["bench", &dir.arg("new"), "--seconds", "3600"]);
    while !dir.path("new/plain-file").exists() {
        std::thread::yield_now();
    }
    running.signal("-INT");
    assert_eq!(running.code(), Some(1));
    assert!(is_empty(&dir));
}
