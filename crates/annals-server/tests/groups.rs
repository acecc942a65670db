//! Groups of workers over HTTP: leases, answers, parked events, settings, and what survives the server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use annals::{EventStore, Journal, RawEvent};
use annals_consumer::Consumers as _;
use annals_server::{Limits, Server};
use common::{Response, Served, connect, request, serve};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const JSON: &str = "Content-Type: application/json\r\n";

/// The settings of most tests: keys, and no pauses between attempts.
fn keyed() -> Value {
    json!({ "key": "order:", "first_pause_ms": 0, "max_pause_ms": 0, "deadline_ms": 3_600_000 })
}

fn put(server: &Served, name: &str, body: &Value) -> Response {
    server.send("PUT", &format!("/v1/groups/{name}"), JSON, body.to_string().as_bytes())
}

fn post(server: &Served, path: &str, body: &Value) -> Response {
    server.post(&format!("/v1/groups/{path}"), &body.to_string())
}

/// Appends events, each with one of five orders as its tag.
fn append(server: &Served, count: u64) {
    let event = |n| json!({ "type": "placed", "tags": [format!("order:{}", n % 5)], "data": n });
    let events: Vec<Value> = (0..count).map(event).collect();
    assert_eq!(server.post("/v1/events", &json!({ "events": events }).to_string()).status, 200);
}

/// Returns the deliveries of a pull.
fn pull(server: &Served, group: &str, body: &Value) -> Vec<Value> {
    let response = post(server, &format!("{group}/pull"), body);
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["deliveries"].as_array().unwrap().clone()
}

fn lease(delivery: &Value) -> String {
    delivery["lease"].as_str().unwrap().to_owned()
}

fn status(server: &Served, group: &str) -> Value {
    server.get(&format!("/v1/groups/{group}")).json()
}

/// Waits until the server is stopped and its store closed.
fn stop(server: Served, store: &Path) {
    drop(server);
    while Journal::options().open::<RawEvent>(store).is_err() {
        std::thread::yield_now();
    }
}

/// Waits until this number of pulls wait.
fn until_waiting(server: &Served, wanted: usize) {
    loop {
        let stats = server.get("/v1/stats").json();
        let open = stats["subscriptions"].as_array().unwrap().clone();
        if open.iter().filter(|open| open["face"] == "group").count() == wanted {
            break;
        }
    }
}

#[test]
fn workers_share_the_events_and_keep_the_order_of_each_key() {
    let server = serve(Server::in_memory());
    append(&server, 200);
    assert_eq!(put(&server, "billing", &keyed()).status, 201);
    let seen: Mutex<BTreeMap<String, Vec<u64>>> = Mutex::default();
    std::thread::scope(|scope| {
        for worker in ["a", "b", "c"] {
            let (server, seen) = (&server, &seen);
            scope.spawn(move || {
                loop {
                    let deliveries =
                        pull(server, "billing", &json!({ "worker": worker, "max": 3 }));
                    if deliveries.is_empty() && status(server, "billing")["position"] == 200 {
                        break;
                    }
                    for delivery in &deliveries {
                        let event = &delivery["event"];
                        let key = event["tags"][0].as_str().unwrap().to_owned();
                        let offset = event["offset"].as_u64().unwrap();
                        assert_eq!(
                            (&event["type"], &event["data"]),
                            (&json!("placed"), &json!(offset))
                        );
                        seen.lock().unwrap().entry(key).or_default().push(offset);
                        let done =
                            post(server, "billing/ack", &json!({ "leases": [lease(delivery)] }));
                        assert_eq!(done.json(), json!({ "done": [lease(delivery)], "lost": [] }));
                    }
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 5);
    for offsets in seen.values() {
        assert!(offsets.len() == 40 && offsets.is_sorted(), "{offsets:?}");
    }
    let status = status(&server, "billing");
    assert_eq!(
        (&status["lag"], &status["in_flight"], &status["parked"]),
        (&json!(0), &json!(0), &json!(0))
    );
}

#[test]
fn another_worker_gets_the_event_of_one_that_was_killed() {
    let server = serve(Server::in_memory());
    append(&server, 1);
    put(&server, "billing", &keyed());
    // The worker is never heard of again.
    let killed = pull(&server, "billing", &json!({ "worker": "killed", "deadline_ms": 1_000 }));
    assert_eq!((killed.len(), &killed[0]["attempt"]), (1, &json!(1)));
    assert!(killed[0]["deadline_ms"].is_u64());
    assert!(pull(&server, "billing", &json!({ "worker": "b" })).is_empty());
    // Waits until the lease of the other has run out.
    let again = pull(&server, "billing", &json!({ "worker": "b", "wait_ms": 30_000 }));
    assert_eq!((&again[0]["event"]["offset"], &again[0]["attempt"]), (&json!(0), &json!(2)));
    assert_ne!(lease(&killed[0]), lease(&again[0]));
    let late =
        post(&server, "billing/ack", &json!({ "leases": [lease(&killed[0]), lease(&again[0])] }));
    assert_eq!((late.status, late.problem().as_str()), (409, "lease-lost"));
    let late = late.json();
    assert_eq!((&late["lost"][0], &late["done"][0]), (&killed[0]["lease"], &again[0]["lease"]));
    // The response to an ack may be lost, so it can be repeated.
    assert_eq!(post(&server, "billing/ack", &json!({ "leases": [lease(&again[0])] })).status, 200);
    assert_eq!(status(&server, "billing")["position"], 1);
}

#[test]
fn a_lease_that_is_extended_outlives_its_first_deadline() {
    let server = serve(Server::in_memory());
    append(&server, 2);
    put(&server, "billing", &json!({ "first_pause_ms": 0, "max_pause_ms": 0 }));
    let held = pull(&server, "billing", &json!({ "worker": "a", "max": 2, "deadline_ms": 1_000 }));
    let long = json!({ "leases": [lease(&held[0])], "deadline_ms": 3_600_000 });
    assert_eq!(post(&server, "billing/extend", &long).json()["done"][0], held[0]["lease"]);
    // Returns when the deadline of the lease that was not extended has passed.
    let again = pull(&server, "billing", &json!({ "worker": "b", "max": 2, "wait_ms": 30_000 }));
    assert_eq!((again.len(), &again[0]["event"]["offset"]), (1, &json!(1)));
    assert_eq!(post(&server, "billing/ack", &json!({ "leases": [lease(&held[0])] })).status, 200);
    let lost = json!({ "leases": [lease(&held[1])], "deadline_ms": 1_000 });
    assert_eq!(post(&server, "billing/extend", &lost).problem(), "lease-lost");
}

#[test]
fn what_fails_is_repeated_parked_replayed_and_dropped() {
    let server = serve(Server::in_memory());
    append(&server, 4);
    let settings = json!({ "max_attempts": 2, "first_pause_ms": 0, "max_pause_ms": 0 });
    put(&server, "billing", &settings);
    let answer = |deliveries: &[Value], action: &str| {
        let leases: Vec<String> = deliveries.iter().map(lease).collect();
        let body = json!({ "leases": leases, "action": action, "reason": "no such customer" });
        assert_eq!(post(&server, "billing/nack", &body).status, 200);
    };
    let all = pull(&server, "billing", &json!({ "worker": "a", "max": 9 }));
    answer(&all[..1], "skip");
    answer(&all[1..2], "park");
    answer(&all[2..3], "retry");
    post(&server, "billing/ack", &json!({ "leases": [lease(&all[3])] }));
    let second = pull(&server, "billing", &json!({ "worker": "a", "max": 9 }));
    assert_eq!(
        (second.len(), &second[0]["event"]["offset"], &second[0]["attempt"]),
        (1, &json!(2), &json!(2))
    );
    answer(&second, "retry");
    let parked = server.get("/v1/groups/billing/parked").lines();
    let about: Vec<_> = parked
        .iter()
        .map(|line| (&line["offset"], &line["attempts"], &line["event"]["data"]))
        .collect();
    assert_eq!(about, [(&json!(1), &json!(1), &json!(1)), (&json!(2), &json!(2), &json!(2))]);
    assert_eq!(parked[0]["reason"], "no such customer");
    assert!(parked[0]["parked_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(server.get("/v1/groups/billing/parked?after=1&limit=1").lines()[0]["offset"], 2);
    assert_eq!(status(&server, "billing")["position"], 4);
    let wrong = post(&server, "billing/replay", &json!({ "offsets": [0] }));
    assert_eq!((wrong.problem().as_str(), &wrong.json()["offset"]), ("not-parked", &json!(0)));
    assert_eq!(
        post(&server, "billing/drop", &json!({ "offsets": [2] })).json(),
        json!({ "count": 1 })
    );
    assert_eq!(
        post(&server, "billing/replay", &json!({ "all": true })).json(),
        json!({ "count": 1 })
    );
    let replayed = pull(&server, "billing", &json!({ "worker": "a", "max": 9 }));
    assert_eq!(
        (replayed.len(), &replayed[0]["event"]["offset"], &replayed[0]["attempt"]),
        (1, &json!(1), &json!(1))
    );
    assert_eq!(status(&server, "billing")["parked"], 0);
}

#[test]
fn a_group_is_created_changed_reset_and_deleted() {
    let server = serve(Server::in_memory());
    append(&server, 10);
    let mut wanted = json!({ "query": { "items": [{ "types": ["placed"] }] }, "from": "end" });
    let created = put(&server, "mail", &wanted);
    assert_eq!((created.status, &created.json()["position"]), (201, &json!(10)));
    assert_eq!(created.json()["settings"]["deadline_ms"], 30_000);
    assert_eq!(put(&server, "mail", &wanted).status, 200);
    wanted["deadline_ms"] = 5_000.into();
    let changed = put(&server, "mail", &wanted);
    assert_eq!((changed.status, &changed.json()["settings"]["deadline_ms"]), (200, &json!(5_000)));
    assert_eq!(changed.json()["position"], 10);
    for (field, value) in [("query", json!({ "items": [{}] })), ("key", json!("order:"))] {
        let mut other = wanted.clone();
        other[field] = value;
        let refused = put(&server, "mail", &other);
        assert_eq!((refused.status, refused.problem().as_str()), (409, "group-exists"));
        assert_eq!(refused.json()["field"], field);
    }
    put(&server, "all", &json!({ "from": 3 }));
    let held = pull(&server, "all", &json!({ "worker": "a" }));
    assert_eq!(held[0]["event"]["offset"], 3);
    assert_eq!(post(&server, "all/reset", &json!({ "offset": 9 })).status, 204);
    assert_eq!(
        post(&server, "all/ack", &json!({ "leases": [lease(&held[0])] })).problem(),
        "lease-lost"
    );
    let next = pull(&server, "all", &json!({ "worker": "a" }));
    assert_eq!(next[0]["event"]["offset"], 9);
    assert_eq!(post(&server, "all/reset", &json!({ "offset": 11 })).problem(), "invalid-request");
    let list = server.get("/v1/groups").json();
    let list: Vec<_> =
        list.as_array().unwrap().iter().map(|group| (&group["name"], &group["lag"])).collect();
    assert_eq!(list, [(&json!("all"), &json!(1)), (&json!("mail"), &json!(0))]);
    assert_eq!(server.send("DELETE", "/v1/groups/all", "", b"").status, 204);
    assert_eq!(server.get("/v1/groups/all").problem(), "no-group");
    assert_eq!(server.send("DELETE", "/v1/groups/all", "", b"").problem(), "no-group");
    assert_eq!(post(&server, "all/pull", &json!({ "worker": "a" })).problem(), "no-group");
    assert_eq!(put(&server, "all", &json!({})).json()["position"], 0);
}

#[test]
fn wrong_input_is_named() {
    let server = serve(Server::in_memory());
    put(&server, "g", &json!({}));
    let lease = "0.6c84fb9012c411e1840d7b25c5ee775a.17";
    for (path, body, field) in [
        ("pull", json!({}), None),
        ("pull", json!({ "worker": "" }), Some("worker")),
        ("pull", json!({ "worker": "x".repeat(256) }), Some("worker")),
        ("pull", json!({ "worker": "a", "max": 0 }), Some("max")),
        ("pull", json!({ "worker": "a", "max": 257 }), Some("max")),
        ("pull", json!({ "worker": "a", "max": -1 }), None),
        ("pull", json!({ "worker": "a", "wait_ms": 30_001 }), Some("wait_ms")),
        ("pull", json!({ "worker": "a", "deadline_ms": 999 }), Some("deadline_ms")),
        ("pull", json!({ "worker": "a", "deadline_ms": 3_600_001 }), Some("deadline_ms")),
        ("pull", json!({ "worker": "a", "maximum": 1 }), None),
        ("ack", json!({ "leases": [] }), Some("leases")),
        ("ack", json!({ "leases": ["17"] }), Some("leases")),
        ("ack", json!({ "lease": lease }), None),
        ("nack", json!({ "leases": [lease] }), None),
        ("nack", json!({ "leases": [lease], "action": "ignore" }), Some("action")),
        ("extend", json!({ "leases": [lease], "deadline_ms": 0 }), Some("deadline_ms")),
        ("replay", json!({}), Some("offsets")),
        ("drop", json!({ "offsets": [1], "all": true }), Some("offsets")),
        ("reset", json!({ "offset": -1 }), None),
    ] {
        let refused = post(&server, &format!("g/{path}"), &body);
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (400, "invalid-request"),
            "{path} {body}"
        );
        assert_eq!(refused.json().get("field").and_then(Value::as_str), field, "{path} {body}");
    }
    for (body, field) in [
        (json!({ "max_attempts": 0 }), Some("max_attempts")),
        (json!({ "max_in_flight": 0 }), Some("max_in_flight")),
        (json!({ "deadline_ms": 1 }), Some("deadline_ms")),
        (json!({ "read_ahead": 0 }), Some("read_ahead")),
        (json!({ "key": "" }), Some("key")),
        (json!({ "from": "start" }), Some("from")),
        (json!({ "from": 1 }), None),
        (json!({ "query": { "items": [] } }), Some("query.items")),
        (json!({ "query": { "items": [{ "tags": [""] }] } }), None),
        (json!({ "deadline": 1 }), None),
    ] {
        let refused = put(&server, "h", &body);
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (400, "invalid-request"),
            "{body}"
        );
        assert_eq!(refused.json().get("field").and_then(Value::as_str), field, "{body}");
    }
    for name in ["..", "a%2Fb", "%00", "a%20", "%ff", &"x".repeat(201)] {
        let refused = put(&server, name, &json!({}));
        assert!(
            refused.status == 400 && refused.problem() == "invalid-request",
            "{name}: {refused:?}"
        );
    }
    let unknown = post(&server, "g/ack", &json!({ "leases": [lease] }));
    assert_eq!(
        (unknown.problem().as_str(), &unknown.json()["lost"][0]),
        ("lease-lost", &json!(lease))
    );
    assert_eq!(server.get("/v1/groups/g/parked?limit=1001").json()["field"], "limit");
    assert_eq!(server.get("/v1/groups/none/parked").problem(), "no-group");
}

#[test]
fn leases_answers_and_parked_events_survive_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("a.store");
    let server = serve(Server::open(&store));
    append(&server, 3);
    put(&server, "billing", &keyed());
    let held = pull(&server, "billing", &json!({ "worker": "a", "max": 3 }));
    post(&server, "billing/ack", &json!({ "leases": [lease(&held[0])] }));
    post(&server, "billing/nack", &json!({ "leases": [lease(&held[1])], "action": "park" }));
    stop(server, &store);
    let server = serve(Server::open(&store));
    let found = status(&server, "billing");
    assert_eq!(
        (&found["position"], &found["in_flight"], &found["parked"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(found["settings"]["key"], "order:");
    assert!(pull(&server, "billing", &json!({ "worker": "b", "max": 3 })).is_empty());
    assert_eq!(post(&server, "billing/ack", &json!({ "leases": [lease(&held[2])] })).status, 200);
    assert_eq!(status(&server, "billing")["position"], 3);
}

#[test]
fn a_group_that_a_program_runs_is_left_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("a.store");
    let server = serve(Server::open(&store));
    append(&server, 2);
    let beside = EventStore::on(Journal::options().open_read_only::<RawEvent>(&store).unwrap());
    let group = beside.group("billing").open().unwrap();
    let refused = post(&server, "billing/pull", &json!({ "worker": "a" }));
    assert_eq!((refused.status, refused.problem().as_str()), (409, "group-held"));
    assert!(refused.json()["detail"].as_str().unwrap().contains("is running"), "{refused:?}");
    assert_eq!(put(&server, "billing", &json!({})).problem(), "group-held");
    assert_eq!(server.send("DELETE", "/v1/groups/billing", "", b"").problem(), "group-held");
    assert_eq!(status(&server, "billing")["position"], 0);
    drop(group);
    assert_eq!(pull(&server, "billing", &json!({ "worker": "a" })).len(), 1);
    assert!(beside.group("billing").open().is_err(), "the server has it now");
    drop(beside.consumer("single").from(1).start().unwrap());
    assert_eq!(put(&server, "single", &json!({})).problem(), "group-exists");
    assert_eq!(server.send("DELETE", "/v1/groups/single", "", b"").problem(), "no-group");
}

#[test]
fn a_pull_waits_for_an_append_and_ends_with_the_server() {
    let server = serve(Server::in_memory());
    put(&server, "g", &json!({}));
    let waiting = json!({ "worker": "a", "max": 5, "wait_ms": 30_000 });
    // A client that is gone while it waits gets no lease.
    let mut gone = connect(server.address);
    gone.write_all(&request("POST", "/v1/groups/g/pull", JSON, waiting.to_string().as_bytes()))
        .unwrap();
    until_waiting(&server, 1);
    drop(gone);
    until_waiting(&server, 0);
    std::thread::scope(|scope| {
        let delivered = scope.spawn(|| pull(&server, "g", &waiting));
        until_waiting(&server, 1);
        append(&server, 2);
        let delivered = delivered.join().unwrap();
        assert_eq!(
            (&delivered[0]["event"]["offset"], &delivered[0]["attempt"]),
            (&json!(0), &json!(1))
        );
        let rest = pull(&server, "g", &json!({ "worker": "b" }));
        assert_eq!(delivered.len() + rest.len(), 2);
        let ended = scope.spawn(|| pull(&server, "g", &waiting));
        until_waiting(&server, 1);
        server.handle.drain();
        assert_eq!(ended.join().unwrap(), [] as [Value; 0]);
    });
}

#[test]
fn a_pull_that_would_wait_needs_room_for_a_subscription() {
    let server = serve(Server::in_memory().limits(Limits::default().subscriptions(0)));
    put(&server, "g", &json!({}));
    let waiting = json!({ "worker": "a", "wait_ms": 1 });
    let refused = post(&server, "g/pull", &waiting);
    assert_eq!((refused.status, refused.problem().as_str()), (429, "busy"));
    append(&server, 1);
    assert_eq!(pull(&server, "g", &waiting).len(), 1);
}

#[test]
fn a_change_of_a_group_ends_the_pulls_that_wait() {
    let server = serve(Server::in_memory());
    put(&server, "g", &json!({}));
    let waiting = json!({ "worker": "a", "wait_ms": 30_000 });
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| pull(&server, "g", &waiting));
        until_waiting(&server, 1);
        assert_eq!(server.send("DELETE", "/v1/groups/g", "", b"").status, 204);
        assert_eq!(ended.join().unwrap(), [] as [Value; 0]);
    });
}

#[test]
fn a_response_stays_small_and_gives_the_rest_back() {
    let server = serve(Server::in_memory());
    let event = json!({ "type": "large", "data": "x".repeat(5 << 20) });
    server.post("/v1/events", &json!({ "events": [event, event, event] }).to_string());
    put(&server, "g", &json!({}));
    for expected in 0..3 {
        let deliveries = pull(&server, "g", &json!({ "worker": "a", "max": 9 }));
        assert_eq!((deliveries.len(), &deliveries[0]["event"]["offset"]), (1, &json!(expected)));
        assert_eq!(deliveries[0]["attempt"], 1);
    }
}

#[test]
fn each_request_needs_its_right() {
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens");
    let mut text = String::new();
    for right in ["read", "append", "consume", "admin"] {
        let mut hash = String::new();
        Sha256::digest(right).iter().for_each(|byte| write!(hash, "{byte:02x}").unwrap());
        writeln!(text, "{right} {hash} {right}").unwrap();
    }
    std::fs::write(&tokens, text).unwrap();
    let server = serve(Server::in_memory().tokens(&tokens));
    for (method, path, needed) in [
        ("PUT", "/v1/groups/g", "admin"),
        ("GET", "/v1/groups", "read"),
        ("GET", "/v1/groups/g", "read"),
        ("GET", "/v1/groups/g/parked", "read"),
        ("POST", "/v1/groups/g/pull", "consume"),
        ("POST", "/v1/groups/g/ack", "consume"),
        ("POST", "/v1/groups/g/nack", "consume"),
        ("POST", "/v1/groups/g/extend", "consume"),
        ("POST", "/v1/groups/g/replay", "admin"),
        ("POST", "/v1/groups/g/drop", "admin"),
        ("POST", "/v1/groups/g/reset", "admin"),
        ("DELETE", "/v1/groups/g", "admin"),
    ] {
        for right in ["read", "append", "consume", "admin"] {
            let headers = format!("{JSON}Authorization: Bearer {right}\r\n");
            let status = server.send(method, path, &headers, b"{}").status;
            assert_eq!(status != 403, right == needed, "{method} {path} with {right}: {status}");
        }
        assert_eq!(server.send(method, path, JSON, b"{}").status, 401, "{method} {path}");
    }
}

#[test]
fn a_read_only_server_reports_groups_and_runs_none() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("a.store");
    let writer = serve(Server::open(&store));
    append(&writer, 2);
    put(&writer, "g", &json!({}));
    pull(&writer, "g", &json!({ "worker": "a" }));
    let server = serve(Server::open_read_only(&store));
    assert_eq!(server.get("/v1/groups").json()[0]["name"], "g");
    assert_eq!(status(&server, "g")["in_flight"], 1);
    assert_eq!(server.get("/v1/groups/g/parked").status, 200);
    for refused in [
        post(&server, "g/pull", &json!({ "worker": "a" })),
        post(&server, "g/replay", &json!({ "all": true })),
        put(&server, "g", &json!({})),
        server.send("DELETE", "/v1/groups/g", "", b""),
    ] {
        assert_eq!((refused.status, refused.problem().as_str()), (503, "read-only"));
    }
}
