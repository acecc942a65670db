//! `kill -9` during an append: every reported event is in the store, and no partial batch.

use std::io::Write as _;
use std::thread;

use crate::harness::{Running, TestDir, all, annals, as_given, lines, on_every_backend};

on_every_backend!(reported_events_are_in_the_store_after_a_kill,);

const BATCH: u64 = 7;

/// Kills an append after this number of reports, while its input continues. Returns the number of reported events.
fn killed_after(store: &str, reports: usize) -> u64 {
    let mut append = Running::start(["append", store, "--batch", "7"]);
    let mut input = append.input.take().unwrap();
    let feeder = thread::spawn(move || {
        // Writing fails when the command is killed.
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

fn reported_events_are_in_the_store_after_a_kill(dir: &TestDir) {
    for reports in [0, 1, 2, 5, 17, 60] {
        let store = dir.at(&format!("{reports}.store"));
        let reported = killed_after(&store, reports);
        let read = annals(["read", &store], "");
        let begun: Vec<String> = if read.code == Some(0) {
            read.out.lines().map(as_given).collect()
        } else {
            // The command was killed before it created the store.
            read.fails(&["no store"]);
            vec![]
        };
        assert!(begun.len() as u64 >= reported, "{reports}: {} of {reported}", begun.len());
        // The events in the store are a prefix of the input.
        assert_eq!(begun, lines(0..begun.len() as u64).lines().collect::<Vec<_>>());
        // Appending continues after the kill.
        let next = begun.len() as u64;
        let run = annals(["append", &store], lines(next..next + 10)).succeeds();
        assert_eq!(run.lines()[0]["first"], next);
        assert_eq!(all(&store), lines(0..next + 10).lines().collect::<Vec<_>>());
        annals(["verify", &store], "").succeeds();
    }
}
