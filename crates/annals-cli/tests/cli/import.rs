//! `annals import`: what is wrong is found before anything is appended.

use std::fs;

use serde_json::json;

use crate::harness::{Running, TestDir, all, annals, annals_with_file, line, on_every_backend};

on_every_backend!(
    a_wrong_line_imports_nothing,
    times_that_go_back_are_refused,
    csv_of_another_program_becomes_events,
    wrong_csv_imports_nothing,
    wrong_options_for_csv_are_refused,
    input_without_events_creates_no_store,
);

fn a_wrong_line_imports_nothing(dir: &TestDir) {
    let many: String = (0..10_000).map(|n| line(n) + "\n").collect();
    let file = dir.arg("input");
    for (end, words) in [
        ("nonsense", &["line 10001, column 2", "not valid JSON"][..]),
        (
            "{\"type\":\"a\",\"time\":\"noon\"}",
            &["line 10001, column ", "\"noon\"", "2026-01-05T09:30:00.000Z"],
        ),
        (
            "{\"type\":\"a\",\"time\":\"1969-12-31T23:59:59Z\"}",
            &["line 10001, column ", "\"1969-12-31T23:59:59Z\" is a time before 1970"],
        ),
        (
            "{\"type\":\"a\",\"offset\":-1}",
            &["line 10001, column ", "a whole number from 0 for \"offset\""],
        ),
        ("{\"type\":\"a\",\"price\":1}", &["unknown field \"price\""]),
        (
            "{\"type\":\"a\",\"id\":\"7\"}\n{\"type\":\"b\",\"id\":\"7\"}",
            &[
                "line 10002, column 1",
                "\"7\" is already used by line 10001",
                "give the event another id",
            ],
        ),
    ] {
        let input = format!("{many}{end}\n");
        let new = dir.at("new.store");
        let words = [words, &["nothing was appended"]].concat();
        annals(["import", &new], &input).fails(&words);
        assert!(!dir.path("new.store").exists());
        let existing = dir.store("a.store", &line(0));
        fs::write(&file, &input).unwrap();
        annals(["import", &existing, &file], "").fails(&words);
        assert_eq!(all(&existing).len(), 1, "{end}");
        fs::remove_dir_all(dir.path("a.store")).unwrap();
    }
}

fn times_that_go_back_are_refused(dir: &TestDir) {
    let at = |time: &str| format!("{{\"time\":\"{time}\",\"type\":\"a\"}}\n");
    let store = dir.at("a.store");
    let import = |input: String| annals(["import", &store, "--keep-times"], input);
    import(at("2026-01-05T09:00:00Z") + &at("2026-01-05T08:59:59.999Z")).fails(&[
        "line 2: the time goes back, from 2026-01-05T09:00:00.000Z to 2026-01-05T08:59:59.999Z",
        "sort the input",
        "without --keep-times",
        "nothing was appended",
    ]);
    assert!(!dir.path("a.store").exists());
    import(at("2026-01-05T09:00:00Z") + "{\"type\":\"a\"}\n")
        .fails(&["line 2: there is no time", "\"time\""]);
    import(at("2026-01-05T09:00:00Z") + &at("9000-01-01")).fails(&[
        "line 2",
        "ahead of this machine's clock",
        "--allow-future-times",
    ]);
    // It may be of seconds.
    import("{\"time\":1767603600,\"type\":\"a\"}\n".to_owned()).fails(&[
        "line 1",
        "integer `1767603600`",
        "expected a time such as \"2026-01-05T09:30:00.000Z\"",
    ]);
    assert!(!dir.path("a.store").exists());
    import(at("2026-01-05T09:00:00Z")).succeeds();
    import(at("2026-01-05T09:00:00Z") + &at("2026-01-05T09:00:00Z")).succeeds();
    import(at("2026-01-05T08:00:00Z")).fails(&[
        "line 1: the time",
        "the store's last event, 2026-01-05T09:00:00.000Z",
        "new store",
    ]);
    // An event with an id could be in the store already, but this one is not.
    let with_id = at("2026-01-05T08:00:00Z").replace("\"a\"", "\"a\",\"id\":\"1\"");
    import(with_id).fails(&["line 1", "before", "new store", "nothing was appended"]);
    // The store has the first one already, and the second one is new.
    annals(["append", &store, "--type", "a", "--id", "old"], "").succeeds();
    let old = at("2026-01-05T08:00:00Z").replace("\"a\"", "\"a\",\"id\":\"old\"");
    import(old.clone()).succeeds();
    let new = old.replace("old", "new");
    import(old.clone() + &new).fails(&["line 2", "before", "nothing was appended"]);
    // Another type under an id that the store has.
    annals(["import", &store], at("2026-01-05") + &old.replace("\"a\"", "\"b\"")).fails(&[
        "line 2",
        "the id \"old\"",
        "of the type \"a\", not \"b\"",
        "nothing was appended",
    ]);
    assert_eq!(all(&store).len(), 4);
    let future = dir.at("b.store");
    annals(["import", &future, "--keep-times", "--allow-future-times"], at("9000-01-01"))
        .succeeds();
    assert!(annals(["read", &future], "").succeeds().out.contains("9000-01-01"));
}

fn csv_of_another_program_becomes_events(dir: &TestDir) {
    let store = dir.at("a.store");
    let csv = "\u{feff}trip;bike;ended at;minutes;note\r\n1;17;2026-01-05 09:00;12.50;\"a;\"\"b\"\"\"\r\n2;;2026-01-05T10:00Z;;007\r\n";
    let options = [
        "import",
        &store,
        "--csv",
        "--delimiter",
        ";",
        "--type",
        "trip-ended",
        "--tag",
        "bike:{bike}",
        "--tag",
        "all",
        "--id",
        "trip-{trip}",
        "--time",
        "ended at",
        "--number",
        "minutes",
    ];
    annals(options, csv).succeeds();
    let expected = "{\"time\":\"2026-01-05T09:00:00.000Z\",\"type\":\"trip-ended\",\"tags\":[\"bike:17\",\"all\"],\"data\":{\"trip\":\"1\",\"bike\":\"17\",\
        \"ended at\":\"2026-01-05 09:00\",\"minutes\":12.50,\"note\":\"a;\\\"b\\\"\"},\"id\":\"trip-1\"}\n\
        {\"time\":\"2026-01-05T10:00:00.000Z\",\"type\":\"trip-ended\",\"tags\":[\"all\"],\"data\":{\"trip\":\"2\",\
        \"ended at\":\"2026-01-05T10:00Z\",\"note\":\"007\"},\"id\":\"trip-2\"}\n";
    assert_eq!(annals(["export", &store], "").succeeds().out, expected);
    let again = annals(options, csv).succeeds().lines();
    assert_eq!(again, [json!({"imported": 0, "already": 2})]);
}

fn wrong_csv_imports_nothing(dir: &TestDir) {
    let typed = &["--type", "a"][..];
    for (input, options, words) in [
        (
            &b"type,/n\na,1\nb,\"2\n"[..],
            &[][..],
            &["line 3, column 3", "not closed", "written twice"][..],
        ),
        (b"type,/n\na,\"1\"x\n", &[], &["line 2, column 6", "after the closing quote"]),
        (b"type,/n\na,1\"\n", &[], &["line 2, column 4", "inside a cell"]),
        (b"type,/n\na\n", &[], &["line 2, column 1", "1 cell, and the titles are 2"]),
        (b"type,/n\na,1,2\n", &[], &["line 2, column 1", "3 cells, and the titles are 2"]),
        (
            b"type,/n\na,\xE4\n",
            &[],
            &["line 2, column 3", "0xe4 is not valid UTF-8", "save the file as UTF-8"],
        ),
        (b"\xFF\xFEt\0", &[], &["line 1, column 1", "UTF-16"]),
        (b"t\0y\0p\0e\0\n\0", &[], &["line 1, column 1", "UTF-16", "save the file as UTF-8"]),
        (b"a\0,\0b\0\n\0", typed, &["line 1, column 1", "UTF-16", "save the file as UTF-8"]),
        (b"type;/n\na;1\n", &[], &["unknown title \"type;/n\"", "--delimiter"]),
        (
            b"type,amount\na,1\n",
            &[],
            &["line 1, column 6", "unknown title \"amount\"", "/NAME", "--type"],
        ),
        (b"/n\n1\n", &[], &["no title \"type\"", "--type"]),
        (b"type,/n,/n\na,1,2\n", &[], &["line 1, column 9", "given twice"]),
        (b"type,/n\n,1\n", &[], &["line 2, column 1", "empty"]),
        (b"type,/n\na,{x\n", &[], &["line 2, column 3", "not valid JSON"]),
        (b"type,data,/n\na,1,1\n", &[], &["line 2", "several forms"]),
        (b"type,time\na,noon\n", &[], &["line 2, column 3", "\"noon\" is not a time", "RFC 3339"]),
        (
            b"type,time\na,1969-12-31T23:59:59Z\n",
            &[],
            &["line 2, column 3", "a time before 1970", "without the times"],
        ),
        (b"type,data_base64\na,!\n", &[], &["line 2, column 3", "base64"]),
        (b"type,tags\na,[1]\n", &[], &["line 2, column 3", "tags"]),
        (b"type,metadata\na,x\n", &[], &["line 2, column 3", "metadata"]),
        (
            b"a;b\n1;2\n",
            &["--type", "a", "--tag", "x:{a}"],
            &["--tag names a column \"a\"", "--delimiter"],
        ),
        (b"a,a\n1,2\n", typed, &["line 1, column 3", "given twice"]),
        (b"a,\n1,2\n", typed, &["line 1, column 3", "no title"]),
        (
            b"a\nx\n",
            &["--type", "a", "--number", "a"],
            &["line 2, column 1", "\"x\" is not a number"],
        ),
        (b"a\nx\n", &["--type", "a", "--time", "a"], &["line 2, column 1", "is not a time"]),
        (
            b"a\n1767225600\n",
            &["--type", "a", "--time", "a"],
            &["line 2, column 1", "is a number", "RFC 3339"],
        ),
        (
            b"a\nx\n",
            &["--type", "a", "--time", "b"],
            &["--time names a column \"b\"", "the titles are a"],
        ),
    ] {
        let store = dir.at("new.store");
        let words = [words, &["nothing was appended"]].concat();
        annals([&["import", &store, "--csv"], options].concat(), input).fails(&words);
        assert!(!dir.path("new.store").exists(), "{words:?}");
    }
}

fn wrong_options_for_csv_are_refused(dir: &TestDir) {
    let store = dir.at("new.store");
    for (options, right) in [
        (&["--type", "a"][..], "--csv"),
        (&["--csv", "--tag", "x"], "--type"),
        (&["--csv", "--type", "a", "--tag", "x:{a"], "a brace is not closed"),
        (&["--csv", "--delimiter", "ab"], "one ASCII character"),
        (&["--csv", "--type", "a", "--keep-times"], "--time COLUMN"),
        (&["--delimiter", ";"], "--csv"),
    ] {
        annals([&["import", &store], options].concat(), "").complains(&[right]);
    }
}

/// The format of the input is not the one that the options name: the error names the option.
#[test]
fn the_other_format_is_recognised() {
    let dir = TestDir::new();
    let store = dir.arg("new.store");
    for input in ["type,/n\na,1\n", "\u{feff}type;n\n", "\"type\",\"/n\"\n", "1,2\n"] {
        let words = &["line 1", "import it with --csv: `annals import STORE FILE --csv`"];
        annals(["import", &store], input).fails(words);
        annals(["append", &store], input).fails(words);
    }
    for input in [
        &b"{\"type\":\"a\"\n"[..],
        b"\xEF\xBB\xBF{}\n",
        b"{\"type\":\"a\"}\ntype\n",
        b"\xFF\xFE{\0",
    ] {
        let error = annals(["import", &store], input).fails(&["line "]).err;
        assert!(!error.contains("--csv"), "{error}");
    }
    let lines = "{\"type\":\"a\",\"data\":1}\n";
    annals(["import", &store, "--csv"], lines).fails(&["line 1, column 1", "omit --csv", "--type"]);
    annals(["import", &store, "--csv", "--type", "a"], "{a}\n1\n").succeeds();
}

#[test]
fn an_error_lists_no_more_titles_than_a_terminal_shows() {
    let dir = TestDir::new();
    let titles: Vec<String> = (0..5_000).map(|at| format!("c{at}")).collect();
    let import = ["import", &dir.arg("a.store"), "--csv", "--type", "a", "--id", "{d}"];
    let error = annals(import, titles.join(",") + "\n").fails(&["c0, c1, c2", "and 4970 more"]).err;
    assert!(error.len() < 500, "{error}");
}

#[test]
fn a_cell_of_100_mb_is_refused() {
    let dir = TestDir::new();
    let store = dir.arg("new.store");
    for (start, words) in [
        ("type,/n\na,", ["line 2, column 1", "64 MiB"]),
        ("type,/n\na,\"", ["line 2, column 3", "a quote that is not closed"]),
    ] {
        let input = start.to_owned() + &"x".repeat(100 << 20);
        annals(["import", &store, "--csv"], &input).fails(&words);
        assert!(!dir.path("new.store").exists());
    }
    // More than an event can have, but less than a row can have.
    let input = "type,/n\na,".to_owned() + &"x".repeat(17 << 20);
    annals(["import", &store, "--csv"], &input).fails(&["line 2", "16777216"]);
}

fn input_without_events_creates_no_store(dir: &TestDir) {
    let (none, some) = (dir.at("a.store"), dir.store("b.store", &line(0)));
    for (options, input) in [
        (&[][..], ""),
        (&[], "\n\n"),
        (&["--csv"], ""),
        (&["--csv"], "type,/n\n"),
        (&["--csv", "--type", "a"], ""),
        (&["--csv", "--type", "a"], "n\r\n"),
    ] {
        for (store, note) in [
            (&none, "the input has no events; no store was created"),
            (&some, "the input has no events"),
        ] {
            let done = annals([&["import", store], options].concat(), input);
            assert_eq!(done.lines(), [json!({"imported": 0})]);
            done.notes(&[note]);
        }
        assert!(!dir.path("a.store").exists(), "{options:?}");
    }
    assert_eq!(all(&some).len(), 1);
}

#[test]
fn what_is_not_a_file_is_refused() {
    let dir = TestDir::new();
    let store = dir.store("a.store", &line(0));
    let directory = dir.arg("");
    annals(["import", &store, &directory], "").fails(&["is a directory", "give a file"]);
    annals(["import", &store, &dir.arg("nothing")], "").fails(&["cannot read", "check the path"]);
    annals_with_file(["import", &store], &dir.path("")).fails(&["the input is a directory"]);
    annals(["append", &store, "--type", "a", "--data", &format!("@{directory}")], "")
        .fails(&["is a directory"]);
    assert_eq!(all(&store).len(), 1);
}

/// The first signal ends it, although more input could come.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_while_input_comes_imports_nothing() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let mut import = Running::start(["import", &store]);
    import.say(&line(0));
    import.wait_until_it_handles_signals();
    import.signal("-INT");
    assert_eq!(import.code(), Some(1));
    let text = import.complaints();
    assert!(text.contains("interrupted") && text.contains("nothing was appended"), "{text}");
    assert!(!dir.path("a.store").exists());
}
