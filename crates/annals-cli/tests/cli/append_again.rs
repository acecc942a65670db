//! Appending the same input again, when the store already has any part of it.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{TestDir, all, annals, annals_with_file, on_every_backend};

on_every_backend!(
    events_in_the_store_are_reported_apart,
    the_store_may_have_any_part,
    another_type_with_the_same_id_ends_it_at_its_line,
);

/// Returns the line of event `n`, with an id.
fn line(n: u64) -> String {
    format!("{{\"type\":\"a\",\"data\":{n},\"id\":\"id-{n}\"}}")
}

/// Returns lines with their line feeds.
fn input(events: impl IntoIterator<Item = u64>) -> String {
    events.into_iter().map(|n| line(n) + "\n").collect()
}

fn events_in_the_store_are_reported_apart(dir: &TestDir) {
    let store = dir.store("a.store", &input(0..2));
    let file = dir.path("input");
    std::fs::write(&file, input(0..4)).unwrap();
    assert_eq!(
        annals_with_file(["append", &store], &file).succeeds().lines(),
        [
            json!({"first": 0, "last": 1, "already": true}),
            json!({"first": 2, "last": 3}),
            json!({"appended": 2, "first": 2, "last": 3, "already": 2}),
        ]
    );
}

fn the_store_may_have_any_part(dir: &TestDir) {
    let whole = input(0..100);
    let every_seventh: Vec<u64> = (0..100).step_by(7).collect();
    let reversed: Vec<u64> = (0..100).rev().collect();
    let begun: Vec<u64> = (0..37).collect();
    for (n, there) in [vec![0], vec![99], begun, every_seventh, reversed].iter().enumerate() {
        for batch in ["1", "10", "1000"] {
            let store = dir.store(&format!("{n}-{batch}.store"), &input(there.iter().copied()));
            let file = dir.path("input");
            std::fs::write(&file, &whole).unwrap();
            let again = || annals_with_file(["append", &store, "--batch", batch], &file).succeeds();
            let sum = again().lines().pop().unwrap();
            assert_eq!(sum["already"], there.len() as u64, "{there:?}");
            assert_eq!(sum["appended"], 100 - there.len() as u64, "{there:?}");
            let sum = again().lines().pop().unwrap();
            assert_eq!(sum, json!({"appended": 0, "already": 100}));
            // Each event is in the store once. The new events are in the order of the input.
            let events = all(&store);
            assert_eq!(events.len(), 100);
            assert_eq!(events.iter().collect::<BTreeSet<_>>().len(), 100);
            let missing: Vec<String> = (0..100).filter(|n| !there.contains(n)).map(line).collect();
            assert_eq!(events[there.len()..], missing);
        }
    }
}

fn another_type_with_the_same_id_ends_it_at_its_line(dir: &TestDir) {
    let other = "{\"type\":\"other\",\"id\":\"id-6\"}\n";
    let store = dir.store("a.store", &(input(0..3) + other));
    let file = dir.path("input");
    // Blank lines count in line numbers.
    std::fs::write(&file, String::from("\n") + &input(0..10)).unwrap();
    let run = annals_with_file(["append", &store], &file).fails(&[
        "line 8, column 1",
        "\"id-6\"",
        "offset 3",
        "\"other\"",
        "another id",
        "the lines up to 7 are appended, none from 8 on",
    ]);
    assert!(!run.err.contains("--batch"), "{}", run.err);
    assert_eq!(all(&store).len(), 7);
    annals(["append", &store], input(7..10)).succeeds();
}
