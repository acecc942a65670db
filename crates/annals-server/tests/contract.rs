//! Rules of UmaDB's contract that its own clients do not test, as bytes on the wire.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::io::{Read as _, Write as _};

use annals_server::{Limits, Server};
use common::trouble::Damaged;
use common::wire::Entry;
use common::{Response, Served, connect, request, serve};
use prost::Message;
use serde_json::json;

const GRPC: &str = "Content-Type: application/grpc\r\nTE: trailers\r\n";

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, repeated, tag = "2")]
    tags: Vec<String>,
    #[prost(bytes = "vec", tag = "3")]
    data: Vec<u8>,
    #[prost(string, tag = "4")]
    uuid: String,
    #[prost(message, repeated, tag = "5")]
    metadata: Vec<Entry>,
}

/// A condition without a query: every event conflicts.
#[derive(Clone, PartialEq, Message)]
struct Condition {}

#[derive(Clone, PartialEq, Message)]
struct Append {
    #[prost(message, repeated, tag = "1")]
    events: Vec<Event>,
    #[prost(message, optional, tag = "2")]
    condition: Option<Condition>,
}

#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(string, repeated, tag = "1")]
    types: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
struct Read {
    #[prost(message, optional, tag = "1")]
    query: Option<Query>,
    #[prost(uint32, optional, tag = "6")]
    batch_size: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct Sequenced {
    #[prost(uint64, tag = "1")]
    position: u64,
    #[prost(message, optional, tag = "2")]
    event: Option<Event>,
}

#[derive(Clone, PartialEq, Message)]
struct Page {
    #[prost(message, repeated, tag = "1")]
    events: Vec<Sequenced>,
}

fn event(event_type: &str, data: Vec<u8>) -> Event {
    Event { kind: event_type.into(), data, ..Event::default() }
}

fn append(server: &Served, events: Vec<Event>) -> Response {
    server.grpc("Append", "", &Append { events, ..Append::default() }.encode_to_vec())
}

/// Returns the code of a response, or 0.
fn code(response: &Response) -> u16 {
    response.header("grpc-status").map_or(0, |code| code.parse().unwrap())
}

/// Returns whether a status has details, by which UmaDB's clients go.
fn has_details(response: &Response) -> bool {
    response.header("grpc-status-details-bin").is_some()
}

/// Returns the messages of a response and their sizes.
fn pages(server: &Served, read: &Read) -> Vec<(Page, usize)> {
    let response = server.grpc("Read", "", &read.encode_to_vec());
    assert_eq!(code(&response), 0, "{}", response.head);
    let (mut bytes, mut found) = (&response.body[..], Vec::new());
    while let Some((head, rest)) = bytes.split_first_chunk::<5>() {
        let size = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        found.push((Page::decode(&rest[..size]).unwrap(), size));
        bytes = &rest[size..];
    }
    found
}

fn counts(server: &Served, read: &Read) -> Vec<usize> {
    pages(server, read).iter().map(|(page, _)| page.events.len()).collect()
}

#[test]
fn messages_have_the_number_of_events_that_was_asked_for() {
    let server = serve(Server::in_memory());
    assert_eq!(code(&append(&server, vec![event("a", vec![]); 5_000])), 0);
    let with = |batch_size| Read { batch_size, ..Read::default() };
    assert_eq!(counts(&server, &with(None)), [1_024, 1_024, 1_024, 1_024, 904]);
    assert_eq!(counts(&server, &with(Some(9_999))), [4_096, 904]);
    assert_eq!(counts(&server, &with(Some(0))), vec![1; 5_000]);
}

#[test]
fn a_message_stays_small_and_a_large_event_travels_alone() {
    let server = serve(Server::in_memory());
    for size in [1 << 20, 1 << 20, 3 << 20, (39 << 20) / 10, 1 << 20] {
        assert_eq!(code(&append(&server, vec![event("a", vec![b'x'; size])])), 0);
    }
    let pages = pages(&server, &Read::default());
    let counts: Vec<_> = pages.iter().map(|(page, _)| page.events.len()).collect();
    assert_eq!(counts, [2, 1, 1, 1]);
    for (page, size) in &pages {
        // UmaDB's clients read 4 MiB at most.
        assert!(*size < if page.events.len() == 1 { 4 << 20 } else { 3_584 << 10 }, "{size}");
    }
}

#[test]
fn no_message_is_empty_but_the_only_one() {
    let server = serve(Server::in_memory());
    let mut events = vec![event("rare", vec![])];
    events.resize(3_000, event("common", vec![]));
    events.push(event("rare", vec![]));
    events.resize(6_000, event("common", vec![]));
    assert_eq!(code(&append(&server, events)), 0);
    let read = |event_type: &str, batch_size| Read {
        query: Some(Query { items: vec![Item { types: vec![event_type.into()] }] }),
        batch_size: Some(batch_size),
    };
    assert_eq!(counts(&server, &read("rare", 1)), [1, 1]);
    assert_eq!(counts(&server, &read("rare", 64)), [2]);
    assert_eq!(counts(&server, &read("none", 64)), [0]);
}

#[test]
fn the_path_of_the_first_version_works() {
    let server = serve(Server::in_memory());
    let head = |service: &str| server.send("POST", &format!("/{service}/Head"), GRPC, &[0; 5]);
    assert_eq!(code(&head("umadb.UmaDBService")), 0);
    assert_eq!(head("umadb.UmaDBService").body, head("umadb.v1.DCB").body);
    assert_eq!(code(&server.send("POST", "/umadb.v1.DCB/Nothing", GRPC, &[0; 5])), 12);
    assert_eq!(code(&server.send("POST", "/umadb.v2.DCB/Head", GRPC, &[0; 5])), 12);
}

#[test]
fn what_annals_does_not_store_is_refused() {
    let server = serve(Server::in_memory());
    let tags = |tags: Vec<String>| Event { tags, ..event("a", vec![]) };
    let entries = |count: usize| {
        let entry = |n: usize| Entry { key: format!("k{n}"), value: "v".into() };
        Event { metadata: (0..count).map(entry).collect(), ..event("a", vec![]) }
    };
    let uuid = |uuid: &str| Event { uuid: uuid.into(), ..event("a", b"secret".to_vec()) };
    for wrong in [
        vec![event("", vec![])],
        vec![event(&"t".repeat(256), vec![])],
        vec![event("a\nb", vec![])],
        vec![tags(vec![String::new()])],
        vec![tags(vec!["x".repeat(256)])],
        vec![tags((0..65).map(|n| format!("t{n}")).collect())],
        vec![entries(65)],
        vec![Event {
            metadata: vec![Entry { key: String::new(), value: "v".into() }],
            ..event("a", vec![])
        }],
        vec![uuid("not-one")],
        vec![event("a", vec![]); 65_537],
    ] {
        let refused = append(&server, wrong.clone());
        assert_eq!(code(&refused), 3, "{:?}", wrong[0]);
        assert!(!refused.head.contains("secret"), "{}", refused.head);
    }
    assert_eq!(server.get("/v1/head").json(), json!({ "head": 0 }));
    let twice = tags(vec!["b".into(), "a".into(), "b".into()]);
    assert_eq!(code(&append(&server, vec![twice])), 0);
    let kept = pages(&server, &Read::default()).remove(0).0.events.remove(0);
    assert_eq!((kept.position, kept.event.unwrap().tags), (1, vec!["b".into(), "a".into()]));
}

#[test]
fn failures_have_details_unless_a_client_shall_repeat_the_call() {
    let server = serve(Server::in_memory());
    assert_eq!(code(&append(&server, vec![event("a", b"secret".to_vec())])), 0);
    let events = vec![event("b", b"secret".to_vec())];
    let guarded = Append { events, condition: Some(Condition {}) };
    let conflict = server.grpc("Append", "", &guarded.encode_to_vec());
    assert_eq!(code(&conflict), 9);
    assert!(has_details(&conflict) && !conflict.head.contains("secret"), "{conflict:?}");
    let large = append(&server, vec![event("a", vec![0; 4 << 20])]);
    assert_eq!((code(&large), has_details(&large)), (11, false));
}

#[test]
fn a_damaged_event_is_named_in_every_face() {
    let server = serve(Server::on(Damaged::at(0)));
    assert_eq!(code(&append(&server, vec![event("a", vec![])])), 0);
    let events = server.get("/v1/events");
    assert_eq!((events.status, events.problem().as_str()), (500, "damaged"));
    assert_eq!(events.json()["offset"], 0);
    assert_eq!(server.get("/v1/events/0").problem(), "damaged");
}

#[test]
fn a_stream_that_fails_after_its_first_byte_has_a_last_line() {
    let server = serve(Server::on(Damaged::at(1_500)));
    assert_eq!(code(&append(&server, vec![event("a", vec![]); 2_000])), 0);
    let lines = server.get("/v1/events").lines();
    assert_eq!(lines.len(), 1_501);
    assert_eq!(lines[1_500]["error"]["offset"], 1_500);
    let sent = server.get("/v1/subscribe").text();
    let end = sent.split("event: ").last().unwrap();
    assert!(end.starts_with("error\ndata: {"), "{end}");
}

#[test]
fn a_subscription_too_many_is_told_when_to_repeat() {
    let server = serve(Server::in_memory().limits(Limits::default().subscriptions(0)));
    let busy = server.get("/v1/subscribe");
    assert_eq!((busy.status, busy.problem().as_str()), (429, "busy"));
    assert_eq!(busy.header("retry-after"), Some("1"));
}

#[test]
fn the_health_of_a_server_is_watched_until_its_end() {
    let server = serve(Server::in_memory());
    let check = |service: &str| {
        let message = [&[10, u8::try_from(service.len()).unwrap()], service.as_bytes()].concat();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let body = [&[0][..], &length, &message].concat();
        server.send("POST", "/grpc.health.v1.Health/Check", GRPC, &body)
    };
    for service in ["", "umadb.v1.DCB"] {
        assert_eq!(check(service).body, [0, 0, 0, 0, 2, 8, 1], "{service}");
    }
    assert_eq!(code(&check("other")), 5);
    let mut stream = connect(server.address);
    stream.write_all(&request("POST", "/grpc.health.v1.Health/Watch", GRPC, &[0; 5])).unwrap();
    let mut received = Vec::new();
    let mut buffer = [0; 1024];
    while !received.windows(7).any(|bytes| bytes == [0, 0, 0, 0, 2, 8, 1]) {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the stream ended");
        received.extend_from_slice(&buffer[..count]);
    }
    server.handle.drain();
    stream.read_to_end(&mut received).unwrap();
    assert!(received.windows(7).any(|bytes| bytes == [0, 0, 0, 0, 2, 8, 2]), "not serving");
}
