//! `export | import` gives the same store: every byte, time and id, through lines of JSON and through CSV.

use std::fs;

use serde_json::json;

use crate::harness::{TestDir, annals, on_every_backend};

on_every_backend!(
    lines_and_csv_keep_every_byte_time_and_id,
    a_part_can_be_exported,
    an_import_can_be_repeated_if_events_have_ids,
    read_lines_can_be_imported_and_appended,
);

/// Returns lines with everything that an event can have, at times of which some are the same.
fn everything() -> String {
    let datas = [
        r#"{"n":1,"text":"7","on":true}"#,
        r#"{"n":2.50e+3,"on":null}"#,
        r#"{"text":"007","n":-1,"on":"true"}"#,
        r#"{"text":"a,\"b\"\nc","empty":""}"#,
        r#"{"nested":{"a":[1,"x"]},"text":"[not a list"}"#,
        r#"{"a/b":1,"a~b":2,"ä":"日本\u0041"}"#,
        r#"{"twice":1,"twice":2}"#,
        "{}",
        "[1,2]",
        "\"text\"",
        "7",
        "null",
        r#"" = 1 + 1""#,
    ];
    let mut lines = String::new();
    for n in 0..400 {
        let data = datas[n % datas.len()];
        let time = format!("2026-01-05T09:{:02}:{:02}.{:03}Z", n / 60, n % 60 / 3 * 3, n / 60 * 7);
        let tags = [r#"["all"]"#, r#"["a b","[c]"]"#, "[]", r#"["x:1","y:2","z"]"#][n % 4];
        let id = if n % 3 == 0 { format!(",\"id\":\"id {n}\"") } else { String::new() };
        let metadata = if n % 5 == 0 {
            ",\"metadata\":{\"user\":\"änna\",\"why\":\"\\\"x\\\"\"}"
        } else {
            ""
        };
        let rest = match n % 20 {
            17 => r#""no, data""#.to_owned(),
            18 => format!(r#""bytes","tags":{tags},"data_base64":"AP8g""#),
            // White space between tokens is kept.
            19 => r#""spaces","data_base64":"eyAiYSI6IDEgfQ==""#.to_owned(),
            _ => format!(r#""type {}","tags":{tags},"data":{data}{id}{metadata}"#, n % 2),
        };
        lines.extend(["{\"time\":\"", &time, "\",\"type\":", &rest, "}\n"]);
    }
    lines.replace(",\"tags\":[]", "")
}

fn lines_and_csv_keep_every_byte_time_and_id(dir: &TestDir) {
    let (first, input) = (dir.at("first"), everything());
    let imported = annals(["import", &first, "--keep-times"], &input).succeeds().lines();
    assert_eq!(imported, [json!({"imported": 400, "first": 0, "last": 399})]);
    let exported = annals(["export", &first], "").succeeds().out;
    assert!(exported == input, "{exported}");
    let csv = annals(["export", &first, "--format", "csv"], "").succeeds().out;
    let titles = "time,type,tags,id,metadata,data,data_base64,/";
    assert!(csv.starts_with(titles), "{}", csv.lines().next().unwrap());
    for (store, options, text) in [("second", &[][..], &exported), ("third", &["--csv"], &csv)] {
        // From a pipe, and from a file.
        let (piped, read) = (dir.at(store), dir.at(&format!("{store}-of-file")));
        annals([&["import", &piped, "--keep-times"], options].concat(), text).succeeds();
        let file = dir.arg("export");
        fs::write(&file, text).unwrap();
        annals([&["import", &read, &file, "--keep-times"], options].concat(), "").succeeds();
        for copy in [piped, read] {
            let again = annals(["export", &copy], "").succeeds().out;
            assert!(again == exported, "{copy}");
            assert!(annals(["export", &copy, "-f", "csv"], "").succeeds().out == csv, "{copy}");
        }
    }
}

fn a_part_can_be_exported(dir: &TestDir) {
    let (first, second) = (dir.at("first"), dir.at("second"));
    annals(["import", &first, "--keep-times"], everything()).succeeds();
    let part = annals(["export", &first, "--from", "100", "-T", "type 1"], "").succeeds().out;
    annals(["import", &second, "--keep-times"], &part).succeeds();
    assert!(annals(["export", &second], "").succeeds().out == part);
    // Without --keep-times the events are recorded now.
    let third = dir.at("third");
    annals(["import", &third], &part).succeeds();
    let events = annals(["read", &third, "--until", "1h"], "").succeeds();
    assert_eq!(events.out, "");
}

fn an_import_can_be_repeated_if_events_have_ids(dir: &TestDir) {
    let line = |n: u32| {
        format!("{{\"time\":\"2026-01-05T09:00:0{n}.000Z\",\"type\":\"a\",\"id\":\"{n}\"}}\n")
    };
    let store = dir.at("a.store");
    let import = |to: u32| {
        let input: String = (0..to).map(line).collect();
        annals(["import", &store, "--keep-times"], input).succeeds().lines()
    };
    assert_eq!(import(3), [json!({"imported": 3, "first": 0, "last": 2})]);
    assert_eq!(import(3), [json!({"imported": 0, "already": 3})]);
    assert_eq!(import(5), [json!({"imported": 2, "first": 3, "last": 4, "already": 3})]);
    assert_eq!(annals(["export", &store], "").succeeds().out, (0..5).map(line).collect::<String>());
}

fn read_lines_can_be_imported_and_appended(dir: &TestDir) {
    let first = dir.at("first");
    annals(["import", &first, "--keep-times"], everything()).succeeds();
    let read = annals(["read", &first, "-T", "type 0"], "").succeeds().out;
    annals(["append", &dir.at("second")], &read).fails(&[
        "line 1, column ",
        "`annals import STORE`",
        "--keep-times",
        "`annals append STORE --reread`",
        "nothing was appended",
    ]);
    let (second, third) = (dir.at("second"), dir.at("third"));
    annals(["import", &second, "--keep-times"], &read).succeeds();
    let expected = annals(["export", &first, "-T", "type 0"], "").succeeds().out;
    assert!(annals(["export", &second], "").succeeds().out == expected);
    annals(["append", &third, "--reread"], &read).succeeds();
    assert_eq!(
        annals(["count", &third], "").succeeds().lines(),
        annals(["count", &second], "").succeeds().lines()
    );
}
