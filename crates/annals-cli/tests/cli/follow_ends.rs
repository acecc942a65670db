//! Followers that end: the message states why, and what to do.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use annals::{Durability, EventStore, Journal, RawEvent};

use crate::harness::{Running, TestDir, annals, line, lines};

/// Checks that it ended with exit code 1 and one message that contains these words.
#[track_caller]
fn ends(mut tail: Running, words: &[&str]) -> String {
    assert_eq!(tail.code(), Some(1));
    let err = tail.complaints();
    for word in words {
        assert!(err.contains(word), "{word:?} is not in {err:?}");
    }
    assert_eq!(err.matches("annals: ").count(), 1, "{err}");
    // The message has no advice for programs.
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
    let dir = TestDir::new();
    let store = dir.store("a.store", &lines(0..3));
    let mut tail = Running::start(["tail", &store, "--from", "2"]);
    assert_eq!(tail.hear()["offset"], 2);
    fs::remove_dir_all(&store).unwrap();
    let err = ends(tail, &[&store, "removed", "run the command again"]);
    assert!(!err.contains("damaged") && !err.contains("verify"), "{err}");
}

#[test]
fn a_store_that_was_replaced_ends_it() {
    let dir = TestDir::new();
    let store = dir.store("a.store", &lines(0..3));
    let mut tail = Running::start(["tail", &store, "--from", "2"]);
    assert_eq!(tail.hear()["offset"], 2);
    let other = dir.path("b.store");
    dir.store("b.store", &lines(0..2));
    fs::copy(log(&other), dir.path("new.log")).unwrap();
    fs::rename(dir.path("new.log"), log(Path::new(&store))).unwrap();
    let err = ends(tail, &[&store, "replaced by others", "run the command again"]);
    assert!(!err.contains("damaged") && !err.contains("verify"), "{err}");
}

#[test]
fn a_commit_that_was_rolled_back_ends_it() {
    let dir = TestDir::new();
    let path = dir.path("a.store");
    let store = open(&path, Durability::Buffered);
    append(&store, 0);
    let before = fs::read(log(&path)).unwrap();
    append(&store, 1);
    let mut tail = Running::start(["tail", &dir.arg("a.store"), "--from", "1"]);
    assert_eq!(tail.hear()["offset"], 1);
    // A writer does this after its sync failed.
    fs::File::options().write(true).open(log(&path)).unwrap().write_all_at(&before, 0).unwrap();
    let words = ["was read before it was synced", "removed the event", "run the command again"];
    let err = ends(tail, &words);
    assert!(!err.contains("damaged") && !err.contains("verify"), "{err}");
}

#[test]
fn damage_that_comes_while_it_follows_ends_it() {
    let dir = TestDir::new();
    let path = dir.path("a.store");
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
    let mut tail = Running::start(["tail", &dir.arg("a.store"), "--from", "0"]);
    assert_eq!(tail.hear()["offset"], 0);
    // The frame after it shows that the damaged frame was durable.
    let mut damaged = three;
    damaged[bad] ^= 1;
    fs::File::options().write(true).open(log(&path)).unwrap().write_all_at(&damaged, 0).unwrap();
    ends(tail, &["damaged", "annals verify STORE", "annals salvage STORE NEW"]);
}

#[test]
fn a_damaged_store_is_printed_up_to_the_damage() {
    let dir = TestDir::new();
    let path = dir.path("a.store");
    {
        let store = open(&path, Durability::Buffered);
        (0..5).for_each(|n| append(&store, n));
    }
    let mut bytes = fs::read(log(&path)).unwrap();
    // The byte is in the fourth of five frames of about the same size.
    let at = bytes.len() * 7 / 10;
    bytes[at] ^= 1;
    fs::write(log(&path), bytes).unwrap();
    for options in [&[][..], &["--from", "0"]] {
        let store = dir.arg("a.store");
        let args = ["tail", &store].into_iter().chain(options.iter().copied());
        let run = annals(args, "").fails(&["only the events before the damage", "annals verify"]);
        assert_eq!(run.offsets(), [0, 1, 2], "{run:?}");
    }
}
