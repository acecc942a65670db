//! Reading: which events, in which order and format.

use crate::harness::{Running, TestDir, annals, line, lines, on_every_backend, store_of_segments};

on_every_backend!(
    a_range_a_filter_a_limit_and_both_directions,
    a_line_has_offset_and_time_in_front,
    a_table_for_people,
    one_event_is_shown_indented,
    names_come_with_counts,
    a_closed_pipe_is_no_failure,
    verify_finds_no_problem_in_a_good_store,
);

fn a_range_a_filter_a_limit_and_both_directions(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..100));
    let offsets = |args: &[&str]| {
        annals(["read", &store].into_iter().chain(args.iter().copied()), "").succeeds().offsets()
    };
    let expected = |keep: &dyn Fn(u64) -> bool| (0..100).filter(|&n| keep(n)).collect::<Vec<u64>>();
    assert_eq!(offsets(&[]), expected(&|_| true));
    assert_eq!(offsets(&["--from", "10", "--to", "20"]), expected(&|n| (10..20).contains(&n)));
    assert_eq!(offsets(&["--from", "100"]), [0; 0]);
    assert_eq!(offsets(&["--from", "97", "--to", "1000"]), [97, 98, 99]);
    assert_eq!(offsets(&["--from", "5", "--to", "5"]), [0; 0]);
    assert_eq!(offsets(&["--tag", "digit:7"]), expected(&|n| n % 10 == 7));
    assert_eq!(offsets(&["--tag", "digit:7", "--tag", "all"]), expected(&|n| n % 10 == 7));
    assert_eq!(offsets(&["--tag", "digit:7", "--tag", "digit:8"]), [0; 0]);
    assert_eq!(offsets(&["--type", "type-0", "--type", "type-1"]), expected(&|n| n % 3 < 2));
    assert_eq!(offsets(&["--type", "type-0", "--tag", "digit:0"]), expected(&|n| n % 30 == 0));
    assert_eq!(offsets(&["--type", "no-such"]), [0; 0]);
    assert_eq!(offsets(&["--reverse", "--limit", "3"]), [99, 98, 97]);
    assert_eq!(offsets(&["--reverse", "--tag", "digit:7", "--to", "60", "--limit", "2"]), [57, 47]);
    assert_eq!(offsets(&["--limit", "2", "--from", "4"]), [4, 5]);
    assert_eq!(offsets(&["--limit", "0"]), [0; 0]);
}

#[test]
fn wrong_usage_is_refused_with_the_valid_values() {
    let dir = TestDir::new();
    let store = dir.store("a.store", "");
    annals(["read", &store, "--from", "9", "--to", "3"], "")
        .complains(&["--from 9", "--from 0 to 3"]);
    annals(["read", &store, "--from", "-1"], "").complains(&["-1"]);
    annals(["read", &store, "--limit", "many"], "").complains(&["many", "--limit"]);
    annals(["append", &store, "--batch", "0"], "").complains(&["from 1 to 65536"]);
    annals(["append", &store, "--batch", "65537"], "").complains(&["from 1 to 65536"]);
    annals(["append", &store, "--durability", "maybe"], "").complains(&["sync", "buffered"]);
    annals(["tail", &store, "--from", "start"], "").complains(&["18446744073709551615", "`end`"]);
    annals(["get", &store], "").complains(&["OFFSET"]);
    for (name, reason) in [("", "empty"), ("a\n", "control character"), (&"x".repeat(256), "256")] {
        for args in
            [["read", "--tag"], ["read", "--type"], ["tail", "--tag"], ["append", "--if-none"]]
        {
            let [command, option] = args;
            annals([command, &store, option, name], "").complains(&[option, reason]);
        }
    }
    annals(["reed", &store], "").complains(&["read"]);
    annals([], "").complains(&["Usage", "append", "verify"]);
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for command in [
        "append", "read", "tail", "get", "count", "stats", "tags", "types", "export", "import",
        "verify", "copy", "salvage",
    ] {
        let help = annals([command, "--help"], "").succeeds().out;
        assert!(
            help.contains("Example") && help.contains(&format!("annals {command} my.store")),
            "{help}"
        );
    }
    let help = annals(["--help"], "").succeeds().out;
    assert!(help.contains("Create a store and read it") && !help.contains("demo-writer"), "{help}");
}

fn a_line_has_offset_and_time_in_front(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..1));
    let read = annals(["read", &store], "").succeeds().out;
    let (front, rest) = read.split_at(r#"{"offset":0,"time":"2026-01-05T09:30:00.000Z","#.len());
    assert!(front.starts_with(r#"{"offset":0,"time":"2"#) && front.ends_with(r#"Z","#), "{front}");
    assert_eq!(format!("{{{rest}"), line(0) + "\n");
}

fn a_table_for_people(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..3));
    let table = annals(["read", &store, "--format", "table"], "").succeeds().out;
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0], ["OFFSET", "TIME", "TYPE", "TAGS", "DATA"]);
    assert!(rows[1].len() == 1 && rows[1][0].starts_with('2'), "{table}");
    assert_eq!((rows[4][0], &rows[4][2..]), ("2", &["type-2", "digit:2", "all", "{\"n\":2}"][..]));
    let empty = dir.store("b.store", "");
    assert_eq!(annals(["read", &empty, "--format", "table"], "").succeeds().out, "");
}

fn one_event_is_shown_indented(dir: &TestDir) {
    let store = dir.store("a.store", r#"{"type":"a","data":{"x":[1.0,{}]}}"#);
    let shown = annals(["get", &store, "0"], "").succeeds().out;
    assert!(
        shown.ends_with("  \"data\": {\n    \"x\": [\n      1.0,\n      {}\n    ]\n  }\n}\n"),
        "{shown}"
    );
    assert_eq!(
        annals(["get", &store, "0", "--format", "jsonl"], "").succeeds().out.lines().count(),
        1
    );
    let none = annals(["get", &store, "1"], "").fails(&["no event at offset 1", "offsets 0 to 0"]);
    assert_eq!(none.out, "");
    annals(["get", &dir.store("b.store", ""), "0"], "").fails(&["the store is empty"]);
}

#[test]
fn stats_count_everything() {
    let dir = TestDir::new();
    let path = dir.path("a.store");
    store_of_segments(&path, 300);
    let store = dir.arg("a.store");
    let stats = annals(["stats", &store], "").succeeds().lines().remove(0);
    for (field, expected) in [("events", 300), ("head", 300), ("types", 3), ("tags", 11)] {
        assert_eq!(stats[field], expected, "{field}");
    }
    for field in ["bytes", "bytes_per_event", "segments", "index_bytes"] {
        assert!(stats[field].as_u64().unwrap() > 3, "{field}");
    }
    assert!(stats["first_time"].as_str() <= stats["last_time"].as_str());
    let table = annals(["stats", &store, "--format", "table"], "").succeeds().out;
    assert!(table.contains("events          300\n") && table.contains("KiB"), "{table}");
    let empty = annals(["stats", &dir.store("b.store", "")], "").succeeds().lines().remove(0);
    assert_eq!((&empty["events"], empty["first_time"].is_null()), (&0.into(), true));
}

fn names_come_with_counts(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..10));
    let types = annals(["types", &store], "").succeeds().out;
    assert_eq!(
        types,
        "{\"type\":\"type-0\",\"count\":4}\n{\"type\":\"type-1\",\"count\":3}\n{\"type\":\"type-2\",\"count\":3}\n"
    );
    assert_eq!(annals(["tags", &store], "").succeeds().out.lines().count(), 11);
    let tags = annals(["tags", &store, "--prefix", "digit:4"], "").succeeds().out;
    assert_eq!(tags, "{\"tag\":\"digit:4\",\"count\":1}\n");
    let table = annals(["tags", &store, "--prefix", "a", "--format", "table"], "").succeeds().out;
    assert_eq!(table, "      EVENTS  TAG\n          10  all\n");
}

fn a_closed_pipe_is_no_failure(dir: &TestDir) {
    // The output is far larger than a pipe's buffer.
    let store = dir.store("a.store", &lines(0..20_000));
    let mut read = Running::start(["read", &store]);
    assert_eq!(read.hear()["offset"], 0);
    let mut errors = String::new();
    let mut stderr = read.child.stderr.take().unwrap();
    read.turn_away();
    assert_eq!(read.code(), Some(0));
    std::io::Read::read_to_string(&mut stderr, &mut errors).unwrap();
    assert_eq!(errors, "");
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let dir = TestDir::new();
    let store = dir.store("a.store", &lines(0..10));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_annals"));
    let output = command.args(["read", &store]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("cannot write the output: No space left")
            && message.contains("free some room"),
        "{message}"
    );
}

fn verify_finds_no_problem_in_a_good_store(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..10));
    let report = annals(["verify", &store], "").succeeds().lines().remove(0);
    assert_eq!(
        (&report["events"], &report["problems"], report["segments"].as_u64() >= Some(1)),
        (&10.into(), &0.into(), true)
    );
    let text = annals(["verify", &store, "--format", "table"], "").succeeds().out;
    assert!(text.starts_with("everything is whole: 10 events"), "{text}");
    assert!(text.contains(if dir.is_journal() { " in 1 segment\n" } else { " file" }), "{text}");
}
