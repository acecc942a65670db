//! `kill -9` while it appends: every event that was reported is there, and no half batch is.

use std::io::Write as _;
use std::thread;

use crate::harness::{Place, Running, all, annals, as_given, lines, on_every_home};

on_every_home!(what_was_reported_is_there_after_a_kill,);

const BATCH: u64 = 7;

/// Kills an append after so many reports, while its input goes on; answers how many events were reported.
fn killed_after(store: &str, reports: usize) -> u64 {
    let mut append = Running::start(["append", store, "--batch", "7"]);
    let mut input = append.input.take().unwrap();
    let feeder = thread::spawn(move || {
        // Until it is killed.
        let mut n = 0;
        while input.write_all(lines(n..n + BATCH).as_bytes()).is_ok() {
            n += BATCH;
        }
    });
    let mut reported = 0;
    for _ in 0..reports {
        reported = append.hear()["last"].as_u64().unwrap() + 1;
    }
    append.child.kill().unwrap();
    for report in append.hear_out() {
        reported = report["last"].as_u64().unwrap() + 1;
    }
    append.code();
    feeder.join().unwrap();
    reported
}

fn what_was_reported_is_there_after_a_kill(place: &Place) {
    for reports in [0, 1, 2, 5, 17, 60] {
        let store = place.at(&format!("{reports}.store"));
        let reported = killed_after(&store, reports);
        let read = annals(["read", &store], "");
        let begun: Vec<String> = if read.code == Some(0) {
            read.out.lines().map(as_given).collect()
        } else {
            // It was killed before there was one.
            read.fails(&["there is no store"]);
            vec![]
        };
        assert!(begun.len() as u64 >= reported, "{reports}: {} of {reported}", begun.len());
        // What is there is a prefix of what was given.
        assert_eq!(begun, lines(0..begun.len() as u64).lines().collect::<Vec<_>>());
        // And it goes on.
        let next = begun.len() as u64;
        let run = annals(["append", &store], lines(next..next + 10)).succeeds();
        assert_eq!(run.lines()[0]["first"], next);
        assert_eq!(all(&store), lines(0..next + 10).lines().collect::<Vec<_>>());
        annals(["verify", &store], "").succeeds();
    }
}
