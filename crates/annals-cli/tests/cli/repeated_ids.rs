//! Lines with the id of an earlier line: appended once, and reported as those that the store has, however the lines fall into
//! batches.

use serde_json::{Value, json};

use crate::harness::{Place, Running, all, annals_with_file, on_every_home};

on_every_home!(
    a_repeated_line_is_reported_as_already_there,
    reports_are_those_of_single_batches,
    repeats_of_what_the_store_has_in_part,
    another_type_under_the_id_is_refused_after_what_stands_before,
    with_if_none_repeats_are_taken_out_and_other_types_refused,
);

fn paid(id: &str) -> String {
    format!("{{\"type\":\"paid\",\"id\":\"{id}\"}}\n")
}

fn append(place: &Place, store: &str, options: &[&str], input: &str) -> crate::harness::Run {
    let file = place.path("input");
    std::fs::write(&file, input).unwrap();
    annals_with_file(["append", store].iter().chain(options).copied(), &file)
}

fn a_repeated_line_is_reported_as_already_there(place: &Place) {
    let expected = [
        json!({"first": 0, "last": 0}),
        json!({"first": 0, "last": 0, "already": true}),
        json!({"appended": 1, "first": 0, "last": 0, "already": 1}),
    ];
    let at_once = append(place, &place.at("at-once"), &[], &(paid("7") + &paid("7"))).succeeds();
    assert_eq!(at_once.lines(), expected);
    // With a pause in between: the first is reported before the second is given.
    let mut paused = Running::start(["append", &place.at("paused")]);
    for report in &expected[..2] {
        paused.say(paid("7").trim_end());
        assert_eq!(paused.hear(), *report);
    }
    paused.end_input();
    assert_eq!((paused.hear(), paused.code()), (expected[2].clone(), Some(0)));
    let text = append(place, &place.at("text"), &["--format", "table"], &paid("7").repeat(3));
    assert_eq!(
        text.succeeds().out,
        "appended: offset 0\nalready in the store: offset 0\nalready in the store: offset 0\n\
         1 event appended, offset 0; 2 were in the store already\n"
    );
}

/// The offsets that are reported, one by one, with whether they were there already; and the sum.
fn told(run: &crate::harness::Run) -> (Vec<(u64, bool)>, Value) {
    let mut lines = run.lines();
    let sum = lines.pop().unwrap();
    let mut told = Vec::new();
    for line in lines {
        let range = line["first"].as_u64().unwrap()..=line["last"].as_u64().unwrap();
        told.extend(range.map(|offset| (offset, line.get("already").is_some())));
    }
    (told, sum)
}

fn reports_are_those_of_single_batches(place: &Place) {
    let input: String = ["a", "b", "a", "b", "c", "a", "c", "d", "d"].map(paid).concat();
    let each = append(place, &place.at("each"), &["--batch", "1"], &input).succeeds();
    let (mut each_told, each_sum) = told(&each);
    each_told.sort_unstable();
    for batch in ["2", "3", "4", "1000"] {
        let store = place.at(&format!("by-{batch}"));
        let run = append(place, &store, &["--batch", batch], &input).succeeds();
        let (mut run_told, sum) = told(&run);
        run_told.sort_unstable();
        assert_eq!((run_told, &sum), (each_told.clone(), &each_sum), "{batch}");
        assert_eq!(
            all(&store).concat() + "\n",
            ["a", "b", "c", "d"].map(paid).concat().replace('\n', "") + "\n"
        );
    }
}

fn repeats_of_what_the_store_has_in_part(place: &Place) {
    let store = place.store("a.store", &(paid("b") + &paid("d")));
    let input: String = ["a", "b", "c", "b", "a", "d", "e", "d", "e"].map(paid).concat();
    let (told, sum) = told(&append(place, &store, &[], &input).succeeds());
    assert_eq!(sum, json!({"appended": 3, "first": 2, "last": 4, "already": 6}));
    // a, c and e are new; b and d were there; and b, a, d and e again.
    let new = told.iter().filter(|(_, already)| !already).map(|(offset, _)| *offset);
    assert_eq!(new.collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(told[told.len() - 4..], [(0, true), (2, true), (1, true), (4, true)]);
    assert_eq!(all(&store).len(), 5);
}

fn another_type_under_the_id_is_refused_after_what_stands_before(place: &Place) {
    let input = paid("7") + &paid("8") + "{\"type\":\"refunded\",\"id\":\"7\"}\n" + &paid("9");
    for (store, batch) in [("one", "1"), ("all", "1000")] {
        let run = append(place, &place.at(store), &["--batch", batch], &input).fails(&[
            "line 3, column 1",
            "\"7\"",
            "offset 0",
            "give the event another id",
            "the lines up to 2 are appended, none from 3 on",
        ]);
        let mut offsets: Vec<u64> = Vec::new();
        for report in run.lines() {
            offsets.extend(report["first"].as_u64().unwrap()..=report["last"].as_u64().unwrap());
        }
        assert_eq!(offsets, [0, 1]);
        assert_eq!(all(&place.at(store)).len(), 2);
    }
}

fn with_if_none_repeats_are_taken_out_and_other_types_refused(place: &Place) {
    let (store, guard) = (place.at("a.store"), ["--if-none", "closed"]);
    let other = paid("7") + "\n{\"type\":\"refunded\",\"id\":\"7\"}\n";
    append(place, &store, &guard, &other).fails(&[
        "line 3, column 1",
        "the id \"7\" is on line 1 already, for an event of another type",
        "give the event another id",
        "nothing was appended",
    ]);
    assert!(!place.path("a.store").exists());
    let run = append(place, &store, &guard, &(paid("7") + &paid("8") + &paid("7"))).succeeds();
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
