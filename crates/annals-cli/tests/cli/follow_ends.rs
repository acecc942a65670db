//! Followers that end: why is said, and what to do.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use annals::{Durability, EventStore, Journal, RawEvent};

use crate::harness::{Place, Running, annals, line, lines};

/// It ended with exit code 1 and one message, which has these words.
#[track_caller]
fn ends(mut tail: Running, words: &[&str]) -> String {
    assert_eq!(tail.code(), Some(1));
    let err = tail.complaints();
    for word in words {
        assert!(err.contains(word), "{word:?} is not in {err:?}");
    }
    assert_eq!(err.matches("annals: ").count(), 1, "{err}");
    // What only a program can do is not said.
    assert!(!err.contains("open the store again"), "{err}");
    err
}

fn log(store: &Path) -> PathBuf {
    store.join(format!("{:020}.log", 0))
}

fn open(store: &Path, durability: Durability) -> EventStore<RawEvent, Journal<RawEvent>> {
    EventStore::on(Journal::options().durability(durability).open(store).unwrap())
}

fn append(store: &EventStore<RawEvent, Journal<RawEvent>>, n: u64) {
    store.append(annals_cli::parse_line(line(n).as_bytes()).unwrap()).unwrap();
}

#[test]
fn a_store_that_was_removed_ends_it() {
    let place = Place::new();
    let store = place.store("a.store", &lines(0..3));
    let mut tail = Running::start(["tail", &store, "--from", "2"]);
    assert_eq!(tail.hear()["offset"], 2);
    fs::remove_dir_all(&store).unwrap();
    let err = ends(tail, &[&store, "its files were removed", "run it again"]);
    assert!(!err.contains("damaged") && !err.contains("verify"), "{err}");
}

#[test]
fn a_store_that_was_replaced_ends_it() {
    let place = Place::new();
    let store = place.store("a.store", &lines(0..3));
    let mut tail = Running::start(["tail", &store, "--from", "2"]);
    assert_eq!(tail.hear()["offset"], 2);
    let other = place.path("b.store");
    place.store("b.store", &lines(0..2));
    fs::copy(log(&other), place.path("new.log")).unwrap();
    fs::rename(place.path("new.log"), log(Path::new(&store))).unwrap();
    let err = ends(tail, &[&store, "other files are in the place of its own", "run it again"]);
    assert!(!err.contains("damaged") && !err.contains("verify"), "{err}");
}

#[test]
fn a_commit_that_was_taken_back_ends_it() {
    let place = Place::new();
    let path = place.path("a.store");
    let store = open(&path, Durability::Buffered);
    append(&store, 0);
    let before = fs::read(log(&path)).unwrap();
    append(&store, 1);
    let mut tail = Running::start(["tail", &place.arg("a.store"), "--from", "1"]);
    assert_eq!(tail.hear()["offset"], 1);
    // As a writer does whose sync failed.
    fs::File::options().write(true).open(log(&path)).unwrap().write_all_at(&before, 0).unwrap();
    let words = ["was used before it was synced", "took it back", "run it again"];
    let err = ends(tail, &words);
    assert!(!err.contains("damaged") && !err.contains("verify"), "{err}");
}

#[test]
fn damage_that_comes_while_it_follows_ends_it() {
    let place = Place::new();
    let path = place.path("a.store");
    let (one, three, bad) = {
        let store = open(&path, Durability::Sync);
        append(&store, 0);
        let one = fs::read(log(&path)).unwrap();
        append(&store, 1);
        let two = fs::read(log(&path)).unwrap();
        append(&store, 2);
        let three = fs::read(log(&path)).unwrap();
        let bad = (0..two.len()).rfind(|&at| one[at] != two[at]).unwrap();
        (one, three, bad)
    };
    fs::write(log(&path), one).unwrap();
    fs::remove_file(path.join("closed.json")).unwrap();
    let mut tail = Running::start(["tail", &place.arg("a.store"), "--from", "0"]);
    assert_eq!(tail.hear()["offset"], 0);
    // What is behind it says that it is durable.
    let mut damaged = three;
    damaged[bad] ^= 1;
    fs::File::options().write(true).open(log(&path)).unwrap().write_all_at(&damaged, 0).unwrap();
    ends(tail, &["is damaged at byte", "annals verify STORE", "annals salvage STORE NEW"]);
}

#[test]
fn a_damaged_store_is_shown_as_far_as_it_is_good() {
    let place = Place::new();
    let path = place.path("a.store");
    {
        let store = open(&path, Durability::Buffered);
        (0..5).for_each(|n| append(&store, n));
    }
    let mut bytes = fs::read(log(&path)).unwrap();
    // In the fourth of five frames of about the same size.
    let at = bytes.len() * 7 / 10;
    bytes[at] ^= 1;
    fs::write(log(&path), bytes).unwrap();
    for options in [&[][..], &["--from", "0"]] {
        let store = place.arg("a.store");
        let args = ["tail", &store].into_iter().chain(options.iter().copied());
        let run = annals(args, "").fails(&["is damaged", "only what is good", "annals verify"]);
        assert_eq!(run.offsets(), [0, 1, 2], "{run:?}");
    }
}
