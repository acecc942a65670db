//! The HTTP face as a client uses it.

mod common;

use std::io::{BufRead as _, BufReader, Write as _};

use annals_server::{Limits, Server};
use common::{connect, request, serve};
use serde_json::{Value, json};

const NDJSON: &str = "Content-Type: application/x-ndjson\r\n";

/// Returns lines of this number of events.
fn events(count: u64) -> String {
    let line = |n| {
        let event = json!({ "type": "counted", "tags": [format!("digit:{}", n % 10)], "data": n });
        event.to_string() + "\n"
    };
    (0..count).map(line).collect()
}

#[test]
fn an_append_is_one_batch_in_either_form() {
    let server = serve(Server::in_memory());
    let lines = server.send("POST", "/v1/events", NDJSON, events(3).as_bytes());
    assert_eq!(lines.json(), json!({ "first": 0, "last": 2, "head": 3, "already": false }));
    let body = r#"{"events":[{"type":"a","id":"x","data": {"b" : 1.0}},
        {"type":"b","data_base64":"/wA="}]}"#;
    assert_eq!(server.post("/v1/events", body).json()["last"], 4);
    assert_eq!(server.get("/v1/events/3").json()["data"], json!({ "b": 1.0 }));
    assert_eq!(server.get("/v1/events/4/data").body, b"\xff\x00");
    let once = r#"{"events":[{"type":"a","id":"y"}]}"#;
    assert_eq!(server.post("/v1/events", once).json()["already"], false);
    assert_eq!(server.post("/v1/events", once).json()["already"], true);
    let guarded = |after: u64| {
        format!(
            r#"{{"events":[{{"type":"c"}}],"conditions":[{{"fail_if":[{{"types":["a"]}}],"after":{after}}}]}}"#
        )
    };
    let refused = server.post("/v1/events", &guarded(3));
    assert_eq!((refused.status, refused.problem().as_str()), (409, "conflict"));
    assert_eq!((&refused.json()["offset"], &refused.json()["condition"]), (&json!(3), &json!(0)));
    assert_eq!(server.post("/v1/events", &guarded(6)).status, 200);
    let check = r#"{"events":[],"conditions":[{"fail_if":[{"types":["z"]}]}]}"#;
    assert_eq!(server.post("/v1/events", check).json()["first"], Value::Null);
}

#[test]
fn wrong_input_is_named() {
    let server = serve(Server::in_memory());
    for (body, kind, words) in [
        ("", "invalid-request", "not valid"),
        ("{", "invalid-request", "not valid"),
        (r#"{"events":[]}"#, "invalid-request", "neither"),
        (r#"{"events":[],"condition":[]}"#, "invalid-request", "unknown field `condition`"),
        (r#"{"events":[{"type":"a"},{"typ":"b"}]}"#, "invalid-event", "event 1, column"),
        (r#"{"events":[{"type":""}]}"#, "invalid-event", "empty"),
        (r#"{"events":[{"type":"a","metadata":{"$uuid":"x"}}]}"#, "invalid-event", "reserved"),
        (r#"{"events":[{"type":"a","tags":["$tracking:x"]}]}"#, "invalid-event", "reserved"),
        (r#"{"events":[],"conditions":[{"fail_if":[]}]}"#, "invalid-request", "no items"),
        (
            r#"{"events":[],"conditions":[{"fail_if":[{}],"after":9}]}"#,
            "invalid-request",
            "beyond the head",
        ),
        (
            r#"{"events":[{"type":"a","id":"x"},{"type":"a","id":"x"}]}"#,
            "invalid-event",
            "duplicate id",
        ),
    ] {
        let response = server.post("/v1/events", body);
        let detail = response.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!((response.status, response.problem().as_str()), (400, kind), "{body}");
        assert!(detail.contains(words), "{body}: {detail}");
    }
    let lines = server.send("POST", "/v1/events", NDJSON, b"{\"type\":\"a\"}\n\n{}\n");
    let detail = lines.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("line 3, column") && lines.json()["index"] == 1, "{detail}");
    assert_eq!(server.get("/v1/head").json(), json!({ "head": 0 }), "nothing was appended");
    for (path, status) in [
        ("/v1/events?form=1", 400),
        ("/v1/events?from=-1", 400),
        ("/v1/events?from=1&from=2", 400),
        ("/v1/events?reverse=maybe", 400),
        ("/v1/events?tag=", 400),
        ("/v1/events/x", 400),
        ("/v1/events/18446744073709551616", 400),
        ("/v1/events/0", 404),
        ("/v1/streams/none", 404),
        ("/v1/tags?limit=10001", 400),
        ("/v1/subscribe?from=x", 400),
        ("/nothing", 404),
    ] {
        let response = server.get(path);
        assert_eq!(response.status, status, "{path}: {response:?}");
        assert!(!response.problem().is_empty());
    }
    assert_eq!(server.send("DELETE", "/v1/head", "", b"").problem(), "method");
    let large = vec![b' '; (33 << 20) + 1];
    let large = server.send("POST", "/v1/events", NDJSON, &large);
    assert_eq!((large.status, large.problem().as_str()), (413, "request-too-large"));
}

#[test]
fn reads_filter_turn_and_limit() {
    let server = serve(Server::in_memory());
    server.send("POST", "/v1/events", NDJSON, events(3_000).as_bytes());
    let offsets = |path: &str| -> Vec<u64> {
        let response = server.get(path);
        assert_eq!(response.header("annals-head"), Some("3000"));
        response.lines().iter().map(|line| line["offset"].as_u64().unwrap()).collect()
    };
    assert_eq!(offsets("/v1/events"), (0..3_000).collect::<Vec<_>>());
    assert_eq!(offsets("/v1/events?tag=digit:7&limit=2"), [7, 17]);
    assert_eq!(offsets("/v1/events?tag=digit:7&reverse=true&to=30"), [27, 17, 7]);
    assert_eq!(offsets("/v1/events?type=other&type=counted&from=2998"), [2_998, 2_999]);
    assert_eq!(offsets("/v1/events?tag=digit:1&tag=digit:2"), [] as [u64; 0]);
    assert_eq!(offsets("/v1/events?from=9999"), [] as [u64; 0]);
    let array = server.send("GET", "/v1/events?limit=2", "Accept: application/json\r\n", b"");
    assert_eq!(array.json().as_array().unwrap().len(), 2);
    let all = server.send("GET", "/v1/events", "Accept: application/json\r\n", b"");
    assert_eq!(all.json().as_array().unwrap().len(), 3_000);
    let none = server.send("GET", "/v1/events?type=x", "Accept: application/json\r\n", b"");
    assert_eq!(none.json(), json!([]));
    let many = server.send("GET", "/v1/events?limit=10001", "Accept: application/json\r\n", b"");
    assert_eq!(many.status, 400);
    let body = r#"{"items":[{"tags":["digit:1"]},{"tags":["digit:2"]}],"limit":3}"#;
    let found = server.post("/v1/query", body).lines();
    assert_eq!(found.iter().map(|line| &line["offset"]).collect::<Vec<_>>(), [1, 2, 11]);
    assert_eq!(server.get("/v1/types").json(), json!([{ "type": "counted", "count": 3_000 }]));
    let tags = server.get("/v1/tags?prefix=digit:&after=digit:1&limit=1").json();
    assert_eq!(tags, json!([{ "tag": "digit:2", "count": 300 }]));
    let stream = server.get("/v1/streams/digit:3").json();
    assert_eq!(stream, json!({ "tag": "digit:3", "count": 300, "first": 3, "last": 2_993 }));
    let part = server.send("GET", "/v1/events/1234/data", "Range: bytes=1-2\r\n", b"");
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 1-2/4")));
    assert_eq!(part.body, b"23");
    let none = server.send("GET", "/v1/events/1/data", "Range: bytes=5-\r\n", b"");
    assert_eq!((none.status, none.problem().as_str()), (416, "range"));
}

#[test]
fn a_subscription_resumes_behind_the_last_event_and_ends_with_the_server() {
    let server = serve(Server::in_memory());
    server.send("POST", "/v1/events", NDJSON, events(12).as_bytes());
    let mut stream = connect(server.address);
    stream
        .write_all(&request("GET", "/v1/subscribe?tag=digit:1", "Last-Event-ID: 0\r\n", b""))
        .unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let mut until = |wanted: &str| {
        let mut seen = Vec::new();
        for line in lines.by_ref() {
            if line.starts_with(wanted) {
                return seen;
            }
            seen.push(line);
        }
        panic!("the stream ended: {seen:?}");
    };
    until("id: 1");
    until("id: 11");
    until("event: caught-up");
    assert_eq!(server.get("/v1/stats").json()["subscriptions"][0]["position"], 12);
    server.send("POST", "/v1/events", NDJSON, b"{\"type\":\"a\",\"tags\":[\"digit:1\"]}");
    until("id: 12");
    let data = until("data: ");
    assert_eq!(data, ["event: event"]);
    server.handle.drain();
    // The chunk that ends the body.
    until("0");
}

#[test]
fn the_state_of_the_server_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("a.store");
    let server = serve(Server::open(&store).metrics(|| "annals_x 1\n".into()));
    server.send("POST", "/v1/events", NDJSON, events(5).as_bytes());
    assert_eq!((server.get("/health/live").status, server.get("/health/ready").status), (200, 200));
    assert_eq!(server.get("/metrics").text(), "annals_x 1\n");
    assert_eq!(server.get("/openapi.json").json()["openapi"], "3.1.0");
    let stats = server.get("/v1/stats").json();
    assert_eq!((&stats["events"], &stats["health"]), (&json!(5), &json!("open")));
    let verified = server.post("/v1/verify", "").lines();
    let last = verified.last().unwrap();
    assert_eq!((&last["ok"], &last["events"]), (&json!(true), &json!(5)), "{verified:?}");
    assert_eq!(serve(Server::in_memory()).get("/metrics").status, 404);
}

#[test]
fn large_data_is_kept_byte_for_byte() {
    let server = serve(Server::in_memory().limits(Limits::default().reads(1)));
    let text = "x".repeat((16 << 20) - 2);
    let body = format!("{{\"type\":\"large\",\"data\":\"{text}\"}}");
    let appended = server.send("POST", "/v1/events", NDJSON, body.as_bytes());
    assert_eq!(appended.status, 200, "{appended:?}");
    assert_eq!(server.get("/v1/events/0/data").body.len(), 16 << 20);
}
