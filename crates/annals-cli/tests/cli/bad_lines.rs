//! Invalid lines: each is refused with its line, its column, the reason, and what would be right.

use crate::harness::{TestDir, all, annals, annals_with_file, line, lines};

/// Appends a valid line and an invalid one, and checks that nothing is appended and that the message contains these
/// words.
#[track_caller]
fn refused(bad: impl AsRef<[u8]>, words: &[&str]) {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let input = [line(0).as_bytes(), b"\n", bad.as_ref(), b"\n"].concat();
    // The input is a file, because from a pipe the valid line may become its own batch.
    std::fs::write(dir.path("input"), input).unwrap();
    let run = annals_with_file(["append", &store], &dir.path("input"));
    let run = run.fails(&["annals: line 2, column "]).fails(words);
    assert_eq!(run.out, "");
    assert!(run.err.contains("nothing was appended"), "{}", run.err);
    // The store was not created either.
    assert!(!dir.path("a.store").exists());
}

#[test]
fn a_line_that_is_not_json() {
    refused("nonsense", &["column 2", "not valid JSON", r#"{"type":"#]);
    refused(r#"{"type":"a""#, &["column 12", "the line ends"]);
    refused(r#"{"type":"a"} {"#, &["column 14", "trailing characters"]);
    refused(r#"{"type":"a","data":[1,]}"#, &["column 23", "not valid JSON"]);
    refused(r#"{"type":"a","data":01}"#, &["not valid JSON"]);
    refused(r#"{"type":'a'}"#, &["column 9", "not valid JSON"]);
    refused("{\"type\":\"a\",\"data\":\"\t\"}", &["column 20", "control character"]);
}

#[test]
fn a_line_that_is_not_an_object() {
    refused("[]", &["expected an object"]);
    refused("7", &["integer `7`", "expected an object"]);
    refused("null", &["expected an object"]);
}

#[test]
fn unknown_missing_and_repeated_fields() {
    refused(
        r#"{"type":"a","price":90}"#,
        &["column 19", "unknown field \"price\"", "type, tags, data"],
    );
    refused(
        r#"{"type":"a","offset":0}"#,
        &["the store assigns the field \"offset\"", "annals import STORE"],
    );
    refused(r#"{"tags":["x"]}"#, &["missing field \"type\""]);
    refused(r#"{"type":"a","type":"a"}"#, &["duplicate field \"type\""]);
    refused(r#"{"type":"a","data":1,"data":1}"#, &["duplicate field \"data\""]);
    refused(
        r#"{"type":"a","metadata":{"x":"1","x":"1"}}"#,
        &["duplicate name \"x\" in \"metadata\""],
    );
    refused(
        r#"{"type":"a","data":1,"data_base64":"AA=="}"#,
        &["both \"data\" and \"data_base64\""],
    );
}

#[test]
fn values_of_the_wrong_type() {
    refused(r#"{"type":1}"#, &["column 9", "integer `1`", "a string for \"type\""]);
    refused(r#"{"type":null}"#, &["null", "a string for \"type\""]);
    refused(r#"{"type":"a","tags":"x"}"#, &["an array of strings for \"tags\""]);
    refused(r#"{"type":"a","tags":["x",1]}"#, &["a string in \"tags\""]);
    refused(r#"{"type":"a","id":1}"#, &["a string for \"id\""]);
    refused(r#"{"type":"a","metadata":["x"]}"#, &["an object of strings for \"metadata\""]);
    refused(r#"{"type":"a","metadata":{"x":1}}"#, &["a string for each name in \"metadata\""]);
    refused(r#"{"type":"a","data_base64":"A"}"#, &["column 27", "not valid base64", "A-Z"]);
}

#[test]
fn names_that_break_a_limit() {
    let long = "x".repeat(256);
    refused(format!("{{\"type\":\"{long}\"}}"), &["column 9", "event type", "256", "255"]);
    refused(
        format!("{{\"type\":\"a\",\"tags\":[\"{long}\"]}}"),
        &["column 20", "tag", "256", "255"],
    );
    refused(format!("{{\"type\":\"a\",\"id\":\"{long}\"}}"), &["column 18", "id", "256", "255"]);
    refused(
        format!("{{\"type\":\"a\",\"metadata\":{{\"{long}\":\"\"}}}}"),
        &["column 24", "metadata name", "256"],
    );
    refused(r#"{"type":""}"#, &["column 9", "event type", "empty", "255"]);
    refused(r#"{"type":"a","tags":["x",""]}"#, &["column 20", "tag", "empty"]);
    refused(r#"{"type":"a\u0000b"}"#, &["column 9", "control character"]);
    refused("{\"type\":\"a\0b\"}", &["column 11", "control character"]);
}

#[test]
fn too_many_of_something() {
    let list = |count: usize| (0..count).map(|n| format!("\"t{n}\"")).collect::<Vec<_>>().join(",");
    refused(format!("{{\"type\":\"a\",\"tags\":[{}]}}", list(65)), &["column 20", "65 tags", "64"]);
    refused(
        format!("{{\"type\":\"a\",\"tags\":[{}]}}", list(300_000)),
        &["more than 4096 tags", "the limit is 64"],
    );
    let entries = (0..65).map(|n| format!("\"m{n}\":\"\"")).collect::<Vec<_>>().join(",");
    refused(
        format!("{{\"type\":\"a\",\"metadata\":{{{entries}}}}}"),
        &["column 24", "65", "metadata", "64"],
    );
    let value = "x".repeat(65_536);
    refused(
        format!("{{\"type\":\"a\",\"metadata\":{{\"m\":\"{value}\"}}}}"),
        &["\"m\"", "65536", "65535"],
    );

    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let one_tag_often = format!("{{\"type\":\"a\",\"tags\":[{}]}}", ["\"t\""; 100].join(","));
    annals(
        ["append", &store],
        format!("{{\"type\":\"a\",\"tags\":[{}]}}\n{one_tag_often}", list(64)),
    )
    .succeeds();
    assert_eq!(all(&store)[1], r#"{"type":"a","tags":["t"]}"#);
}

#[test]
fn invalid_text() {
    refused(r#"{"type":"a","data":["ok","ä\ud800"]}"#, &["column 28", "\\ud800", "both halves"]);
    refused(r#"{"type":"a","data":{"\udc00":1}}"#, &["column 22", "\\udc00"]);
    refused(r#"{"type":"\ud800"}"#, &["column 10", "\\ud800", "half a character"]);
    refused(b"{\"type\":\"\xc3\x28\"}", &["column 10", "0xc3", "UTF-8"]);
    refused(b"{\"type\":\"a\",\"data\":\"\xc3\xa4\xff\"}", &["column 22", "0xff", "UTF-8"]);
}

#[test]
fn byte_order_marks() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let utf8 = ["\u{feff}".as_bytes(), line(0).as_bytes()].concat();
    annals(["append", &store], utf8).fails(&[
        "line 1, column 1",
        "byte order mark",
        "UTF-8 without a byte order mark",
    ]);
    let utf16: Vec<u8> = "\u{feff}{}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    annals(["append", &store], utf16).fails(&[
        "line 1, column 1",
        "UTF-16",
        "save the file as UTF-8",
    ]);
}

#[test]
fn a_line_that_is_too_long() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let endless = vec![b' '; (64 << 20) + 1];
    annals(["append", &store], &endless).fails(&[
        "line 1",
        "67108864 bytes",
        "64 MiB",
        "line feed",
    ]);
    let long_but_allowed = [line(0).as_bytes(), &endless[..(64 << 20) - line(0).len()]].concat();
    annals(["append", &store], long_but_allowed).succeeds();
    assert_eq!(all(&store), [line(0)]);
}

#[test]
fn batches_before_the_invalid_line_stay() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let input = lines(0..25) + "bad\n" + &lines(25..30);
    let file = dir.path("input");
    std::fs::write(&file, &input).unwrap();
    let run = annals_with_file(["append", &store, "--batch", "10"], &file);
    let run = run.fails(&["line 26, column 1", "the lines up to 20 are appended, none from 21 on"]);
    assert_eq!(run.out, "{\"first\":0,\"last\":9}\n{\"first\":10,\"last\":19}\n");
    assert_eq!(all(&store), lines(0..20).lines().collect::<Vec<_>>());
}
