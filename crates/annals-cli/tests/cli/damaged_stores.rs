//! Stores that are damaged in other files than segments: one message, with what to do, and nothing is changed.

use std::fs;
use std::path::PathBuf;

use crate::bad_stores::stays_as_it_is;
use crate::harness::{Place, Run, all, annals, line, lines, store_of_segments};

/// Damages a store of a few segments, and looks at what an append says: one message, with these words.
#[track_caller]
fn refused(damage: impl FnOnce(&Place, &[PathBuf]), words: &[&str]) -> (Place, String, Run) {
    let place = Place::new();
    let path = place.path("a.store");
    store_of_segments(&path, 300);
    let files = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|end| end == "log")).collect();
    segments.sort();
    damage(&place, &segments);
    let store = place.arg("a.store");
    let run = annals(["append", &store], line(0)).fails(words);
    assert_eq!((run.out.as_str(), run.err.matches("annals: ").count()), ("", 1), "{run:?}");
    assert!(!run.err.contains("open it read-only"), "{run:?}");
    (place, store, run)
}

#[test]
fn the_head_at_the_last_close_is_empty() {
    let closed = |place: &Place| place.path("a.store").join("closed.json");
    let words = ["closed.json is damaged", "holds no events", "remove it, and the store opens"];
    let (place, store, run) = refused(|place, _| fs::write(closed(place), "").unwrap(), &words);
    assert!(!run.err.contains("backup") && !run.err.contains("salvage"), "{run:?}");
    let before = fs::read(closed(&place)).unwrap();
    assert_eq!(annals(["read", &store], "").out.lines().count(), 300);
    assert_eq!(fs::read(closed(&place)).unwrap(), before);
    fs::remove_file(closed(&place)).unwrap();
    annals(["append", &store], line(300)).succeeds();
    assert_eq!(all(&store).len(), 301);
}

#[test]
fn the_log_lost_events_since_it_was_closed() {
    let more = |place: &Place, _: &[PathBuf]| {
        fs::write(place.path("a.store").join("closed.json"), "{\"head\":301}\n").unwrap();
    };
    let words = ["is damaged", "annals verify STORE", "annals salvage STORE NEW", "backup"];
    let (place, store, _) = refused(more, &words);
    stays_as_it_is(&place, &store);
}

#[test]
fn the_head_of_a_segment_is_damaged() {
    for segment in [0, 1, usize::MAX] {
        let flip = |_: &Place, segments: &[PathBuf]| {
            let file = &segments[segment.min(segments.len() - 1)];
            let mut bytes = fs::read(file).unwrap();
            bytes[20] ^= 1;
            fs::write(file, bytes).unwrap();
        };
        let words = ["is damaged", "annals verify STORE", "annals salvage STORE NEW", "backup"];
        let (place, store, _) = refused(flip, &words);
        stays_as_it_is(&place, &store);
    }
}

#[test]
fn the_first_segment_is_missing_or_empty() {
    for empty in [false, true] {
        let damage = |_: &Place, segments: &[PathBuf]| {
            fs::remove_file(&segments[0]).unwrap();
            if empty {
                fs::write(&segments[0], "").unwrap();
            }
        };
        let words = ["is damaged", "annals verify STORE", "annals salvage STORE NEW", "backup"];
        let (place, store, _) = refused(damage, &words);
        stays_as_it_is(&place, &store);
    }
}

#[test]
fn a_bad_frame_in_front_of_a_whole_one() {
    let flip = |_: &Place, segments: &[PathBuf]| {
        let last = segments.last().unwrap();
        let mut bytes = fs::read(last).unwrap();
        bytes[100] ^= 1;
        fs::write(last, bytes).unwrap();
    };
    let words = ["is damaged", "annals verify STORE", "annals salvage STORE NEW", "backup"];
    let (place, store, _) = refused(flip, &words);
    stays_as_it_is(&place, &store);
}

#[test]
fn what_says_that_it_is_a_store_is_gone_or_empty() {
    for (content, words) in [
        (None, ["is no annals store", "store.json is missing"]),
        (Some(""), ["is no annals store", "store.json cannot be read"]),
    ] {
        let damage = |place: &Place, _: &[PathBuf]| {
            let file = place.path("a.store").join("store.json");
            fs::remove_file(&file).unwrap();
            if let Some(content) = content {
                fs::write(&file, content).unwrap();
            }
        };
        let (place, store, _) = refused(damage, &words);
        stays_as_it_is(&place, &store);
    }
}

/// The topmost directory of a disk is a place for a store like any other.
#[test]
fn a_mount_point_is_a_place_for_a_store() {
    let place = Place::new();
    fs::create_dir_all(place.path("a.store/lost+found")).unwrap();
    let store = place.store("a.store", &lines(0..3));
    assert_eq!(all(&store).len(), 3);
    assert!(place.path("a.store/lost+found").is_dir());
}
