//! A field `#[event(metadata)]`: it is stored beside the payload, read back, and no part of an event's identity.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use annals::{
    Backend, CodecError, Event, EventStore, Metadata, Projection, Query, RawEvent, Recorded,
};
use serde::{Deserialize, Serialize};

#[derive(Event, Debug, Clone, PartialEq)]
enum Booking {
    #[event(alias = "seat-booked", upcast = user_from_payload)]
    SeatSold {
        #[event(tag = "seat")]
        seat: String,
        #[event(id = "request")]
        request: u32,
        #[event(metadata)]
        cause: Metadata,
    },
    Cancelled(Cancelled),
    Closed,
}

#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Cancelled {
    show: u32,
    #[serde(skip)]
    #[event(metadata)]
    cause: Metadata,
}

/// Reads events from the time when the user was in the payload.
#[expect(clippy::unnecessary_wraps, reason = "the signature of an upcast function")]
fn user_from_payload(raw: &RawEvent) -> Result<Option<Booking>, CodecError> {
    if raw.event_type() != "seat-booked" {
        return Ok(None);
    }
    let cause = Metadata::from([("user", "old")]);
    Ok(Some(Booking::SeatSold { seat: "1".into(), request: 0, cause }))
}

fn cause(user: &str) -> Metadata {
    Metadata::from([("user", user), ("correlation", "4bf92f35")])
}

fn events() -> [Booking; 3] {
    let sold = Booking::SeatSold { seat: "12A".into(), request: 7, cause: cause("alice") };
    [sold, Booking::Cancelled(Cancelled { show: 3, cause: cause("bob") }), Booking::Closed]
}

fn check<B: Backend<Booking>>(store: &EventStore<Booking, B>) {
    store.append_batch(events()).unwrap();
    let read: Vec<_> = store.read(..).map(|event| event.unwrap().into_owned().event).collect();
    assert_eq!(read, events());
    // A retry by another user, with another correlation, is the same event.
    let again = Booking::SeatSold { seat: "12A".into(), request: 7, cause: cause("carol") };
    let known = store.append_as(annals::Batch::new(vec![again, read[1].clone()]));
    assert!(known.is_err(), "a batch with an event without an id");
    let again = Booking::SeatSold { seat: "12A".into(), request: 7, cause: Metadata::default() };
    let known = store.append_as(annals::Batch::new(vec![again])).unwrap();
    assert_eq!((known.offsets, known.known), (0..1, true));
    assert_eq!(store.get(0).unwrap().unwrap().event, events()[0]);
}

#[test]
fn metadata_comes_back_in_its_field_from_every_store() {
    check(&EventStore::in_memory());
    check(&EventStore::in_memory_encoded());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    check(&EventStore::open(&path).unwrap());

    let raw = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    let stored: Vec<_> = raw.read(..).map(|event| event.unwrap().into_owned().event).collect();
    assert_eq!(stored[0].data_bytes(), br#"{"seat":"12A","request":7}"#);
    assert_eq!(stored[0].metadata(), [("correlation", "4bf92f35"), ("user", "alice")]);
    assert_eq!(stored[1].data_bytes(), br#"{"show":3}"#);
    assert_eq!(stored[1].metadata(), [("correlation", "4bf92f35"), ("user", "bob")]);
    assert_eq!((stored[2].data_bytes(), stored[2].metadata()), (&b""[..], vec![]));
}

#[test]
fn the_field_has_all_entries_of_the_record_and_the_payload_has_none() {
    let record = |event_type| RawEvent::builder(event_type).metadata("by", "a tool");
    let data = r#"{"seat":"1","request":2,"cause":"of the payload"}"#;
    let read = Booking::decode(&record("seat-sold").data(data).build().unwrap()).unwrap();
    let by_a_tool = Metadata::from([("by", "a tool")]);
    assert_eq!(read, Booking::SeatSold { seat: "1".into(), request: 2, cause: by_a_tool.clone() });
    let read = Cancelled::decode(&record("cancelled").data(r#"{"show":3}"#).build().unwrap());
    assert_eq!(read.unwrap(), Cancelled { show: 3, cause: by_a_tool });
    // An upcast function sets the field itself.
    let read = Booking::decode(&record("seat-booked").build().unwrap()).unwrap();
    let Booking::SeatSold { cause, .. } = read else { panic!("{read:?}") };
    assert_eq!(cause.get("user"), Some("old"));
}

#[test]
fn a_projection_sees_the_metadata() {
    struct Users;
    impl Projection for Users {
        type Event = Booking;
        type State = Vec<String>;
        fn initial(&self) -> Vec<String> {
            Vec::new()
        }
        fn query(&self) -> Query {
            Query::all()
        }
        fn apply(&self, users: &mut Vec<String>, event: &Recorded<Booking>) {
            let mut metadata = Metadata::default();
            event.event.metadata(&mut metadata);
            users.extend(metadata.get("user").map(str::to_owned));
        }
    }

    let store = EventStore::in_memory_encoded();
    store.append_batch(events()).unwrap();
    assert_eq!(*store.reconstruct(Users).now().unwrap(), ["alice", "bob"]);
    annals::testing::assert_round_trip(&events()[0]);
}
