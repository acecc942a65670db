//! A log whose disk does not answer: a request that waits for it keeps no other request waiting.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use annals_server::Server;
use common::trouble::{Damaged, Gate};
use common::{Response, Served, connect, exchange, request, serve_on_one_thread};
use prost::Message;
use serde_json::json;

/// An append without events, with tracking information.
#[derive(Clone, PartialEq, Message)]
struct Append {
    #[prost(message, optional, tag = "3")]
    tracking: Option<Tracking>,
}

#[derive(Clone, PartialEq, Message)]
struct Tracking {
    #[prost(string, tag = "1")]
    source: String,
    #[prost(uint64, tag = "2")]
    position: u64,
}

/// Starts a server of 100 events on one thread, and returns the gate of its disk.
fn served() -> (Served, Arc<Gate>) {
    let log = Damaged::at(u64::MAX);
    let gate = Arc::clone(&log.gate);
    let server = serve_on_one_thread(Server::on(log));
    let body = json!({ "events": vec![json!({ "type": "a", "tags": ["seat:1"] }); 100] });
    assert_eq!(server.post("/v1/events", &body.to_string()).status, 200);
    (server, gate)
}

/// Sends a request whose response waits for the disk. Checks that others have theirs meanwhile, and returns it.
fn waits(server: &Served, gate: &Gate, sent: &[u8]) -> Response {
    gate.close();
    let mut stream: TcpStream = connect(server.address);
    stream.write_all(sent).unwrap();
    gate.until_one_waits();
    // The only thread of the reactor is free.
    let other = exchange(connect(server.address), &request("GET", "/v1/head", "", b""));
    gate.open();
    assert_eq!(other.map(|response| response.status), Some(200));
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    Response::parse(&bytes)
}

#[test]
fn a_read_that_waits_for_the_disk_keeps_no_other_request_waiting() {
    let (server, gate) = served();
    for path in ["/v1/events", "/v1/events?tag=seat:1&limit=1", "/v1/events?limit=1&reverse=true"] {
        let response = waits(&server, &gate, &request("GET", path, "", b""));
        assert_eq!(response.status, 200, "{path}: {response:?}");
    }
    let query = br#"{"items":[{"tags":["seat:1"]}],"limit":1}"#;
    let json = "Content-Type: application/json\r\n";
    assert_eq!(waits(&server, &gate, &request("POST", "/v1/query", json, query)).status, 200);
    // A page of the newest events, with more names than are looked up in microseconds.
    let tags: Vec<_> = (0..65).map(|tag| json!({ "tags": [format!("seat:{tag}")] })).collect();
    let query = json!({ "items": tags, "from": 90 }).to_string();
    let response = waits(&server, &gate, &request("POST", "/v1/query", json, query.as_bytes()));
    assert_eq!(response.lines().len(), 10);
}

#[test]
fn a_tracked_append_that_waits_for_the_disk_keeps_no_other_request_waiting() {
    let (server, gate) = served();
    let tracking = Tracking { source: "shop".into(), position: 7 };
    let message = Append { tracking: Some(tracking) }.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0], &length[..], &message].concat();
    let headers = "Content-Type: application/grpc\r\nTE: trailers\r\n";
    let appended = waits(&server, &gate, &request("POST", "/umadb.v1.DCB/Append", headers, &body));
    assert_eq!((appended.status, appended.header("grpc-status")), (200, None), "{appended:?}");
    assert_eq!(server.get("/v1/head").json()["head"], 101);
}
