//! A query that no event can match is an error wherever it is used, and so is a condition with such a query.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::time::Duration;

use annals::{
    AppendError, Backend, Batch, Condition, DecideError, Event, EventStore, InvalidEvent,
    InvalidQuery, Journal, LiveError, Projection, Query, QueryItem, RawEvent, ReadError, Recorded,
    Rejection, SnapshotPolicy,
};
use futures_executor::block_on;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[event(rename = "its-own")]
struct Inner {
    name: String,
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Booking {
    #[event(alias = "seat-booked")]
    SeatSold {
        #[event(tag = "seat")]
        seat: String,
    },
    #[event(rename = "show-cancelled")]
    Cancelled(Inner),
}

fn sold() -> Booking {
    Booking::SeatSold { seat: "12A".into() }
}

/// Queries that no event can match, each with its error message.
fn nameless() -> Vec<(Query, &'static str)> {
    vec![
        (Query::tag(""), "the tag is empty; it must have 1 to 255 bytes"),
        (Query::event_type(""), "the event type is empty"),
        (Query::tag("seat:12A\n"), "the control character '\\n' at byte 8"),
        (Query::event_type("seat\0sold"), "the control character '\\0' at byte 4"),
        (Query::tag("x".repeat(256)), "has 256 bytes; the limit is 255"),
        (Query::tag("a").or(QueryItem::new().tag("b").tag("")), "the tag is empty"),
    ]
}

struct Sold(Query);

impl Projection for Sold {
    type Event = Booking;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn query(&self) -> Query {
        self.0.clone()
    }

    fn apply(&self, sold: &mut u64, _: &Recorded<Booking>) {
        *sold += 1;
    }
}

fn refuses_everywhere<B: Backend<Booking> + 'static>(store: &EventStore<Booking, B>) {
    let mut queries = nameless();
    queries.push((Query::event_type("seat-sld"), "\"seat-sld\"; is it \"seat-sold\"?"));
    queries
        .push((Query::event_type("its-own"), "there are seat-sold, seat-booked, show-cancelled"));
    for (query, expected) in queries {
        let says = |error: &dyn std::error::Error| {
            let error = error.to_string();
            assert!(error.contains(expected), "{error}");
        };
        let len = store.len();
        let condition = Condition::fail_if(query.clone());
        let error = store.append_if([sold()], &condition).unwrap_err();
        assert!(matches!(error, AppendError::InvalidCondition(_)), "{error:?}");
        says(&error);
        says(&block_on(store.append_if_async([sold()], &condition)).unwrap_err());
        let second = Batch::new(vec![sold()])
            .condition(Condition::fail_if(Query::tag("other:1")))
            .condition(Condition::fail_if(query.clone()));
        says(&store.append_as(second).unwrap_err());
        assert_eq!(store.len(), len);

        let read: Vec<_> = store.query(&query).collect();
        let [Err(error)] = &read[..] else { panic!("{read:?}") };
        assert!(matches!(error, ReadError::InvalidQuery(_)), "{error:?}");
        says(error);
        assert!(matches!(&store.query(&query).rev().collect::<Vec<_>>()[..], [Err(_)]));

        // A cursor would wait at the head for ever; this one ends. (The first look does not wait.)
        let looked = store.subscription(query.clone(), 0).next_timeout(Duration::ZERO);
        assert!(matches!(looked, Err(ReadError::InvalidQuery(_))), "{looked:?}");
        let read: Vec<_> = store.subscription(query.clone(), 0).collect();
        let [Err(error)] = &read[..] else { panic!("{read:?}") };
        says(error);
        let read = block_on(store.subscription(query.clone(), 0).stream().collect::<Vec<_>>());
        assert!(matches!(&read[..], [Err(_)]), "{read:?}");

        says(&store.reconstruct(Sold(query.clone())).now().unwrap_err());
        let snapshots =
            || store.reconstruct(Sold(query.clone())).snapshots(SnapshotPolicy::every(1));
        says(&snapshots().now().unwrap_err());
        says(&snapshots().at(0).unwrap_err());
        let mut read = snapshots();
        assert!(matches!(read.steps(..).map(Iterator::count), Err(_) | Ok(1)));
        says(&read.decide(|_| Ok::<_, Rejection>(vec![])).unwrap_err());
        let live = store.reconstruct(Sold(query.clone())).live().unwrap_err();
        assert!(matches!(live, LiveError::Read(ReadError::InvalidQuery(_))), "{live:?}");
        let decided = store.decide(&Sold(query), |_| Ok::<_, Rejection>(vec![sold()]));
        let Err(DecideError::Read(error)) = decided else { panic!("{decided:?}") };
        says(&error);
        assert_eq!(store.len(), len);
    }
}

#[test]
fn a_query_that_no_event_can_match_is_an_error_everywhere() {
    let memory = EventStore::in_memory();
    refuses_everywhere(&memory);
    memory.append(sold()).unwrap();
    refuses_everywhere(&memory);
    let directory = tempfile::tempdir().unwrap();
    let files = EventStore::<Booking, _>::on(Journal::options().open(directory.path()).unwrap());
    files.append(sold()).unwrap();
    refuses_everywhere(&files);
}

#[test]
fn a_store_knows_the_current_and_the_older_types_of_its_events() {
    assert_eq!(Booking::event_types(), Some(&["seat-sold", "seat-booked", "show-cancelled"][..]));
    assert_eq!(Inner::event_types(), Some(&["its-own"][..]));
    assert_eq!(RawEvent::event_types(), None);
    let store = EventStore::in_memory();
    store.append(sold()).unwrap();
    for event_type in ["seat-sold", "seat-booked", "show-cancelled"] {
        assert!(store.query(&Query::event_type(event_type)).all(|event| event.is_ok()));
    }
    // Tools read every type.
    let raw = EventStore::<RawEvent>::in_memory();
    assert_eq!(raw.query(&Query::event_type("anything")).count(), 0);
    for (query, _) in nameless() {
        assert!(matches!(&raw.query(&query).collect::<Vec<_>>()[..], [Err(_)]));
        assert!(query.check().is_err());
    }
    // A prefix is not a name.
    assert_eq!(store.tags("").unwrap().len(), 1);
}

#[test]
fn the_error_has_its_fields() {
    let error = Query::tag("").check().unwrap_err();
    assert!(matches!(
        error,
        InvalidQuery::Name { source: InvalidEvent::EmptyName { what: "tag" } }
    ));
}

#[test]
fn a_condition_given_to_a_backend_itself_is_checked_too() {
    let store = EventStore::<Booking>::in_memory();
    let batch = Batch::new(vec![sold()]).condition(Condition::fail_if(Query::tag("")));
    let error = store.backend().append(batch).unwrap_err();
    assert!(matches!(error, AppendError::InvalidCondition(InvalidQuery::Name { .. })), "{error}");
}

#[test]
fn a_condition_beyond_the_head_is_an_error_that_says_where_the_head_is() {
    fn refuses<B: Backend<Booking>>(store: &EventStore<Booking, B>) {
        let head = store.len();
        let condition = Condition::fail_if(Query::event_type("seat-sold"));
        let refused = store.append_if([sold()], &condition.clone().after(head + 1)).unwrap_err();
        let AppendError::ConditionBeyondHead { after, head: found } = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((after, found), (head + 1, head));
        assert_eq!(store.len(), head);
        // At the head it guards what comes next.
        store.append_if([sold()], &condition.after(head)).unwrap();
    }
    let memory = EventStore::in_memory();
    refuses(&memory);
    refuses(&memory);
    let directory = tempfile::tempdir().unwrap();
    let files = EventStore::<Booking>::open(directory.path().join("store")).unwrap();
    refuses(&files);
    refuses(&files);
}
