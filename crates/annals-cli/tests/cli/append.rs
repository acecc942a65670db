//! `annals append` with valid input.

use serde_json::json;

use crate::harness::{
    Running, TestDir, all, annals, annals_with_file, as_given, line, lines, on_every_backend,
};

on_every_backend!(
    every_batch_is_reported_and_the_sum_at_the_end,
    nothing_to_append_creates_the_store_and_says_so,
    data_comes_back_byte_for_byte_but_for_white_space_between_tokens,
    a_line_fed_by_hand_is_reported_at_once,
    ids_make_it_safe_to_append_again,
    if_none_appends_only_what_was_not_there,
    with_if_none_the_input_is_one_batch_however_slowly_it_comes,
    buffered_appends_are_there_as_well,
    the_largest_data_works_and_one_byte_more_does_not,
    reports_that_nobody_reads_do_not_stop_it,
    the_sample_log_in_the_repository_reads_back,
);

fn every_batch_is_reported_and_the_sum_at_the_end(dir: &TestDir) {
    let (store, input) = (dir.at("a.store"), dir.path("input"));
    std::fs::write(&input, lines(0..25)).unwrap();
    let run = annals_with_file(["append", &store, "--batch", "10"], &input).succeeds();
    assert_eq!(
        run.out,
        "{\"first\":0,\"last\":9}\n{\"first\":10,\"last\":19}\n{\"first\":20,\"last\":24}\n{\"appended\":25,\"first\":0,\"last\":24}\n"
    );
    let run = annals_with_file(["append", &store], &input).succeeds();
    assert_eq!(run.out, "{\"first\":25,\"last\":49}\n{\"appended\":25,\"first\":25,\"last\":49}\n");
    let expected: Vec<String> =
        lines(0..25).lines().chain(lines(0..25).lines()).map(str::to_owned).collect();
    assert_eq!(all(&store), expected);
}

fn nothing_to_append_creates_the_store_and_says_so(dir: &TestDir) {
    let store = dir.at("a.store");
    assert_eq!(annals(["append", &store], "").succeeds().out, "{\"appended\":0}\n");
    assert_eq!(annals(["append", &store], "\n \t\r\n\n").succeeds().out, "{\"appended\":0}\n");
    assert_eq!(annals(["read", &store], "").succeeds().out, "");
}

fn data_comes_back_byte_for_byte_but_for_white_space_between_tokens(dir: &TestDir) {
    let store = dir.at("a.store");
    let given = [
        r#"{"type":"numbers","data":[1.0e5,-0,1E400,123456789012345678901234567890]}"#,
        r#"{"type":"keys","data":{"z":1,"a":2,"z":3}}"#,
        r#"{"type":"escapes","data":"\u00e4ä\/\ud83d\ude00\u0000 a  b"}"#,
        r#"{"type":"null","data":null}"#,
        r#"{"type":"absent"}"#,
        r#"{"type":"bytes","data_base64":"AP/+"}"#,
        r#"{"type":"ünï","tags":["ä:1","b"],"data":{},"id":"i-1","metadata":{"a":"x\ny","b":""}}"#,
    ];
    annals(["append", &store], given.join("\r\n")).succeeds();
    assert_eq!(all(&store), given);
    let spaced = "{ \"data\" : [ 1 ,\t{ \"a b\" : \" c \" } ] , \"type\" : \"spaced\" }";
    annals(["append", &store], spaced).succeeds();
    assert_eq!(all(&store)[7], r#"{"type":"spaced","data":[1,{"a b":" c "}]}"#);
}

fn a_line_fed_by_hand_is_reported_at_once(dir: &TestDir) {
    let mut append = Running::start(["append", &dir.at("a.store")]);
    for n in 0..20 {
        append.say(&line(n));
        assert_eq!(append.hear(), json!({"first": n, "last": n}));
    }
    append.end_input();
    assert_eq!(append.hear(), json!({"appended": 20, "first": 0, "last": 19}));
    assert_eq!(append.code(), Some(0));
}

fn ids_make_it_safe_to_append_again(dir: &TestDir) {
    let given = "{\"type\":\"a\",\"id\":\"1\"}\n{\"type\":\"a\",\"id\":\"2\"}\n";
    let store = dir.store("a.store", given);
    let again = annals(["append", &store], given).succeeds();
    assert_eq!(
        again.out,
        "{\"first\":0,\"last\":1,\"already\":true}\n{\"appended\":0,\"already\":2}\n"
    );
    annals(["append", &store], "{\"type\":\"b\",\"id\":\"2\"}\n").fails(&[
        "line 1",
        "\"2\"",
        "offset 1",
        "another id",
    ]);
    let new = "{\"type\":\"a\",\"id\":\"2\"}\n{\"type\":\"a\",\"id\":\"3\"}\n";
    // A batch with a condition is appended completely or not at all.
    annals(["append", &store, "--if-none", "b"], new).fails(&[
        "line 1",
        "--if-none",
        "only the new lines",
        "nothing was appended",
    ]);
    annals(["append", &store], new).succeeds();
    assert_eq!(all(&store).len(), 3);
}

fn if_none_appends_only_what_was_not_there(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..3));
    let sold = "{\"type\":\"seat-sold\",\"tags\":[\"seat:12A\"]}\n{\"type\":\"seat-paid\"}\n";
    let args = ["append", "--if-none", "no-such-type", "--if-none", "seat:12A", &store];
    assert_eq!(
        annals(args, sold).succeeds().out,
        "{\"first\":3,\"last\":4}\n{\"appended\":2,\"first\":3,\"last\":4}\n"
    );
    let words = ["nothing appended", "offset 3", "seat:12A", "annals get"];
    assert_eq!(annals(args, sold).fails(&words).out, "");
    annals(["append", "--if-none", "seat-paid", &store], sold).fails(&["offset 4"]);
    annals(["append", &store, "--if-none", "a", "b"], sold).complains(&["'b'"]);
    assert_eq!(all(&store).len(), 5);
}

fn with_if_none_the_input_is_one_batch_however_slowly_it_comes(dir: &TestDir) {
    let store = dir.store("a.store", "");
    let mut append = Running::start(["append", &store, "--if-none", "all"]);
    append.say(&line(0));
    append.say(&line(1));
    append.end_input();
    assert_eq!(append.hear(), json!({"first": 0, "last": 1}));
    assert_eq!((append.hear()["appended"].as_u64(), append.code()), (Some(2), Some(0)));
    let many = "{\"type\":\"a\"}\n".repeat(65_537);
    annals(["append", &store, "--if-none", "none"], &many).fails(&["line 65537", "65536 events"]);
    annals(["append", &store, "--if-none", "a", "--batch", "2"], "").complains(&["--batch"]);
}

fn buffered_appends_are_there_as_well(dir: &TestDir) {
    let store = dir.at("a.store");
    annals(["append", &store, "--durability", "buffered"], lines(0..100)).succeeds();
    assert_eq!(all(&store).len(), 100);
}

fn the_largest_data_works_and_one_byte_more_does_not(dir: &TestDir) {
    let store = dir.at("a.store");
    let of =
        |bytes: usize| format!("{{\"type\":\"large\",\"data\":\"{}\"}}", "x".repeat(bytes - 2));
    // Several large events, so that a batch ends because of its size.
    let input = [of(16 << 20), of(16 << 20), of(16 << 20), line(0)].join("\n");
    annals(["append", &store], &input).succeeds();
    let read = annals(["read", &store], "").succeeds();
    assert!(read.out.lines().map(as_given).eq(input.lines().map(str::to_owned)));
    let too_large = annals(["append", &store], of((16 << 20) + 1));
    too_large.fails(&["line 1, column 24", "16777217"]);
    assert_eq!(annals(["read", &store, "--from", "4"], "").succeeds().out, "");
}

fn reports_that_nobody_reads_do_not_stop_it(dir: &TestDir) {
    let store = dir.at("a.store");
    let mut append = Running::start(["append", &store, "--batch", "1"]);
    let mut input = append.input.take().unwrap();
    append.turn_away();
    std::io::Write::write_all(&mut input, lines(0..100).as_bytes()).unwrap();
    drop(input);
    assert_eq!(append.code(), Some(0));
    assert_eq!(all(&store).len(), 100);
}

fn the_sample_log_in_the_repository_reads_back(dir: &TestDir) {
    let sample = std::path::Path::new("../../docs/sample.jsonl");
    let store = dir.at("a.store");
    annals_with_file(["append", &store], sample).succeeds();
    let sample = std::fs::read_to_string(sample).unwrap();
    assert_eq!(all(&store), sample.lines().collect::<Vec<_>>());
    // Only one of the events has an id.
    let again = annals(["append", &store], &sample).succeeds();
    assert_eq!(
        again.lines().pop().unwrap(),
        json!({"appended": 19, "first": 20, "last": 38, "already": 1})
    );
    assert_eq!(all(&store).len(), 39);
}
