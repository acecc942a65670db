//! The page of states when a state is large, or when an event cannot be read.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

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
