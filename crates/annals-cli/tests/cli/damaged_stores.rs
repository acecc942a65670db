//! Damaged stores: one message with advice, and no file is changed.

use std::fs;
use std::path::PathBuf;

use crate::bad_stores::stays_as_it_is;
use crate::harness::{Run, TestDir, all, annals, line, lines, store_of_segments};

/// Damages a store of a few segments, and checks that an append fails with one message that contains these words.
#[track_caller]
fn refused(damage: impl FnOnce(&TestDir, &[PathBuf]), words: &[&str]) -> (TestDir, String, Run) {
    let dir = TestDir::new();
    let path = dir.path("a.store");
    store_of_segments(&path, 300);
    let files = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|end| end == "log")).collect();
    segments.sort();
    damage(&dir, &segments);
    let store = dir.arg("a.store");
    let run = annals(["append", &store], line(0)).fails(words);
    assert_eq!((run.out.as_str(), run.err.matches("annals: ").count()), ("", 1), "{run:?}");
    assert!(!run.err.contains("open it read-only"), "{run:?}");
    (dir, store, run)
}

#[test]
fn the_head_at_the_last_close_is_empty() {
    let closed = |dir: &TestDir| dir.path("a.store").join("closed.json");
    let words = ["closed.json", "damaged", "remove that file, and the store opens", "no events"];
    let (dir, store, run) = refused(|dir, _| fs::write(closed(dir), "").unwrap(), &words);
    assert!(!run.err.contains("backup") && !run.err.contains("salvage"), "{run:?}");
    let before = fs::read(closed(&dir)).unwrap();
    assert_eq!(annals(["read", &store], "").out.lines().count(), 300);
    assert_eq!(fs::read(closed(&dir)).unwrap(), before);
    fs::remove_file(closed(&dir)).unwrap();
    annals(["append", &store], line(300)).succeeds();
    assert_eq!(all(&store).len(), 301);
}

#[test]
fn the_log_lost_events_since_it_was_closed() {
    let more = |dir: &TestDir, _: &[PathBuf]| {
        fs::write(dir.path("a.store").join("closed.json"), "{\"head\":301}\n").unwrap();
    };
    let words = ["damaged", "annals verify STORE", "annals salvage STORE NEW", "backup"];
    let (dir, store, _) = refused(more, &words);
    stays_as_it_is(&dir, &store);
}

#[test]
fn the_head_of_a_segment_is_damaged() {
    for segment in [0, 1, usize::MAX] {
        let flip = |_: &TestDir, segments: &[PathBuf]| {
            let file = &segments[segment.min(segments.len() - 1)];
            let mut bytes = fs::read(file).unwrap();
            bytes[20] ^= 1;
            fs::write(file, bytes).unwrap();
        };
        let words = ["damaged", "annals verify STORE", "annals salvage STORE NEW", "backup"];
        let (dir, store, _) = refused(flip, &words);
        stays_as_it_is(&dir, &store);
    }
}

#[test]
fn the_first_segment_is_missing_or_empty() {
    for empty in [false, true] {
        let damage = |_: &TestDir, segments: &[PathBuf]| {
            fs::remove_file(&segments[0]).unwrap();
            if empty {
                fs::write(&segments[0], "").unwrap();
            }
        };
        let words = ["damaged", "annals verify STORE", "annals salvage STORE NEW", "backup"];
        let (dir, store, _) = refused(damage, &words);
        stays_as_it_is(&dir, &store);
    }
}

#[test]
fn a_bad_frame_in_front_of_a_whole_one() {
    let flip = |_: &TestDir, segments: &[PathBuf]| {
        let last = segments.last().unwrap();
        let mut bytes = fs::read(last).unwrap();
        bytes[100] ^= 1;
        fs::write(last, bytes).unwrap();
    };
    let words = ["damaged", "annals verify STORE", "annals salvage STORE NEW", "backup"];
    let (dir, store, _) = refused(flip, &words);
    stays_as_it_is(&dir, &store);
}

#[test]
fn store_json_is_missing_or_empty() {
    for (content, words) in [
        (None, ["is not an annals store", "store.json"]),
        (Some(""), ["is not an annals store", "store.json"]),
    ] {
        let damage = |dir: &TestDir, _: &[PathBuf]| {
            let file = dir.path("a.store").join("store.json");
            fs::remove_file(&file).unwrap();
            if let Some(content) = content {
                fs::write(&file, content).unwrap();
            }
        };
        let (dir, store, _) = refused(damage, &words);
        stays_as_it_is(&dir, &store);
    }
}

/// The root directory of a disk can be a store like any other directory.
#[test]
fn a_mount_point_can_be_a_store() {
    let dir = TestDir::new();
    fs::create_dir_all(dir.path("a.store/lost+found")).unwrap();
    let store = dir.store("a.store", &lines(0..3));
    assert_eq!(all(&store).len(), 3);
    assert!(dir.path("a.store/lost+found").is_dir());
}
