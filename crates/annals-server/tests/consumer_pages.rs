//! The inspector's pages of groups: those that the server runs, and those of a read-only server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use annals::{EventStore, RawEvent};
use annals_consumer::{Consumers as _, Nack};
use annals_server::Server;
use common::{Response, Served, serve};
use serde_json::{Value, json};

const FORM: &str =
    "Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://localhost\r\n";
const GROUP: &str = "/ui/consumers/billing";

fn settle(server: &Served, action: &str) -> Response {
    let body = format!("action={action}");
    server.send("POST", "/ui/consumers/billing/parked", FORM, body.as_bytes())
}

/// Returns the deliveries of a pull.
fn pull(server: &Served) -> Vec<Value> {
    let pulled = server.post("/v1/groups/billing/pull", r#"{"worker":"a","max":10}"#);
    assert_eq!(pulled.status, 200, "{pulled:?}");
    pulled.json()["deliveries"].as_array().unwrap().clone()
}

#[test]
fn parked_events_of_a_group_that_the_server_runs_are_replayed_and_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(Server::open(directory.path().join("a.store")));
    assert_eq!(server.post("/v1/events", r#"{"events":[{"type":"a"},{"type":"b"}]}"#).status, 200);
    let json = "Content-Type: application/json\r\n";
    assert_eq!(server.send("PUT", "/v1/groups/billing", json, b"{}").status, 201);
    for action in ["replay", "drop"] {
        let deliveries = pull(&server);
        assert_eq!(deliveries.len(), 2, "{action}");
        let leases: Vec<&Value> = deliveries.iter().map(|delivery| &delivery["lease"]).collect();
        let nack = json!({ "leases": leases, "action": "park", "reason": "no <address>" });
        assert_eq!(server.post("/v1/groups/billing/nack", &nack.to_string()).status, 200);
        let text = server.get(GROUP).text();
        assert!(text.contains("no &lt;address&gt;") && text.contains("/ui/events/1"), "{text}");
        let settled = settle(&server, action);
        assert_eq!((settled.status, settled.header("location")), (303, Some(GROUP)), "{settled:?}");
        assert!(server.get(GROUP).text().contains("No event is parked"), "{action}");
    }
    assert_eq!(pull(&server), Vec::<Value>::new());
    assert_eq!(server.get("/v1/groups/billing").json()["position"], 2);
}

#[test]
fn a_read_only_server_changes_no_group() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.store");
    {
        let store = EventStore::<RawEvent>::open(&path).unwrap();
        store.append(RawEvent::builder("a").build().unwrap()).unwrap();
        let group = store.group("billing").open().unwrap();
        group.worker("one").next().unwrap().unwrap().nack(Nack::Park, "no address").unwrap();
    }
    let server = serve(Server::open_read_only(&path));
    for action in ["replay", "drop"] {
        let refused = settle(&server, action);
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.text().contains("read-only"), "{refused:?}");
        let text = server.get(GROUP).text();
        assert!(text.contains("no address"), "{text}");
        assert!(!text.contains("Drop all of them"), "{text}");
    }
}

#[test]
fn a_group_that_a_program_runs_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store: EventStore<RawEvent, _> =
        EventStore::open(directory.path().join("a.store")).unwrap();
    store.append(RawEvent::builder("a").build().unwrap()).unwrap();
    let group = store.group("billing").open().unwrap();
    group.worker("one").next().unwrap().unwrap().nack(Nack::Park, "no address").unwrap();
    let server = serve(Server::share(&store));
    assert_eq!(settle(&server, "drop").status, 409);
    assert_eq!(group.parked(0, 9).len(), 1);
}
