//! Groups at their edges: a query that matches nothing, deliveries that no worker looked at, a state of another log.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::time::Duration;

use annals::{EventStore, Query, RawEvent};
use annals_consumer::{ConsumerAdmin, Consumers as _, Nack};
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

#[test]
fn a_reset_keeps_what_waits_behind_a_parked_event_of_the_key() {
    let store = EventStore::in_memory();
    append(&store, 0..5);
    let group = store.group("billing").key("key:").park_key(true).open().unwrap();
    for delivery in group.pull("a", 5, None).unwrap() {
        match delivery.offset {
            1 => delivery.nack(Nack::Park, "no").unwrap(),
            _ => delivery.ack().unwrap(),
        }
    }
    group.reset(5).unwrap();
    append(&store, 5..8); // 6 has the key of 1
    let offsets: Vec<u64> =
        group.pull("a", 5, None).unwrap().iter().map(|delivery| delivery.offset).collect();
    assert_eq!(offsets, [5, 7]);
    assert_eq!(group.parked(0, 9).iter().map(|parked| parked.offset).collect::<Vec<_>>(), [1, 6]);
}

#[test]
fn a_group_that_parks_keys_from_now_on_knows_what_is_parked_already() {
    let store = EventStore::in_memory();
    append(&store, 0..5);
    let open = |parks| store.group("billing").key("key:").park_key(parks).open().unwrap();
    let group = open(false);
    for delivery in group.pull("a", 5, None).unwrap() {
        match delivery.offset {
            1 => delivery.nack(Nack::Park, "no").unwrap(),
            _ => delivery.ack().unwrap(),
        }
    }
    drop(group);
    append(&store, 5..8); // 6 has the key of 1
    let group = open(true);
    assert!(group.settings().parks_key);
    let offsets: Vec<u64> =
        group.pull("a", 5, None).unwrap().iter().map(|delivery| delivery.offset).collect();
    assert_eq!(offsets, [5, 7]);
    drop(group);
    // The new settings are stored: the next process lists them, and parks behind both.
    let info = ConsumerAdmin::of(&store).unwrap().get("billing").unwrap();
    assert_eq!(info.parked, 2);
    append(&store, 8..12); // 11 has the key of 1
    let group = open(true);
    assert!(!group.pull("a", 9, None).unwrap().iter().any(|delivery| delivery.offset == 11));
    assert_eq!(group.parked(0, 9).iter().map(|it| it.offset).collect::<Vec<_>>(), [1, 6, 11]);
}

#[test]
fn deliveries_that_were_fetched_and_not_looked_at_cost_no_attempt() {
    let store = EventStore::in_memory();
    append(&store, 0..4);
    store.close().unwrap();
    let hour = Duration::from_secs(3_600);
    let group = store.group("billing").max_attempts(1).pauses(hour, hour).open().unwrap();
    let mut worker = group.worker("a").prefetch(4);
    worker.next().unwrap().unwrap().ack().unwrap();
    assert_eq!(group.status().in_flight, 3);
    drop(worker); // as when its task is cancelled
    let status = group.status();
    assert_eq!((status.in_flight, status.retrying, status.parked), (0, 0, 0));
    let mut offsets = Vec::new();
    for delivery in group.worker("b") {
        let delivery = delivery.unwrap();
        assert_eq!(delivery.attempt(), 1);
        offsets.push(delivery.offset);
        delivery.ack().unwrap();
    }
    assert_eq!(offsets, [1, 2, 3]);
}

#[test]
fn a_pause_is_never_longer_than_the_settings_allow() {
    let store = EventStore::in_memory();
    append(&store, 0..1);
    let open = |pause| store.group("billing").pauses(pause, pause).open().unwrap();
    let group = open(Duration::from_secs(3_600));
    let delivery = group.pull("a", 1, None).unwrap().remove(0);
    delivery.nack(Nack::Retry, "no").unwrap();
    assert_eq!(group.pull("a", 1, None).unwrap().len(), 0);
    drop(group);
    // As after a restart with a clock that has gone back by an hour.
    let group = open(Duration::ZERO);
    assert_eq!(group.pull("a", 1, None).unwrap()[0].attempt(), 2);
}

#[test]
fn a_skipped_event_counts_as_handled_and_its_reason_stays_in_the_state_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    append(&store, 0..2);
    let group = store.group("billing").open().unwrap();
    for delivery in group.pull("a", 2, None).unwrap() {
        match delivery.offset {
            0 => delivery.ack().unwrap(),
            _ => delivery.nack(Nack::Skip, "a test order").unwrap(),
        }
    }
    let status = group.status();
    assert_eq!((status.position, status.parked, status.retrying), (2, 0, 0));
    drop(group);
    let state = path.join("consumers/billing.group/00000001");
    let state = EventStore::<RawEvent>::open_read_only(state).unwrap();
    let skipped = state.query(&Query::tag("offset:1")).next().unwrap().unwrap();
    assert_eq!(skipped.event.event_type(), "event-skipped");
    let data = String::from_utf8(skipped.event.data_bytes().to_vec()).unwrap();
    assert!(data.contains("a test order"), "{data}");
}
