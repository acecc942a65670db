//! The filters of `read`, `tail`, `export` and `count`.

use crate::harness::{Running, TestDir, annals, lines, on_every_backend};

on_every_backend!(
    each_filter_selects_what_it_says,
    times_are_a_range_of_offsets,
    no_match_is_said_on_standard_error,
    tail_filters_what_comes,
);

fn offsets(store: &str, args: &[&str]) -> Vec<u64> {
    annals(["read", store].into_iter().chain(args.iter().copied()), "").succeeds().offsets()
}

fn shop(dir: &TestDir) -> String {
    let input = r#"
{"type":"order","tags":["bike:1","shop:a"],"data":{"amount":50,"at":"2026-01-05","text":"20000"},"id":"o-1"}
{"type":"order","tags":["bike:2"],"data":{"amount":150,"paid":true},"id":"o-2"}
{"type":"note","tags":["shop:b","test:x"],"data":"hello World","metadata":{"user":"anna"}}
{"type":"note","data_base64":"/w=="}
{"type":"empty","tags":["bike*"]}
"#;
    dir.store("a.store", input)
}

fn each_filter_selects_what_it_says(dir: &TestDir) {
    let store = shop(dir);
    for (args, expected) in [
        (&["--tag", "bike:*"][..], &[0, 1][..]),
        (&["-t", "bike:*", "-t", "shop:*"], &[0]),
        (&["-t", r"bike\*"], &[4]),
        (&["--tag", "bike*"], &[0, 1, 4]),
        (&["--not-tag", "bike:*"], &[2, 3, 4]),
        (&["--not-tag", "shop:a", "--not-tag", "test:*"], &[1, 3, 4]),
        (&["--id", "o-2"], &[1]),
        (&["--id", "o-2", "--id", "o-1", "--id", "o-3"], &[0, 1]),
        (&["--where", "/amount>100"], &[1]),
        (&["--where", "/amount"], &[0, 1]),
        (&["--where", "/text>=20000", "--where", "/at<2026-02-01"], &[0]),
        (&["--where", "/paid=true"], &[1]),
        (&["--where", "=hello World"], &[2]),
        (&["--grep", "World"], &[2]),
        (&["--grep", "anna"], &[2]),
        (&["--grep", "shop:", "--grep", "ord"], &[0]),
        (&["-T", "note", "-T", "empty", "--not-tag", "test:x"], &[3, 4]),
        (&["-T", "order", "-r", "-n", "1"], &[1]),
        (&["--where", "/amount>0", "-r", "-n", "1"], &[1]),
    ] {
        assert_eq!(offsets(&store, args), expected, "{args:?}");
        let count = [&["count", &store], args].concat();
        if !args.contains(&"-n") {
            let count = annals(count, "").succeeds().lines();
            assert_eq!(count[0]["count"], expected.len(), "{args:?}");
            let export = [&["export", &store], args].concat();
            assert_eq!(annals(export, "").succeeds().lines().len(), expected.len(), "{args:?}");
        }
    }
}

fn times_are_a_range_of_offsets(dir: &TestDir) {
    let line = |day: u32| format!("{{\"time\":\"2026-01-0{day}T12:00:00Z\",\"type\":\"a\"}}\n");
    let store = dir.at("a.store");
    annals(["import", &store, "--keep-times"], [1, 2, 2, 4].map(line).concat()).succeeds();
    for (args, expected) in [
        (&["--since", "2026-01-02"][..], &[1, 2, 3][..]),
        (&["--until", "2026-01-02"], &[0]),
        (&["--since", "2026-01-02T12:00:00Z", "--until", "2026-01-02T12:00:00.001Z"], &[1, 2]),
        (&["--since", "2026-01-02T13:00:00+01:00"], &[1, 2, 3]),
        (&["--since", "2026-01-02T12:00:00.001Z"], &[3]),
        (&["--since", "2026-01-03", "--until", "2026-01-03"], &[]),
        (&["--until", "9000days"], &[]),
        (&["--since", "9000days", "--from", "2"], &[2, 3]),
        (&["--since", "2026-01-02", "--to", "2"], &[1]),
    ] {
        assert_eq!(offsets(&store, args), expected, "{args:?}");
        let count = annals([&["count", &store], args].concat(), "").succeeds().lines();
        assert_eq!(count[0]["count"], expected.len(), "{args:?}");
    }
    let recent = dir.store("b.store", &lines(0..3));
    assert_eq!(offsets(&recent, &["--since", "1h"]), [0, 1, 2]);
    assert_eq!(offsets(&recent, &["--until", "1h"]), [0; 0]);
}

fn no_match_is_said_on_standard_error(dir: &TestDir) {
    let store = shop(dir);
    let read = |args: &[&str]| annals([&["read", &store], args].concat(), "");
    read(&["-t", "nope"]).notes(&["no event matches; there is no tag nope"]);
    read(&["-t", "nope:*", "-T", "ordr"])
        .notes(&["no event matches; no tag begins with nope:; there is no type ordr"]);
    read(&["-t", "bike:1", "-t", "bike:2"]).notes(&["no event matches"]);
    read(&["--from", "9"]).notes(&["no event matches; the store has offsets 0 to 4"]);
    read(&["-t", "nope", "--quiet"]).notes(&[]);
    read(&["-n", "0"]).notes(&[]);
    assert_eq!(
        annals(["count", &store, "-t", "nope"], "")
            .notes(&["no event matches; there is no tag nope"])
            .lines()[0]["count"],
        0
    );
    let empty = dir.store("b.store", "");
    annals(["read", &empty, "-t", "nope"], "").notes(&["no event matches; the store is empty"]);
}

fn tail_filters_what_comes(dir: &TestDir) {
    let store = shop(dir);
    let mut tail = Running::start(["tail", &store, "--where", "/amount>100"]);
    assert_eq!(tail.hear()["offset"], 1);
    let mut last = Running::start(["tail", &store, "-n", "2"]);
    assert_eq!(
        (last.hear()["offset"].clone(), last.hear()["offset"].clone()),
        (3.into(), 4.into())
    );
    annals(
        ["append", &store],
        "{\"type\":\"a\",\"data\":{\"amount\":1}}\n{\"type\":\"a\",\"data\":{\"amount\":101}}\n",
    )
    .succeeds();
    assert_eq!(tail.hear()["offset"], 6);
    // A time that is over ends it after the events before that time.
    let over = annals(["tail", &store, "--from", "0", "--until", "2020-01-01"], "").succeeds();
    assert_eq!(over.out, "");
    let now = annals(["tail", &store, "--since", "1h", "--until", "now"], "").succeeds();
    assert_eq!(now.offsets(), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_wrong_filter_is_refused_with_what_is_right() {
    let dir = TestDir::new();
    let store = dir.store("a.store", "");
    for command in ["read", "tail", "export", "count"] {
        for (option, value, right) in [
            ("--since", "yesterday", "2026-11-01T09:30:00Z"),
            ("--until", "15", "15s"),
            ("--until", "-5", "15m, 1h"),
            ("--where", "amount>1", "as in /amount"),
            ("--where", "", "/status=open"),
            ("--tag", "*", "'bike:*'"),
            ("--not-tag", "", "empty"),
            ("--id", "", "id is empty"),
            ("--grep", "", "a text to look for"),
        ] {
            let run = annals([command, &store, option, value], "").complains(&[
                "annals: invalid value",
                option,
                right,
            ]);
            assert!(!run.err.contains("error:"), "{run:?}");
        }
        annals([command, &store, "--since", "2026-02-01", "--until", "2026-01-01"], "")
            .complains(&["swap the two"]);
    }
}
