//! Groups at their edges: a query that matches nothing, deliveries that no worker looked at, a state of another log.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use annals::{EventStore, Query};
use annals_consumer::Consumers as _;
use common::append;

#[test]
fn a_query_that_matches_nothing_delivers_nothing() {
    let store = EventStore::in_memory();
    append(&store, 0..3);
    let none: Query = Vec::new().into_iter().collect();
    for _ in 0..2 {
        let group = store.group("billing").query(none.clone()).open().unwrap();
        assert_eq!(group.pull("a", 10, None).unwrap().len(), 0);
        assert_eq!(group.settings().query(), none);
    }
    let error = store.group("billing").open().unwrap_err();
    assert!(error.to_string().contains("another query"), "{error}");
}
