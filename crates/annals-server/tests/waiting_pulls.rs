//! Pulls that wait: the tasks of a server never wait for the lock of a group.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use annals_server::Server;
use common::trouble::{Damaged, Gate};
use common::{Response, Served, connect, request, serve_on_one_thread};

const JSON: &str = "Content-Type: application/json\r\n";

/// Returns a server with a group, and the gate of its log.
fn served() -> (Served, Arc<Gate>) {
    let log = Damaged::at(u64::MAX);
    let gate = Arc::clone(&log.gate);
    let server = serve_on_one_thread(Server::on(log));
    assert_eq!(server.send("PUT", "/v1/groups/billing", JSON, b"{}").status, 201);
    (server, gate)
}

/// Sends pulls that wait, and returns their connections once all wait.
fn waiting(server: &Served, pulls: usize) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = connect(server.address);
        let body = br#"{"worker":"a","wait_ms":30000}"#;
        stream.write_all(&request("POST", "/v1/groups/billing/pull", JSON, body)).unwrap();
        stream
    };
    let streams = (0..pulls).map(open).collect();
    loop {
        let stats = server.get("/v1/stats").json();
        if stats["subscriptions"].as_array().unwrap().len() == pulls {
            return streams;
        }
    }
}

fn append(server: &Served) {
    assert_eq!(server.post("/v1/events", r#"{"events":[{"type":"a"}]}"#).status, 200);
}

#[test]
fn a_pull_that_reads_a_slow_log_delays_no_other_request() {
    let (server, gate) = served();
    let mut streams = waiting(&server, 3);
    gate.close();
    append(&server);
    // The append wakes all. One reads the log and has the group's lock; the others want it.
    gate.until_one_waits();
    for _ in 0..3 {
        assert_eq!(server.get("/health/live").status, 200);
        append(&server);
    }
    gate.open();
    let mut offsets: Vec<u64> = streams.iter_mut().map(delivered).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 1, 2]);
}

/// Reads the response to a pull, and returns the offset of its event.
fn delivered(stream: &mut TcpStream) -> u64 {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(stream, &mut bytes).unwrap();
    Response::parse(&bytes).json()["deliveries"][0]["event"]["offset"].as_u64().unwrap()
}

#[test]
fn workers_that_are_gone_give_back_what_they_were_given_and_delay_nobody() {
    let (server, gate) = served();
    let streams = waiting(&server, 3);
    gate.close();
    append(&server);
    gate.until_one_waits();
    for stream in &streams {
        stream.shutdown(Shutdown::Both).unwrap();
    }
    drop(streams);
    while !server.get("/v1/stats").json()["subscriptions"].as_array().unwrap().is_empty() {}
    gate.open();
    // The event was given to none of them, so another worker gets it, as its first attempt.
    let body = br#"{"worker":"b","wait_ms":30000}"#;
    let pulled = server.send("POST", "/v1/groups/billing/pull", JSON, body).json();
    let delivery = &pulled["deliveries"][0];
    assert_eq!((&delivery["event"]["offset"], &delivery["attempt"]), (&0.into(), &1.into()));
}
