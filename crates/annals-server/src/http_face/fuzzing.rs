//! What a fuzz target calls: everything that the face parses.

use annals::RawEvent;

use super::append::{of_json, of_lines};
use super::groups;
use super::params::{Params, number, query_of};
use super::read::{QueryBody, bytes_of};
use crate::fault::Fault;

/// Parses the input as a query string, as numbers, and as every kind of body. Returns the events of a batch.
pub(crate) fn parse(input: &[u8]) -> Vec<RawEvent> {
    if let Ok(text) = std::str::from_utf8(input) {
        parameters(text);
        let _ = number("Last-Event-ID", text).map_err(checked);
        if let Ok(Some(range)) = bytes_of(text, 1_000) {
            assert!(range.start < range.end && range.end <= 1_000, "{text:?}: {range:?}");
        }
        groups::fuzz(text);
    }
    if let Ok(body) = serde_json::from_slice::<QueryBody>(input) {
        let _ = query_of(body.items, "items").map_err(checked);
    }
    let batch = of_json(input).or_else(|_| of_lines(input)).map_err(checked);
    batch.map(|batch| batch.events).unwrap_or_default()
}

fn parameters(text: &str) {
    let names = ["from", "to", "type", "tag", "reverse", "limit", "prefix", "after"];
    let Ok(params) = Params::parse(Some(text), &names).map_err(checked) else { return };
    for name in ["from", "to", "limit"] {
        let _ = params.number(name).map_err(checked);
    }
    let _ = params.flag("reverse").map_err(checked);
    if let Ok(query) = params.query() {
        query.check().expect("a query that was accepted is valid");
    }
}

/// Checks that a failure is a problem that a client can parse.
fn checked(fault: Fault) {
    let problem = fault.to_json();
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    let status = problem["status"].as_u64().expect("a status");
    assert!((400..500).contains(&status), "the client is wrong, not the server: {problem}");
}
