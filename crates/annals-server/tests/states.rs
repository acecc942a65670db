//! The page of states when a state is large, or when an event cannot be read.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use annals::{Event, Projection, Query, Recorded};
use annals_server::Server;
use common::trouble::Damaged;
use common::{Served, serve};
use serde_json::{Value, json};

/// Appends events of one tag, each with this data.
fn append(server: &Served, count: usize, data: &Value) {
    let event = json!({ "type": "noted", "tags": ["a"], "data": data });
    for done in (0..count).step_by(500) {
        let events = vec![&event; (count - done).min(500)];
        let appended = server.post("/v1/events", &json!({ "events": events }).to_string());
        assert_eq!(appended.status, 200, "{appended:?}");
    }
}

#[test]
fn a_damaged_event_is_no_end_of_the_log() {
    let server = serve(Server::on(Damaged::at(100)));
    append(&server, 1_000, &json!({}));
    for view in ["view=counts", "view=counts&of=a", "view=merge&of=a"] {
        for _ in 0..2 {
            let response = server.get(&format!("/ui/state?{view}"));
            let text = response.text();
            assert_eq!(response.status, 500, "{view}: {text}");
            assert!(text.contains("damaged"), "{view}: {text}");
        }
    }
}

#[test]
fn a_failure_is_kept_and_the_states_before_it_are_shown() {
    let damaged = Damaged::at(900);
    let reads = Arc::clone(&damaged.reads);
    // Relaxed: the count guards no other memory, and the server has responded.
    let count = || reads.swap(0, Ordering::Relaxed);
    let server = serve(Server::on(damaged));
    append(&server, 1_000, &json!({}));
    count();
    assert_eq!(server.get("/ui/state?view=merge&of=a").status, 500);
    let first = count();
    let again = server.get("/ui/state?view=merge&of=a");
    assert_eq!(again.status, 500);
    assert!(again.text().contains("up to step 900 "), "{again:?}");
    let second = count();
    assert!(second < first, "{second} reads after {first}");
    for (at, status) in [("at=899", 200), ("at=900", 500), ("step=900", 200), ("step=901", 500)] {
        let state = server.get(&format!("/ui/state/json?view=counts&of=a&{at}"));
        assert_eq!(state.status, status, "{at}: {state:?}");
        if status == 200 {
            assert_eq!(state.json()["events"], 900, "{at}");
        }
    }
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Booking {
    SeatSold { price: u32 },
}

struct Takings;

impl Projection for Takings {
    type Event = Booking;
    type State = u32;

    fn initial(&self) -> u32 {
        0
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, sum: &mut u32, event: &Recorded<Booking>) {
        let Booking::SeatSold { price } = &event.event;
        *sum += price;
    }
}

#[test]
fn an_event_that_does_not_decode_fails_no_state_before_it() {
    let server = serve(Server::in_memory().projection("takings", Takings));
    for data in ["1", "2", "3", "\"free\"", "5"] {
        let event = format!(r#"{{"type":"seat-sold","data":{{"price":{data}}}}}"#);
        let appended = server.post("/v1/events", &format!(r#"{{"events":[{event}]}}"#));
        assert_eq!(appended.status, 200, "{appended:?}");
    }
    let state = |at: &str| server.get(&format!("/ui/state/json?view=takings&{at}"));
    for _ in 0..2 {
        for (at, sum) in [("at=0", "1"), ("at=2", "6"), ("step=3", "6"), ("step=2", "3")] {
            assert_eq!((state(at).status, state(at).text().as_str()), (200, sum), "{at}");
        }
        for at in ["at=3", "at=4", "step=4", ""] {
            assert_eq!(state(at).status, 500, "{at}");
        }
    }
}
