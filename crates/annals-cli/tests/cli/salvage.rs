//! `annals salvage`: whole events are saved, missing events are reported, and the damaged store does not change.

use std::fs;

use crate::bad_stores::{contents, segments};
use crate::harness::{TestDir, all, annals, line, lines};

#[test]
fn a_whole_store_is_saved_whole() {
    let dir = TestDir::new();
    let store = dir.store("a.store", &lines(0..20));
    let saved = dir.arg("saved.store");
    let report = annals(["salvage", &store, &saved], "").succeeds();
    let [range, summary] = &report.lines()[..] else { panic!("{report:?}") };
    assert_eq!(
        (&range["saved"], &range["old_from"], &range["new_from"]),
        (&20.into(), &0.into(), &0.into())
    );
    assert_eq!((&summary["events"], &summary["lost"]), (&20.into(), &0.into()));
    let read = |store: &str| annals(["read", store], "").succeeds().out;
    assert_eq!(read(&store), read(&saved), "times, too, are the same");
    annals(["verify", &saved], "").succeeds();
}

#[test]
fn events_after_the_damage_are_saved_and_missing_events_are_reported() {
    let dir = TestDir::new();
    let (store, files) = segments(&dir);
    let before = all(&store);
    // Damages one byte of the first segment, and removes the third segment.
    let mut bytes = fs::read(&files[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&files[0], bytes).unwrap();
    fs::remove_file(&files[2]).unwrap();
    let first = |file: usize| -> u64 {
        files[file].file_stem().unwrap().to_str().unwrap().parse().unwrap()
    };
    let damaged = contents(&dir.path("a.store"));
    let saved = dir.arg("saved.store");
    let report = annals(["salvage", &store, &saved], "").fails(&[
        "salvaged in part",
        "saved",
        "missing",
        "backup",
    ]);
    assert!(damaged == contents(&dir.path("a.store")), "the damaged store was changed");
    let reported = report.lines();
    let gaps: Vec<_> = reported.iter().filter(|line| line.get("missing_from").is_some()).collect();
    assert_eq!(gaps.len(), 2, "{report:?}");
    let gap = |at: usize| {
        (gaps[at]["missing_from"].as_u64().unwrap(), gaps[at]["missing_to"].as_u64().unwrap())
    };
    assert_eq!(gap(0).1, gap(0).0 + 1, "{report:?}");
    assert_eq!(gap(1), (first(2), first(3)), "{report:?}");
    assert_eq!(gaps[0]["file"], files[0].to_str().unwrap());
    assert!(gaps.iter().all(|gap| gap["was_durable"] == true && gap["found"].is_string()));
    let expected: Vec<String> = (0..)
        .zip(&before)
        .filter(|(offset, _)| {
            !(gap(0).0..gap(0).1).contains(offset) && !(gap(1).0..gap(1).1).contains(offset)
        })
        .map(|(_, line)| line.clone())
        .collect();
    assert_eq!(all(&saved), expected);
    let summary = &reported[reported.len() - 1];
    let lost = before.len() - expected.len();
    assert_eq!((&summary["events"], &summary["lost"]), (&expected.len().into(), &lost.into()));
    // The table for people.
    let table = annals(["salvage", &store, &dir.arg("again.store"), "--format", "table"], "");
    let table = table.fails(&["salvaged in part"]).out;
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("MISSING") && rows[0].ends_with("FOUND"), "{table}");
    assert!(rows[1].starts_with(&format!("{}  ", gap(0).0)), "{table}");
    assert!(rows[2].starts_with(&format!("{} to {}  ", first(2), first(3) - 1)), "{table}");
    assert!(table.contains("OFFSETS") && table.contains("IN THE NEW STORE"), "{table}");
    assert!(rows[rows.len() - 1].ends_with(&format!("{lost} missing")), "{table}");
    // The new store is a normal store.
    annals(["verify", &saved], "").succeeds();
    annals(["append", &saved], line(300)).succeeds();
}

#[test]
fn an_unfinished_commit_is_not_missing() {
    let dir = TestDir::new();
    let store = dir.store("a.store", &lines(0..10));
    let log = dir.path("a.store").join(format!("{:020}.log", 0));
    let mut bytes = fs::read(&log).unwrap();
    let torn = bytes[64..64 + 100].to_vec();
    bytes.extend(torn);
    fs::write(&log, bytes).unwrap();
    let saved = dir.arg("saved.store");
    let report = annals(["salvage", &store, &saved], "").succeeds();
    let gap = &report.lines()[0];
    assert_eq!((&gap["missing_from"], &gap["was_durable"]), (&10.into(), &false.into()));
    assert!(gap["missing_to"].is_null(), "{report:?}");
    assert_eq!(all(&saved).len(), 10);
    let table =
        annals(["salvage", &store, &dir.arg("b.store"), "--format", "table"], "").succeeds();
    assert!(
        table.out.contains("10 to ? (unfinished)") && table.out.contains("none is missing"),
        "{table:?}"
    );
}

#[test]
fn a_refused_salvage_creates_nothing() {
    let dir = TestDir::new();
    let store = dir.store("a.store", &lines(0..3));
    let new = dir.arg("new.store");
    annals(["salvage", &dir.arg("nowhere"), &new], "").fails(&["no store", "\n  check the path\n"]);
    annals(["salvage", &dir.arg(""), &new], "").fails(&["is not an annals store"]);
    annals(["salvage", &store, &store], "").fails(&["inside it", "outside the store"]);
    annals(["salvage", &store, &dir.arg("a.store/b")], "")
        .fails(&["inside it", "outside the store"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.path("a.store"), dir.path("link")).unwrap();
        annals(["salvage", &store, &dir.arg("link/b")], "")
            .fails(&["inside it", "outside the store"]);
    }
    annals(["salvage", &store, &dir.arg("a.store/../a.store")], "")
        .fails(&["inside it", "outside the store"]);
    fs::write(dir.path("file"), "mine").unwrap();
    annals(["salvage", &store, &dir.arg("file")], "")
        .fails(&["already exists", "nothing exists yet"]);
    for (from, to) in [("rocksdb:x", new.as_str()), (&store, "rocksdb:x")] {
        annals(["salvage", from, to], "")
            .complains(&["works only from a store in files", "annals copy"]);
    }
    let log = dir.path("a.store").join(format!("{:020}.log", 0));
    fs::write(&log, [0; 4096]).unwrap();
    annals(["salvage", &store, &new], "")
        .fails(&["salvaged in part: 0 events saved, 3 events missing"]);
    assert!(!dir.path("new.store").exists() && !dir.path("x").exists());
}
