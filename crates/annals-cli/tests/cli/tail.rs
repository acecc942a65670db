//! `annals tail`, mostly while another process appends.
#![cfg(unix)]

use crate::harness::{Running, TestDir, annals, line, lines, on_every_backend};

on_every_backend!(
    a_second_process_sees_every_event_as_it_comes,
    it_begins_with_the_last_ten,
    it_waits_for_an_offset_that_is_not_there_yet,
    a_signal_ends_it_though_it_is_far_behind,
    it_ends_quietly_at_the_next_event_when_its_reader_is_gone,
);

fn a_second_process_sees_every_event_as_it_comes(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..5));
    let mut append = Running::start(["append", &store]);
    let mut tail = Running::start(["tail", &store, "--from", "0"]);
    let mut sevens = Running::start(["tail", &store, "--from", "end", "--tag", "digit:7"]);
    for n in 0..5 {
        assert_eq!(tail.hear()["offset"], n);
    }
    // This shows that it follows the log before more events are appended.
    let mut end = Running::start(["tail", &store, "--from", "4"]);
    assert_eq!(end.hear()["offset"], 4);
    for n in 5..200 {
        append.say(&line(n));
        assert_eq!(append.hear()["last"], n);
        let seen = tail.hear();
        assert_eq!((&seen["offset"], &seen["data"]["n"]), (&n.into(), &n.into()));
    }
    let mut seen = sevens.hear()["offset"].as_u64().unwrap();
    while seen < 197 {
        let next = sevens.hear()["offset"].as_u64().unwrap();
        assert_eq!(next, seen + 10);
        seen = next;
    }
    for (follower, signal) in [(&mut tail, "-INT"), (&mut sevens, "-TERM")] {
        follower.signal(signal);
        assert_eq!(follower.code(), Some(0));
    }
    append.end_input();
    assert_eq!(append.hear()["appended"], 195);
    assert_eq!(append.code(), Some(0));
}

fn it_begins_with_the_last_ten(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..50));
    for (args, expected) in [
        (&["tail", &store][..], (40..50).collect::<Vec<u64>>()),
        (&["tail", &store, "--tag", "digit:3"], vec![3, 13, 23, 33, 43]),
        (&["tail", &store, "--from", "47"], vec![47, 48, 49]),
    ] {
        let mut tail = Running::start(args.iter().copied());
        let seen: Vec<u64> =
            expected.iter().map(|_| tail.hear()["offset"].as_u64().unwrap()).collect();
        assert_eq!(seen, expected);
        tail.signal("-INT");
        assert_eq!((tail.code(), tail.hear_out()), (Some(0), vec![]));
    }
}

fn it_waits_for_an_offset_that_is_not_there_yet(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..1));
    let mut tail = Running::start(["tail", &store, "--from", "3"]);
    annals(["append", &store], lines(1..5)).succeeds();
    assert_eq!(
        (tail.hear()["offset"].as_u64(), tail.hear()["offset"].as_u64()),
        (Some(3), Some(4))
    );
}

fn a_signal_ends_it_though_it_is_far_behind(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..50_000));
    let mut tail = Running::start(["tail", &store, "--from", "0"]);
    assert_eq!(tail.hear()["offset"], 0);
    // The pipe is full, so it is blocked in the middle of the log. Without the signal it would continue for ever.
    tail.signal("-INT");
    let rest = tail.hear_out();
    assert_eq!(tail.code(), Some(0));
    let offsets = rest.iter().map(|event| event["offset"].as_u64().unwrap());
    assert!(offsets.eq(1..=rest.len() as u64), "the rest of its output continues where it was");
}

fn it_ends_quietly_at_the_next_event_when_its_reader_is_gone(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..5));
    let mut tail = Running::start(["tail", &store, "--from", "0", "--tag", "digit:4"]);
    assert_eq!(tail.hear()["offset"], 4);
    tail.turn_away();
    annals(["append", &store], lines(5..15)).succeeds();
    assert_eq!(tail.code(), Some(0));
    let help = annals(["tail", "--help"], "").succeeds().out;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("ends quietly at the next event"), "{help}");
}
