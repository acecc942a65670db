//! Appending the same input again, of which the store may have any part.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{Place, all, annals, annals_with_file, on_every_home};

on_every_home!(
    what_is_there_is_a_part_of_its_own,
    any_part_may_be_there,
    another_event_of_the_same_id_ends_it_at_its_line,
);

/// The line of event `n`, with an id.
fn line(n: u64) -> String {
    format!("{{\"type\":\"a\",\"data\":{n},\"id\":\"id-{n}\"}}")
}

/// Lines, with their line feeds.
fn input(events: impl IntoIterator<Item = u64>) -> String {
    events.into_iter().map(|n| line(n) + "\n").collect()
}

fn what_is_there_is_a_part_of_its_own(place: &Place) {
    let store = place.store("a.store", &input(0..2));
    let file = place.path("input");
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

fn any_part_may_be_there(place: &Place) {
    let whole = input(0..100);
    let every_seventh: Vec<u64> = (0..100).step_by(7).collect();
    let reversed: Vec<u64> = (0..100).rev().collect();
    let begun: Vec<u64> = (0..37).collect();
    for (n, there) in [vec![0], vec![99], begun, every_seventh, reversed].iter().enumerate() {
        for batch in ["1", "10", "1000"] {
            let store = place.store(&format!("{n}-{batch}.store"), &input(there.iter().copied()));
            let file = place.path("input");
            std::fs::write(&file, &whole).unwrap();
            let again = || annals_with_file(["append", &store, "--batch", batch], &file).succeeds();
            let sum = again().lines().pop().unwrap();
            assert_eq!(sum["already"], there.len() as u64, "{there:?}");
            assert_eq!(sum["appended"], 100 - there.len() as u64, "{there:?}");
            let sum = again().lines().pop().unwrap();
            assert_eq!(sum, json!({"appended": 0, "already": 100}));
            // Each is there once; what was not there stands in its order.
            let events = all(&store);
            assert_eq!(events.len(), 100);
            assert_eq!(events.iter().collect::<BTreeSet<_>>().len(), 100);
            let missing: Vec<String> = (0..100).filter(|n| !there.contains(n)).map(line).collect();
            assert_eq!(events[there.len()..], missing);
        }
    }
}

fn another_event_of_the_same_id_ends_it_at_its_line(place: &Place) {
    let other = "{\"type\":\"other\",\"id\":\"id-6\"}\n";
    let store = place.store("a.store", &(input(0..3) + other));
    let file = place.path("input");
    // Blank lines count.
    std::fs::write(&file, String::from("\n") + &input(0..10)).unwrap();
    let run = annals_with_file(["append", &store], &file).fails(&[
        "line 8, column 1",
        "\"id-6\"",
        "offset 3",
        "an event of the type",
        "another id",
        "the lines up to 7 are appended, none from 8 on",
    ]);
    assert!(!run.err.contains("--batch"), "{}", run.err);
    assert_eq!(all(&store).len(), 7);
    annals(["append", &store], input(7..10)).succeeds();
}
