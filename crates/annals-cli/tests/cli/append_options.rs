//! The options of `annals append`: one event, whether the store may be created, the wait for the lock; and signals.

use serde_json::json;

use crate::harness::{Running, TestDir, all, annals, line, on_every_backend};

on_every_backend!(
    one_event_is_described_by_options,
    a_created_store_is_said_once,
    a_store_is_not_created_unless_permitted,
    a_locked_store_can_be_waited_for,
    other_commands_that_write_wait_for_the_lock_as_well,
);

fn one_event_is_described_by_options(dir: &TestDir) {
    let store = dir.store("a.store", "");
    let append = |args: &[&str]| {
        annals([&["append", &store, "--type", "book-lent"], args].concat(), "not read")
    };
    let done = append(&[
        "-t",
        "book:17",
        "--tag",
        "all",
        "--data",
        "{\"days\": 28}",
        "--id",
        "1",
        "--metadata",
        "user=a=b",
    ]);
    assert_eq!(
        done.succeeds().lines(),
        [json!({"first": 0, "last": 0}), json!({"appended": 1, "first": 0, "last": 0})]
    );
    assert_eq!(
        append(&["--id", "1"]).succeeds().lines()[0],
        json!({"first": 0, "last": 0, "already": true})
    );
    let empty = append(&["--tag", ""]).complains(&["the tag is empty"]);
    assert!(!empty.err.contains("query"), "{}", empty.err);
    append(&["--data", "-7"]).succeeds();
    append(&[]).succeeds();
    let file = dir.arg("bytes");
    std::fs::write(&file, b"\0\xFF").unwrap();
    append(&["--data", &format!("@{file}")]).succeeds();
    annals(["append", &store, "--type", "a", "-d", "@-"], "from input").succeeds();
    assert_eq!(
        all(&store),
        [
            r#"{"type":"book-lent","tags":["book:17","all"],"data":{"days":28},"id":"1","metadata":{"user":"a=b"}}"#,
            r#"{"type":"book-lent","data":-7}"#,
            r#"{"type":"book-lent"}"#,
            r#"{"type":"book-lent","data_base64":"AP8="}"#,
            r#"{"type":"a","data_base64":"ZnJvbSBpbnB1dA=="}"#,
        ]
    );
    append(&["--data", "{days:28}"]).complains(&["--data, column 2", "not valid JSON", "@FILE"]);
    append(&["--data", "1,\"tags\":[\"x\"]"])
        .complains(&["--data, column 1", "not one JSON value"]);
    append(&["--data", "1 2"]).complains(&["--data, column 3"]);
    append(&["--data", "{\"n\":1"])
        .complains(&["--data, column 7: not valid JSON", "ends too early"]);
    append(&["--data", ""]).complains(&["--data, column 1"]);
    append(&["--data", "@nothing-here"]).fails(&["cannot read nothing-here", "check the path"]);
    append(&["--metadata", "user"]).complains(&["NAME=TEXT"]);
    append(&["--tag", ""]).complains(&["--tag", "empty"]);
    append(&["--batch", "5"]).complains(&["--batch"]);
    let other =
        annals(["append", &store, "--type", "other", "--id", "1"], "").fails(&["another id"]);
    assert!(!other.err.contains("line"), "{other:?}");
    annals(["append", &store, "--tag", "x"], "").complains(&["--type"]);
    assert_eq!(all(&store).len(), 5);
}

fn a_created_store_is_said_once(dir: &TestDir) {
    let store = dir.at("a.store");
    let created = format!("created {store}");
    let options = &["append", &store, "--batch", "1"];
    annals(*options, line(0) + "\n" + &line(1)).notes(&[&created]);
    annals(*options, line(2)).notes(&[]);
    annals(["append", &dir.at("b.store"), "--type", "a", "--quiet"], "").notes(&[]);
    annals(["append", &dir.at("c.store")], "").notes(&[&format!("created {}", dir.at("c.store"))]);
    let refused =
        annals(["append", &dir.at("d.store")], "nonsense").fails(&["nothing was appended"]);
    assert!(!refused.err.contains("created"), "{refused:?}");
}

fn a_store_is_not_created_unless_permitted(dir: &TestDir) {
    for command in ["append", "import"] {
        let store = dir.at("a.store");
        annals([command, &store, "--create=never"], line(0))
            .fails(&["there is no store at", "--create=never"]);
        assert!(!dir.path("a.store").exists());
    }
    let store = dir.store("a.store", &line(0));
    annals(["append", &store, "--create=never"], line(1)).succeeds();
    assert_eq!(all(&store).len(), 2);
    annals(["append", &store, "--create=maybe"], "").complains(&["auto", "never"]);
}

fn a_locked_store_can_be_waited_for(dir: &TestDir) {
    let store = dir.store("a.store", &line(0));
    let mut writer = Running::start(["append", &store]);
    writer.say(&line(1));
    writer.hear();
    annals(["append", &store], line(2)).fails(&["open for writing", "--wait"]);
    annals(["append", &store, "--wait=1ms"], line(2)).fails(&["open for writing"]);
    annals(["append", &store, "--wait=1"], line(2)).complains(&["500ms"]);
    let mut waiting = Running::start(["append", &store, "--wait"]);
    waiting.say(&line(2));
    waiting.end_input();
    let mut complaints = std::io::BufReader::new(waiting.child.stderr.take().unwrap());
    let mut note = String::new();
    std::io::BufRead::read_line(&mut complaints, &mut note).unwrap();
    assert!(note.contains("open for writing") && note.ends_with("waiting\n"), "{note}");
    writer.end_input();
    assert_eq!(waiting.hear()["first"], 2);
    assert_eq!((waiting.hear()["appended"].clone(), waiting.code()), (1.into(), Some(0)));
}

fn other_commands_that_write_wait_for_the_lock_as_well(dir: &TestDir) {
    let known = r#"{"type":"a","id":"1"}"#;
    let from = dir.store("from.store", known);
    let to = dir.at("to.store");
    annals(["copy", &from, &to], "").succeeds();
    let key = dir.arg("log.key");
    annals(["key", "example.com/log", "--out", &key], "").succeeds();
    let input = dir.arg("known.jsonl");
    std::fs::write(&input, known).unwrap();
    for command in
        [&["copy", &from, &to][..], &["import", &to, &input], &["checkpoint", &to, "--key", &key]]
    {
        let mut writer = Running::start(["append", &to]);
        // The store has this event, so nothing is appended, and the copy stays a copy.
        writer.say(known);
        assert_eq!(writer.hear()["already"], true);
        annals([command, &["--wait=1ms"]].concat(), "").fails(&["open for writing", "--wait"]);
        let mut waiting = Running::start([command, &["--wait"]].concat());
        let mut complaints = std::io::BufReader::new(waiting.child.stderr.take().unwrap());
        let mut note = String::new();
        std::io::BufRead::read_line(&mut complaints, &mut note).unwrap();
        assert!(note.contains("open for writing") && note.ends_with("waiting\n"), "{note}");
        writer.end_input();
        assert_eq!(waiting.code(), Some(0));
    }
    annals(["checkpoint", &dir.at("none.store"), "--key", &key], "")
        .fails(&["there is no store at", "check the path"]);
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_a_summary_of_what_is_durable() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    for signal in ["-INT", "-TERM"] {
        let before = u64::from(signal == "-TERM");
        let mut append = Running::start(["append", &store]);
        append.say(&line(before));
        assert_eq!(append.hear()["last"], before);
        append.signal(signal);
        assert_eq!(append.hear(), json!({"appended": 1, "first": before, "last": before}));
        assert_eq!(append.code(), Some(1));
        let complaints = append.complaints();
        assert!(
            complaints
                .contains("annals: interrupted\n  the lines up to 1 are appended, none from 2 on"),
            "{complaints}"
        );
        assert_eq!(all(&store).len() as u64, before + 1);
    }
}
