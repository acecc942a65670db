//! The rules of the DCB face that no suite of others tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![expect(clippy::struct_field_names, reason = "the names are those of the contract")]

mod common;

use annals_server::Server;
use common::wire::Entry;
use common::{Response, Served, serve};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(string, tag = "1")]
    event_type: String,
    #[prost(string, repeated, tag = "2")]
    tags: Vec<String>,
    #[prost(string, tag = "4")]
    uuid: String,
    #[prost(message, repeated, tag = "5")]
    metadata: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryItem {
    #[prost(string, repeated, tag = "1")]
    types: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(message, repeated, tag = "1")]
    items: Vec<QueryItem>,
}

#[derive(Clone, PartialEq, Message)]
struct Condition {
    #[prost(message, optional, tag = "1")]
    fail_if_events_match: Option<Query>,
    #[prost(uint64, optional, tag = "2")]
    after: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Tracking {
    #[prost(string, tag = "1")]
    source: String,
    #[prost(uint64, tag = "2")]
    position: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Append {
    #[prost(message, repeated, tag = "1")]
    events: Vec<Event>,
    #[prost(message, optional, tag = "2")]
    condition: Option<Condition>,
    #[prost(message, optional, tag = "3")]
    tracking: Option<Tracking>,
}

/// The response of `Append`, `Head` and `GetTrackingInfo`, and the request of the last.
#[derive(Clone, PartialEq, Message)]
struct Position {
    #[prost(uint64, optional, tag = "1")]
    position: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Read {
    #[prost(message, optional, tag = "1")]
    query: Option<Query>,
    #[prost(uint64, optional, tag = "2")]
    start: Option<u64>,
    #[prost(bool, optional, tag = "3")]
    backwards: Option<bool>,
    #[prost(uint32, optional, tag = "4")]
    limit: Option<u32>,
    #[prost(bool, optional, tag = "5")]
    subscribe: Option<bool>,
    #[prost(uint32, optional, tag = "6")]
    batch_size: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct Sequenced {
    #[prost(uint64, tag = "1")]
    position: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Page {
    #[prost(message, repeated, tag = "1")]
    events: Vec<Sequenced>,
    #[prost(uint64, optional, tag = "2")]
    head: Option<u64>,
}

/// Returns the messages of a response.
fn messages<M: Message + Default>(response: &Response) -> Vec<M> {
    let (mut bytes, mut messages) = (&response.body[..], Vec::new());
    while let Some((head, rest)) = bytes.split_first_chunk::<5>() {
        let size = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        messages.push(M::decode(&rest[..size]).unwrap());
        bytes = &rest[size..];
    }
    messages
}

/// Returns the position of a successful call, or the code of a failed one.
fn position(server: &Served, method: &str, message: &impl Message) -> Result<Option<u64>, u16> {
    let response = server.grpc(method, "", &message.encode_to_vec());
    match response.header("grpc-status") {
        Some(code) => Err(code.parse().unwrap()),
        None => Ok(messages::<Position>(&response)[0].position),
    }
}

fn event(uuid: u128, tag: &str) -> Event {
    let uuid = uuid::Uuid::from_u128(uuid).to_string();
    Event { event_type: "a".into(), tags: vec![tag.into()], uuid, metadata: vec![] }
}

fn plain(tag: &str) -> Event {
    Event { uuid: String::new(), ..event(0, tag) }
}

fn fail_if(tag: &str, after: Option<u64>) -> Condition {
    let item = QueryItem { types: vec![], tags: vec![tag.into()] };
    Condition { fail_if_events_match: Some(Query { items: vec![item] }), after }
}

fn append(server: &Served, message: &Append) -> Result<u64, u16> {
    // An absent position is 0 in the response of `Append`.
    position(server, "Append", message).map(Option::unwrap_or_default)
}

const INTEGRITY: Result<u64, u16> = Err(9);

#[test]
fn a_repeated_append_is_recognised_only_if_its_condition_conflicts() {
    let server = serve(Server::in_memory());
    let once = Append { events: vec![event(1, "x"), event(2, "x")], ..Append::default() };
    assert_eq!(append(&server, &once), Ok(2));
    assert_eq!(append(&server, &once), Ok(4), "uuids are not unique");
    let guarded = Append { condition: Some(fail_if("x", Some(0))), ..once.clone() };
    assert_eq!(append(&server, &guarded), Ok(2), "the first two matches are these");
    let behind = Append { condition: Some(fail_if("x", Some(2))), ..once.clone() };
    assert_eq!(append(&server, &behind), Ok(4));
    let other = Append { events: vec![event(2, "x"), event(1, "x")], ..guarded.clone() };
    assert_eq!(append(&server, &other), INTEGRITY);
    let without = Append { events: vec![plain("x")], ..guarded.clone() };
    assert_eq!(append(&server, &without), INTEGRITY);
    let nothing = Append { events: vec![], ..guarded };
    assert_eq!(append(&server, &nothing), INTEGRITY, "a conflict without events");
    assert_eq!(append(&server, &Append::default()), Ok(0));
    let beyond = Append { condition: Some(fail_if("x", Some(u64::MAX))), ..once };
    assert_eq!(append(&server, &beyond), Ok(6), "beyond the head nothing conflicts");
}

#[test]
fn tracking_positions_increase() {
    let directory = tempfile::tempdir().unwrap();
    let tracked = |events: Vec<Event>, source: &str, position| Append {
        events,
        tracking: Some(Tracking { source: source.into(), position }),
        ..Append::default()
    };
    let known = |server: &Served, source: &str| {
        let request = Tracking { source: source.into(), position: 0 };
        position(server, "GetTrackingInfo", &request)
    };
    let long = "ä".repeat(300);
    {
        let server = serve(Server::open(directory.path().join("a.store")));
        assert_eq!(known(&server, "orders"), Ok(None));
        assert_eq!(append(&server, &tracked(vec![plain("x")], "orders", 7)), Ok(1));
        assert_eq!(append(&server, &tracked(vec![plain("x")], "orders", 7)), INTEGRITY);
        assert_eq!(append(&server, &tracked(vec![plain("x")], "orders", 8)), Ok(2));
        assert_eq!(append(&server, &tracked(vec![], "orders", 9)), Ok(0), "no events");
        assert_eq!(append(&server, &tracked(vec![], &long, 1)), Ok(0));
        // A repeated append is recognised although its tracking position is known.
        let guarded = |uuid, position| Append {
            condition: Some(fail_if("y", None)),
            ..tracked(vec![event(uuid, "y")], "orders", position)
        };
        assert_eq!(append(&server, &guarded(5, 10)), Ok(5));
        assert_eq!(append(&server, &guarded(5, 10)), Ok(5));
        assert_eq!(append(&server, &guarded(6, 11)), INTEGRITY);
        assert_eq!((known(&server, "orders"), known(&server, &long)), (Ok(Some(10)), Ok(Some(1))));
        let reserved = Append { events: vec![plain("$tracking:orders")], ..Append::default() };
        assert_eq!(append(&server, &reserved), Err(3));
    }
}

#[test]
fn an_event_that_clients_cannot_read_is_refused_with_what_the_server_adds() {
    let server = serve(Server::in_memory());
    let with_data = |bytes: usize, source: usize| {
        let mut event = plain("x").encode_to_vec();
        prost::encoding::bytes::encode(3, &vec![b' '; bytes], &mut event);
        let tracking = Tracking { source: "s".repeat(source), position: 1 };
        let mut request = Append { tracking: Some(tracking), ..Append::default() }.encode_to_vec();
        prost::encoding::bytes::encode(1, &event, &mut request);
        let response = server.grpc("Append", "", &request);
        response.header("grpc-status").map(str::to_owned)
    };
    let near = (4 << 20) - (64 << 10) - 1_000;
    assert_eq!(with_data(near, 1), None);
    assert_eq!(with_data(near, 65_000).as_deref(), Some("11"));
    // A reader gets past all that was stored.
    let pages = read(&server, &Read::default());
    assert_eq!(pages, [(vec![1], Some(1))]);
}

#[test]
fn a_repeated_append_with_ids_and_tracking_returns_its_position() {
    let server = serve(Server::in_memory());
    let append_once = |id: &str, position| {
        let metadata = vec![Entry { key: "$id".into(), value: id.into() }];
        let events = vec![Event { metadata, ..plain("x") }];
        let tracking = Some(Tracking { source: "orders".into(), position });
        append(&server, &Append { events, tracking, ..Append::default() })
    };
    assert_eq!(append_once("one", 7), Ok(1));
    assert_eq!(append_once("two", 8), Ok(2));
    assert_eq!((append_once("one", 7), append_once("two", 8)), (Ok(1), Ok(2)));
    assert_eq!(append_once("three", 8), INTEGRITY);
    assert_eq!(append_once("three", 9), Ok(3), "nothing was added meanwhile");
}

fn read(server: &Served, message: &Read) -> Vec<(Vec<u64>, Option<u64>)> {
    let response = server.grpc("Read", "", &message.encode_to_vec());
    assert_eq!(response.header("grpc-status"), None, "{response:?}");
    let pages = messages::<Page>(&response).into_iter();
    let positions = |page: &Page| page.events.iter().map(|event| event.position).collect();
    pages.map(|page| (positions(&page), page.head)).collect()
}

#[test]
fn reads_have_the_heads_and_pages_that_clients_expect() {
    let server = serve(Server::in_memory());
    assert_eq!(read(&server, &Read::default()), [(vec![], None)]);
    assert_eq!(position(&server, "Head", &Position::default()), Ok(None));
    append(&server, &Append { events: vec![plain("x"); 5], ..Append::default() }).unwrap();
    assert_eq!(position(&server, "Head", &Position::default()), Ok(Some(5)));
    let all = Read { batch_size: Some(2), ..Read::default() };
    let pages = read(&server, &all);
    assert_eq!(pages, [(vec![1, 2], Some(5)), (vec![3, 4], Some(5)), (vec![5], Some(5))]);
    let limited = Read { limit: Some(3), ..all.clone() };
    assert_eq!(read(&server, &limited), [(vec![1, 2], Some(2)), (vec![3], Some(3))]);
    assert_eq!(read(&server, &Read { limit: Some(0), ..all.clone() }), []);
    let item = QueryItem { types: vec!["b".into()], tags: vec![] };
    let none = Read { query: Some(Query { items: vec![item] }), ..all.clone() };
    assert_eq!(read(&server, &none), [(vec![], Some(5))]);
    assert_eq!(read(&server, &Read { limit: Some(1), ..none }), [(vec![], None)]);
    let from = |start, backwards| Read {
        start: Some(start),
        backwards: Some(backwards),
        ..Read::default()
    };
    assert_eq!(read(&server, &from(0, false)), [(vec![1, 2, 3, 4, 5], Some(5))]);
    assert_eq!(read(&server, &from(4, false)), [(vec![4, 5], Some(5))]);
    assert_eq!(read(&server, &from(9, false)), [(vec![], Some(5))]);
    assert_eq!(read(&server, &from(0, true)), [(vec![], Some(5))]);
    assert_eq!(read(&server, &from(2, true)), [(vec![2, 1], Some(5))]);
    assert_eq!(read(&server, &from(u64::MAX, true)), [(vec![5, 4, 3, 2, 1], Some(5))]);
    let subscribe = Read { subscribe: Some(true), ..Read::default() };
    assert_eq!(position(&server, "Read", &subscribe), Err(3));
    let last = Position { position: None };
    let end = server.grpc(
        "Subscribe",
        "",
        &Read { start: Some(u64::MAX), ..Read::default() }.encode_to_vec(),
    );
    assert!(messages::<Page>(&end).is_empty() && last.position.is_none());
}

#[test]
fn a_read_only_server_refuses_appends() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("a.store");
    let writer = annals::EventStore::<annals::RawEvent>::open(&store).unwrap();
    writer.append(annals::RawEvent::builder("a").build().unwrap()).unwrap();
    let server = serve(Server::open_read_only(&store));
    assert_eq!(append(&server, &Append { events: vec![plain("x")], ..Append::default() }), Err(9));
    assert_eq!(read(&server, &Read::default()), [(vec![1], Some(1))]);
}
