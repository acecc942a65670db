//! `annals bench`: what it reports, and that it leaves what is there as it is. How fast is nobody's to assert.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Place, Run, Running, all, annals, command, finish, lines};

/// Runs a short bench in a directory.
fn bench(place: &Place, args: &[&str]) -> Run {
    let quick = ["bench", "--seconds", "0.3", "--events", "2000", "--writers", "2"];
    let mut command = command(quick.into_iter().chain(args.iter().copied()));
    finish(command.current_dir(place.path("")).spawn().unwrap())
}

fn is_empty(place: &Place) -> bool {
    fs::read_dir(place.path("")).unwrap().next().is_none()
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
    let place = Place::new();
    let rows = bench(&place, &[]).succeeds().lines();
    are_sane(&rows, "memory");
    are_sane(&rows, "journal");
    assert_eq!(rows.iter().filter(|row| row["target"] == "plain file").count(), 2);
    for row in rows.iter().filter(|row| row["target"] == "journal") {
        let writes = ["bulk", "append", "append-if"].contains(&row["test"].as_str().unwrap());
        assert_eq!(row["ratio_to_disk"].is_number(), writes, "{row}");
    }
    assert!(is_empty(&place));
}

#[test]
fn memory_alone_touches_no_disk() {
    let place = Place::new();
    let rows = bench(&place, &["memory:", "--payload", "0"]).succeeds().lines();
    are_sane(&rows, "memory");
    assert_eq!(rows.len(), 7);
    assert!(is_empty(&place));
}

#[test]
fn a_table_for_people() {
    let place = Place::new();
    let table = bench(&place, &["new", "--format", "table"]).succeeds().out;
    assert!(table.starts_with("WHERE"), "{table}");
    assert_eq!(table.lines().count(), 10, "{table}");
    assert!(is_empty(&place));
}

#[test]
fn a_store_that_is_there_is_left_as_it_is() {
    let place = Place::new();
    let store = place.store("my.store", &lines(0..10));
    let before = all(&store);
    bench(&place, &["my.store"]).fails(&["my.store is there already", "where nothing is yet"]);
    fs::write(place.path("file"), "hello").unwrap();
    bench(&place, &["file"]).fails(&["file is there already"]);
    assert_eq!(all(&store), before);
    assert_eq!(fs::read(place.path("file")).unwrap(), b"hello");
}

#[test]
fn an_empty_directory_stays_empty_and_a_kept_log_is_whole() {
    let place = Place::new();
    fs::create_dir(place.path("empty")).unwrap();
    bench(&place, &["empty"]).succeeds();
    assert!(fs::read_dir(place.path("empty")).unwrap().next().is_none());
    bench(&place, &["kept", "--keep"]).succeeds();
    annals(["verify", &place.arg("kept/log")], "").succeeds();
    assert!(!place.path("kept/plain-file").exists());
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
        annals(["bench"].into_iter().chain(args), "").complains(&["error:"]);
    }
    annals(["bench", "memory:", "--keep"], "").complains(&["memory: has none", "give a path"]);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let place = Place::new();
    bench(&place, &["no/where"]).fails(&["cannot write no/where", "create the directory"]);
    fs::write(place.path("file"), "hello").unwrap();
    let beyond = Path::new("file").join("new");
    bench(&place, &["file/new"]).fails(&[&format!("cannot write {}", beyond.display())]);
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 1);
}

#[test]
fn that_nobody_reads_the_results_is_no_failure() {
    let place = Place::new();
    let mut running = Running::start(["bench", &place.arg("new"), "--seconds", "0.3"]);
    running.turn_away();
    assert_eq!(running.code(), Some(0));
    assert!(is_empty(&place));
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let place = Place::new();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = command(["bench", &place.arg("new"), "--seconds", "0.1"]);
    finish(command.stdout(full).spawn().unwrap()).fails(&["cannot write the output: No space"]);
    assert!(is_empty(&place));
}

#[cfg(unix)]
#[test]
fn interrupted_it_leaves_nothing_behind() {
    let place = Place::new();
    let mut running = Running::start(["bench", &place.arg("new"), "--seconds", "3600"]);
    while !place.path("new/plain-file").exists() {
        std::thread::yield_now();
    }
    running.signal("-INT");
    assert_eq!(running.code(), Some(1));
    assert!(is_empty(&place));
}
