//! Streams whose code panics: each ends with a message that says so, and the server goes on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::io::{Read as _, Write as _};

use annals_server::Server;
use common::trouble::Damaged;
use common::{Served, connect, request, serve};
use serde_json::json;

/// The offset of the event whose reading panics: behind the first piece of each stream.
const PANICS: u64 = 1_024;

fn served() -> Served {
    let server = serve(Server::on(Damaged::panicking_at(PANICS)));
    let body = json!({ "events": vec![json!({ "type": "a" }); 2_000] }).to_string();
    assert_eq!(server.post("/v1/events", &body).status, 200);
    server
}

/// Returns the last line of a response, and its number of lines.
fn ended(server: &Served, path: &str, accept: &str) -> (String, usize) {
    let response = server.send("GET", path, &format!("Accept: {accept}\r\n"), b"");
    assert_eq!(response.status, 200, "{path}: {response:?}");
    let text = response.text();
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    (lines.last().unwrap().to_string(), lines.len())
}

#[test]
fn a_stream_of_lines_ends_with_the_failure() {
    let server = served();
    for (path, accept) in [
        ("/v1/events", "application/x-ndjson"),
        ("/v1/subscribe", "application/x-ndjson"),
        ("/v1/subscribe", "text/event-stream"),
    ] {
        let (last, lines) = ended(&server, path, accept);
        assert!(last.contains("urn:annals:problem:internal"), "{path} {accept}: {last}");
        let events = if accept == "text/event-stream" { lines / 3 } else { lines - 1 };
        assert_eq!(events as u64, PANICS, "{path} {accept}: the events before it were sent");
    }
    let array = server.send("GET", "/v1/events", "Accept: application/json\r\n", b"").json();
    let array = array.as_array().unwrap();
    assert_eq!(array.len() as u64, PANICS + 1);
    assert_eq!(array.last().unwrap()["error"]["status"], 500);
    assert_eq!(server.get("/health/ready").status, 200);
}

#[test]
fn a_stream_of_grpc_is_not_broken_off() {
    let server = served();
    for method in ["Read", "Subscribe"] {
        let headers = "Content-Type: application/grpc\r\nTE: trailers\r\n";
        let call = request("POST", &format!("/umadb.v1.DCB/{method}"), headers, &[0; 5]);
        let mut stream = connect(server.address);
        stream.write_all(&call).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        // The chunk that ends the body: the connection did not break off.
        let end = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(400)..]).to_lowercase();
        assert!(end.contains("\r\n0\r\n"), "{method}: {end}");
    }
    assert_eq!(server.get("/health/ready").status, 200);
}

#[test]
fn a_request_that_panics_before_its_first_byte_is_a_problem() {
    let server = serve(Server::on(Damaged::panicking_at(0)));
    assert_eq!(server.post("/v1/events", r#"{"events":[{"type":"a"}]}"#).status, 200);
    let failed = server.get("/v1/events");
    assert_eq!((failed.status, failed.problem().as_str()), (500, "internal"));
    assert_eq!(server.get("/v1/head").json(), json!({ "head": 1 }));
}

#[test]
fn the_live_tail_shows_the_failure() {
    let server = serve(Server::on(Damaged::panicking_at(1)));
    assert_eq!(server.post("/v1/events", r#"{"events":[{"type":"a"}]}"#).status, 200);
    let mut stream = connect(server.address);
    stream.write_all(&request("GET", "/ui/tail", "", b"")).unwrap();
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&received).contains("event: rows") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the tail ended early");
        received.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(server.post("/v1/events", r#"{"events":[{"type":"b"}]}"#).status, 200);
    stream.read_to_end(&mut received).unwrap();
    let text = String::from_utf8_lossy(&received);
    assert!(text.contains("the server failed; its log says more"), "{text}");
}
