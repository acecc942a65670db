//! Lines with the id of an earlier line: each event is appended once, and the repetition is reported as already in the
//! store, whatever the batches are.

use serde_json::{Value, json};

use crate::harness::{Running, TestDir, all, annals_with_file, on_every_backend};

on_every_backend!(
    a_repeated_line_is_reported_as_already_there,
    reports_are_those_of_single_batches,
    repeats_of_what_the_store_has_in_part,
    another_type_under_the_id_is_refused_after_what_stands_before,
    with_if_none_repeats_are_taken_out_and_other_types_refused,
);

fn paid(id: &str) -> String {
    format!("{{\"type\":\"paid\",\"id\":\"{id}\"}}\n")
}

fn append(dir: &TestDir, store: &str, options: &[&str], input: &str) -> crate::harness::Run {
    let file = dir.path("input");
    std::fs::write(&file, input).unwrap();
    annals_with_file(["append", store].iter().chain(options).copied(), &file)
}

fn a_repeated_line_is_reported_as_already_there(dir: &TestDir) {
    let expected = [
        json!({"first": 0, "last": 0}),
        json!({"first": 0, "last": 0, "already": true}),
        json!({"appended": 1, "first": 0, "last": 0, "already": 1}),
    ];
    let at_once = append(dir, &dir.at("at-once"), &[], &(paid("7") + &paid("7"))).succeeds();
    assert_eq!(at_once.lines(), expected);
    // With a pause between the lines: the first is reported before the second is written.
    let mut paused = Running::start(["append", &dir.at("paused")]);
    for report in &expected[..2] {
        paused.say(paid("7").trim_end());
        assert_eq!(paused.hear(), *report);
    }
    paused.end_input();
    assert_eq!((paused.hear(), paused.code()), (expected[2].clone(), Some(0)));
    let text = append(dir, &dir.at("text"), &["--format", "table"], &paid("7").repeat(3));
    assert_eq!(
        text.succeeds().out,
        "appended: offset 0\nalready in the store: offset 0\nalready in the store: offset 0\n\
         1 event appended, offset 0; 2 already in the store\n"
    );
}

/// Returns the reported offsets, each with whether it was already in the store; and the total.
fn reported(run: &crate::harness::Run) -> (Vec<(u64, bool)>, Value) {
    let mut lines = run.lines();
    let sum = lines.pop().unwrap();
    let mut offsets = Vec::new();
    for line in lines {
        let range = line["first"].as_u64().unwrap()..=line["last"].as_u64().unwrap();
        offsets.extend(range.map(|offset| (offset, line.get("already").is_some())));
    }
    (offsets, sum)
}

fn reports_are_those_of_single_batches(dir: &TestDir) {
    let input: String = ["a", "b", "a", "b", "c", "a", "c", "d", "d"].map(paid).concat();
    let each = append(dir, &dir.at("each"), &["--batch", "1"], &input).succeeds();
    let (mut each_offsets, each_sum) = reported(&each);
    each_offsets.sort_unstable();
    for batch in ["2", "3", "4", "1000"] {
        let store = dir.at(&format!("by-{batch}"));
        let run = append(dir, &store, &["--batch", batch], &input).succeeds();
        let (mut run_offsets, sum) = reported(&run);
        run_offsets.sort_unstable();
        assert_eq!((run_offsets, &sum), (each_offsets.clone(), &each_sum), "{batch}");
        assert_eq!(
            all(&store).concat() + "\n",
            ["a", "b", "c", "d"].map(paid).concat().replace('\n', "") + "\n"
        );
    }
}

fn repeats_of_what_the_store_has_in_part(dir: &TestDir) {
    let store = dir.store("a.store", &(paid("b") + &paid("d")));
    let input: String = ["a", "b", "c", "b", "a", "d", "e", "d", "e"].map(paid).concat();
    let (offsets, sum) = reported(&append(dir, &store, &[], &input).succeeds());
    assert_eq!(sum, json!({"appended": 3, "first": 2, "last": 4, "already": 6}));
    // a, c and e are new; b and d were in the store; then b, a, d and e are repeated.
    let new = offsets.iter().filter(|(_, already)| !already).map(|(offset, _)| *offset);
    assert_eq!(new.collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(offsets[offsets.len() - 4..], [(0, true), (2, true), (1, true), (4, true)]);
    assert_eq!(all(&store).len(), 5);
}

fn another_type_under_the_id_is_refused_after_what_stands_before(dir: &TestDir) {
    // A line whose event is in the store already counts as appended.
    let before = ["7", "8", "8"].map(paid).concat();
    let input = before + "{\"type\":\"refunded\",\"id\":\"7\"}\n" + &paid("9");
    for (store, batch) in [("one", "1"), ("all", "1000")] {
        let run = append(dir, &dir.at(store), &["--batch", batch], &input).fails(&[
            "line 4, column 1",
            "\"7\"",
            "offset 0",
            "give the event another id",
            "the lines up to 3 are appended, none from 4 on",
        ]);
        let mut offsets: Vec<u64> = Vec::new();
        for report in run.lines() {
            offsets.extend(report["first"].as_u64().unwrap()..=report["last"].as_u64().unwrap());
        }
        assert_eq!(offsets, [0, 1, 1]);
        assert_eq!(all(&dir.at(store)).len(), 2);
    }
}

fn with_if_none_repeats_are_taken_out_and_other_types_refused(dir: &TestDir) {
    let (store, guard) = (dir.at("a.store"), ["--if-none", "closed"]);
    let other = paid("7") + "\n{\"type\":\"refunded\",\"id\":\"7\"}\n";
    append(dir, &store, &guard, &other).fails(&[
        "line 3, column 1",
        "the id \"7\" is already used by line 1, for an event of another type",
        "give the event another id",
        "nothing was appended",
    ]);
    assert!(!dir.path("a.store").exists());
    let run = append(dir, &store, &guard, &(paid("7") + &paid("8") + &paid("7"))).succeeds();
    assert_eq!(
        run.lines(),
        [
            json!({"first": 0, "last": 1}),
            json!({"first": 0, "last": 0, "already": true}),
            json!({"appended": 2, "first": 0, "last": 1, "already": 1}),
        ]
    );
    assert_eq!(all(&store).len(), 2);
}
