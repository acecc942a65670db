//! `annals count`, and the order and number of rows of `tags` and `types`.

use serde_json::json;

use crate::harness::{TestDir, annals, lines, on_every_backend};

on_every_backend!(events_are_counted_in_groups, tags_are_sorted_limited_and_grouped,);

fn events_are_counted_in_groups(dir: &TestDir) {
    let store = dir.at("a.store");
    let line = |time: &str, rest: &str| format!("{{\"time\":\"2026-01-0{time}Z\",{rest}}}\n");
    let input = [
        line("1T10:20:00", r#""type":"a","tags":["bike:1","bike:2","all"]"#),
        line("1T10:50:00", r#""type":"b","tags":["bike:1"]"#),
        line("1T12:00:00", r#""type":"b""#),
        line("3T00:00:00", r#""type":"b","tags":["shop:1"]"#),
    ];
    annals(["import", &store, "--keep-times"], input.concat()).succeeds();
    let count = |args: &[&str]| annals([&["count", &store], args].concat(), "").succeeds().lines();
    assert_eq!(count(&[]), [json!({"count": 4})]);
    assert_eq!(count(&["--from", "1", "--to", "3"]), [json!({"count": 2})]);
    assert_eq!(
        count(&["--by", "type"]),
        [json!({"type": "b", "count": 3}), json!({"type": "a", "count": 1})]
    );
    assert_eq!(
        count(&["--by", "tag-prefix"]),
        [
            json!({"prefix": "bike:", "count": 2}),
            json!({"prefix": "", "count": 1}),
            json!({"prefix": "shop:", "count": 1}),
        ]
    );
    assert_eq!(
        count(&["--by", "day"]),
        [
            json!({"day": "2026-01-01", "count": 3}),
            json!({"day": "2026-01-02", "count": 0}),
            json!({"day": "2026-01-03", "count": 1}),
        ]
    );
    let hours = count(&["--by", "hour", "--until", "2026-01-02"]);
    assert_eq!(hours.len(), 3);
    assert_eq!(hours[0], json!({"hour": "2026-01-01T10:00Z", "count": 2}));
    let table = annals(["count", &store, "--by", "type", "-f", "table"], "").succeeds().out;
    assert_eq!(table, "      EVENTS  TYPE\n           3  b\n           1  a\n");
    let total = annals(["count", &store, "-f", "table"], "").succeeds().out;
    assert_eq!(total, "4 events\n");
}

fn tags_are_sorted_limited_and_grouped(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..33));
    let tags = |args: &[&str]| annals([&["tags", &store], args].concat(), "").succeeds().lines();
    assert_eq!(
        tags(&["--sort", "count", "--limit", "2"]),
        [json!({"tag": "all", "count": 33}), json!({"tag": "digit:0", "count": 4})]
    );
    assert_eq!(tags(&["-n", "1"]), [json!({"tag": "all", "count": 33})]);
    assert_eq!(
        tags(&["--by", "prefix"]),
        [
            json!({"prefix": "", "count": 33, "tags": 1}),
            json!({"prefix": "digit:", "count": 33, "tags": 10}),
        ]
    );
    assert_eq!(tags(&["--prefix", "digit:", "--by", "prefix"]).len(), 1);
    let types = annals(["types", &store, "--sort", "count", "-n", "1"], "").succeeds().lines();
    assert_eq!(types, [json!({"type": "type-0", "count": 11})]);
}
