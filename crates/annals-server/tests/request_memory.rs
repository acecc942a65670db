//! The memory of requests: bodies and appends that wait share one budget, and what is beyond it is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use annals_server::{Limits, Server};
use common::tls::token_line;
use common::trouble::{AppendGate, Damaged};
use common::{Served, connect, request, serve};
use serde_json::json;

const JSON: &str = "Content-Type: application/json\r\n";
const TOKEN: &str = "Content-Type: application/json\r\nAuthorization: Bearer secret\r\n";

/// Returns a server whose large requests have 35 MiB together, and the gate of its appends, which is closed.
fn limited() -> (Server, Arc<AppendGate>) {
    let log = Damaged::at(u64::MAX);
    let gate = Arc::clone(&log.appends);
    gate.close();
    (Server::on(log).limits(Limits::default().request_memory(40 << 20)), gate)
}

/// Returns a batch of a size in MiB.
fn batch(size: usize) -> Vec<u8> {
    let event = json!({ "type": "large", "data": "x".repeat(1 << 20) });
    json!({ "events": vec![event; size] }).to_string().into_bytes()
}

/// Sends an append, and waits for nothing.
fn begin(server: &Served, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = connect(server.address);
    stream.write_all(&request("POST", "/v1/events", headers, body)).unwrap();
    stream
}

/// Appends until the server has the memory: what a request took returns after its response.
fn append_patiently(server: &Served, headers: &str, body: &[u8]) {
    loop {
        let response = server.send("POST", "/v1/events", headers, body);
        match response.status {
            503 => assert_eq!(response.problem(), "overloaded"),
            status => break assert_eq!(status, 200, "{response:?}"),
        }
    }
}

#[test]
fn a_large_request_is_refused_while_others_take_the_memory() {
    let (server, gate) = limited();
    let server = serve(server);
    let first = begin(&server, JSON, &batch(20));
    gate.until(1);
    let refused = server.send("POST", "/v1/events", JSON, &batch(20));
    assert_eq!((refused.status, refused.problem().as_str()), (503, "overloaded"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    let refused = server.grpc("Append", "", &vec![0; 20 << 20]);
    assert_eq!(refused.header("grpc-status"), Some("8"), "{refused:?}");
    // 1,000 events with 128 tags of 2 bytes: tags count as what they take once they are decoded.
    let event = [&[0x0a, 0x80, 0x02][..], &[0x12, 0].repeat(128)].concat();
    let refused = server.grpc("Append", "", &event.repeat(1_000));
    assert_eq!(refused.header("grpc-status"), Some("8"), "{refused:?}");
    // Other clients read, and their small appends are taken.
    assert_eq!(server.get("/v1/head").status, 200);
    assert_eq!(server.post("/v1/query", r#"{"items":[{}]}"#).status, 200);
    assert_eq!(server.grpc("Head", "", b"").header("grpc-status"), None);
    let _small = begin(&server, JSON, br#"{"events":[{"type":"small"}]}"#);
    gate.until(2);
    // The append of a client that is gone is withdrawn, and its memory returns.
    drop(first);
    gate.until(1);
    gate.open();
    append_patiently(&server, JSON, &batch(20));
}

#[test]
fn appends_of_clients_that_are_gone_do_not_fill_the_memory() {
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens");
    fs::write(&tokens, token_line("billing", b"secret", "read,append")).unwrap();
    let (server, gate) = limited();
    let server = serve(server.tokens(tokens));
    // With tokens, such an append goes on, so it keeps its memory.
    for waiting in 1..=3 {
        let client = begin(&server, TOKEN, &batch(10));
        gate.until(waiting);
        drop(client);
    }
    for _ in 0..3 {
        let refused = server.send("POST", "/v1/events", TOKEN, &batch(10));
        assert_eq!((refused.status, refused.problem().as_str()), (503, "overloaded"));
    }
    assert_eq!(server.send("GET", "/v1/events", TOKEN, b"").status, 200);
    let _small = begin(&server, TOKEN, br#"{"events":[{"type":"small"}]}"#);
    gate.until(4);
    gate.open();
    append_patiently(&server, TOKEN, &batch(10));
    assert_eq!(server.send("GET", "/v1/head", TOKEN, b"").json()["head"], 41);
}
