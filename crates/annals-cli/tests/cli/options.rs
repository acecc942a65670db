//! The options of every command, the texts about the command itself, and the style of errors.

use crate::harness::{TestDir, annals, command, finish, lines, store_of_segments};

#[test]
fn wrong_usage_has_the_style_of_all_errors() {
    let run = annals(["read", "a.store", "--revers"], "").complains(&[
        "annals: unexpected argument '--revers' found\n  a similar argument exists: '--reverse'\n  usage: annals read",
    ]);
    assert!(!run.err.contains('\u{1b}'), "{run:?}");
    let run = annals(["--color", "always", "reed"], "")
        .complains(&["\u{1b}[1;31mannals:\u{1b}[0m unrecognized"]);
    assert!(run.err.contains("'read'"), "{run:?}");
    let dir = TestDir::new();
    annals(["read", &dir.arg("no.store"), "--color=always"], "")
        .fails(&["\u{1b}[1;31mannals:\u{1b}[0m "]);
    annals(["read", &dir.arg("no.store"), "-q", "-v"], "").complains(&["--quiet", "--verbose"]);
    annals(["tags", "a.store", "--format", "csv"], "")
        .complains(&["only `annals export` prints CSV"]);
    annals(["export", "a.store", "--format", "table"], "")
        .complains(&["`annals read` prints tables"]);
    annals(["read", "a.store", "--wide", "-f", "jsonl"], "").complains(&["forms of the table"]);
    annals(["read", "a.store", "--color", "sometimes"], "").complains(&["auto", "always", "never"]);
}

#[test]
fn colours_are_for_tables_and_only_on_request() {
    let dir = TestDir::new();
    let store = dir.store("a.store", &lines(0..3));
    for args in [&["read"][..], &["read", "--vertical"], &["tags"], &["count", "--by", "type"]] {
        let run = |more: &[&str]| {
            annals([&args[..1], &[&*store], &args[1..], more].concat(), "").succeeds().out
        };
        assert!(!run(&["-f", "table"]).contains('\u{1b}'));
        assert!(run(&["-f", "table", "--color", "always"]).contains("\u{1b}["));
        if !args.contains(&"--vertical") {
            assert!(!run(&["-f", "jsonl", "--color", "always"]).contains('\u{1b}'));
        }
    }
}

#[test]
fn a_table_has_wide_and_vertical_forms() {
    let dir = TestDir::new();
    let line = "{\"type\":\"a\",\"tags\":[\"x:1\"],\"data\":{\"n\":1},\"id\":\"id-1\",\"metadata\":{\"user\":\"eve\"}}\n";
    let store = dir.store("a.store", line);
    let wide = annals(["read", &store, "--wide"], "").succeeds().out;
    assert!(wide.starts_with("OFFSET  TIME") && wide.contains("  id-1  {\"n\":1}\n"), "{wide}");
    assert!(wide.lines().nth(1).unwrap().contains("Z  a "), "{wide}");
    let vertical = annals(["read", &store, "--vertical"], "").succeeds().out;
    for field in [
        "offset    0\n",
        "tags      x:1\n",
        "id        id-1\n",
        "metadata  user=eve\n",
        "data      {\"n\":1}\n",
    ] {
        assert!(vertical.contains(field), "{vertical}");
    }
}

#[test]
fn the_environment_names_the_store() {
    let dir = TestDir::new();
    let store = dir.store("a.store", &lines(0..5));
    let run = |args: &[&str]| {
        let mut command = command(args.iter().copied());
        finish(command.env("ANNALS_STORE", &store).spawn().unwrap())
    };
    assert_eq!(run(&["read", "-n", "1"]).succeeds().offsets(), [0]);
    assert_eq!(run(&["get", "3", "4", "-f", "jsonl"]).succeeds().offsets(), [3, 4]);
    assert_eq!(run(&["count"]).succeeds().lines()[0]["count"], 5);
    run(&["consumers"]).succeeds();
    // An argument is stronger than the environment.
    let other = dir.store("b.store", &lines(0..1));
    assert_eq!(run(&["count", &other]).succeeds().lines()[0]["count"], 1);
    assert_eq!(run(&["get", &other, "0", "-f", "jsonl"]).succeeds().offsets(), [0]);
    // A single argument is the one after the store.
    std::fs::write(dir.path("more.jsonl"), lines(5..6)).unwrap();
    run(&["import", &dir.at("more.jsonl")]).succeeds();
    assert_eq!(run(&["count"]).succeeds().lines()[0]["count"], 6);
    run(&["import", &dir.at("typo.jsonl")]).fails(&["cannot read", "typo.jsonl"]);
    assert!(!dir.path("typo.jsonl").exists(), "no store was created");
    run(&["consumers", "billing"]).fails(&["billing"]);
    run(&["consumers", "billing", "--reset", "0"]).fails(&["billing"]);
    run(&["consumers", "--delete"]).complains(&["no consumer or group was given", "NAME"]);
    run(&["consumers", &store]).succeeds();
    run(&["publish", &dir.at("out")]).fails(&["no proofs", "sign a first checkpoint"]);
    run(&["prove", "3"]).fails(&["no proofs", "sign a first checkpoint"]);
    run(&["prove", "3", "--content"]).complains(&["--content", "--tag"]);
    run(&["prove", "--tag", "a*"]).complains(&["whole tags"]);
    run(&["publish"]).complains(&["no directory was given", "DIRECTORY"]);
    annals(["get"], "").complains(&["no store was given", "ANNALS_STORE"]);
    annals(["count"], "").complains(&["STORE"]);
}

#[test]
fn verbose_prints_what_the_library_does() {
    let dir = TestDir::new();
    let path = dir.path("a.store");
    store_of_segments(&path, 400);
    let indexes: Vec<_> = std::fs::read_dir(&path)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|end| end == "idx"))
        .collect();
    let store = path.to_str().unwrap();
    for (option, is_said) in [("--quiet", false), ("--verbose", true)] {
        std::fs::remove_file(&indexes[0]).unwrap();
        let run = annals(["append", store, option], "{\"type\":\"a\"}").succeeds();
        let said = run.err.contains("wrote the missing index file of a segment");
        assert_eq!(said, is_said, "{}", run.err);
    }
}

#[test]
fn several_events_are_got_by_offset_or_id() {
    let dir = TestDir::new();
    let line = |n: u32| format!("{{\"type\":\"a\",\"id\":\"order-{n}\"}}\n");
    let store = dir.store("a.store", &[1, 2, 3].map(line).concat());
    let get = |args: &[&str]| annals([&["get", &store, "-f", "jsonl"], args].concat(), "");
    assert_eq!(get(&["2", "0"]).succeeds().offsets(), [2, 0]);
    assert_eq!(get(&["--id", "order-2"]).succeeds().offsets(), [1]);
    assert_eq!(get(&["0", "--id", "order-3"]).succeeds().offsets(), [0, 2]);
    // Nothing is printed if one is missing.
    assert_eq!(get(&["0", "3"]).fails(&["no event at offset 3"]).out, "");
    assert_eq!(get(&["0", "--id", "order-9"]).fails(&["\"order-9\"", "--grep"]).out, "");
    get(&[]).complains(&["OFFSET", "--id"]);
}

#[test]
fn the_version_names_features_and_the_format() {
    let version = annals(["--version"], "").succeeds().out;
    let first = format!("annals {}\nfeatures: ", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&first) && version.ends_with("\nfile format: 1\n"), "{version}");
    assert_eq!(version.contains("rocksdb"), cfg!(feature = "rocksdb"));
    assert_eq!(version.contains("channels"), cfg!(feature = "channels"));
    assert_eq!(version.contains("postgres"), cfg!(feature = "postgres"));
    assert_eq!(
        annals(["-V"], "").succeeds().out,
        format!("annals {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn completions_and_manual_pages_are_printed() {
    for (shell, word) in
        [("bash", "complete"), ("zsh", "#compdef annals"), ("fish", "complete -c annals")]
    {
        let script = annals(["completions", shell], "").succeeds().out;
        assert!(script.contains(word) && script.contains("not-tag"), "{shell}");
    }
    annals(["completions", "tcsh"], "").complains(&["bash", "zsh", "fish"]);
    let page = annals(["man"], "").succeeds().out;
    assert!(page.contains(".TH annals 1") && page.contains("annals\\-append"), "{page}");
    let page = annals(["man", "import"], "").succeeds().out;
    assert!(page.contains("keep\\-times"), "{page}");
    // The lines of an example are not joined, so they can be copied.
    let examples = page.split_once(".SH EXAMPLES\n.nf\n").unwrap().1.split_once("\n.fi").unwrap().0;
    assert!(examples.starts_with("  annals import my.store events.jsonl"), "{page}");
    let page = annals(["man", "get"], "").succeeds().out;
    assert!(page.contains(".nf\n  annals get"), "{page}");
    let page = annals(["man", "record-create"], "").succeeds().out;
    assert!(page.contains("annals\\-record\\-create"), "{page}");
    annals(["man", "nope"], "").complains(&["no command \"nope\"", "append, read"]);
}

#[test]
fn examples_survive_a_narrow_terminal() {
    for name in
        ["append", "read", "tail", "get", "count", "tags", "export", "import", "completions"]
    {
        let run = finish(command([name, "--help"]).env("COLUMNS", "40").spawn().unwrap());
        let help = run.succeeds().out;
        let examples = help.split("Examples:\n").nth(1).unwrap();
        for line in examples.lines().take_while(|line| !line.is_empty()) {
            // Each line begins a command, or continues one.
            assert!(
                line.starts_with("  annals ")
                    || line.starts_with("    ")
                    || line.contains(" | annals")
                    || line.starts_with("  echo"),
                "{line:?}"
            );
        }
        assert!(!help.contains('\u{e000}'), "{help}");
    }
}
