//! The keys of a group's events: the stored tags of the events, whatever the event type derives today.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::path::Path;
use std::time::Duration;

use annals::{Event, EventStore, Journal, RawEvent};
use annals_consumer::{Consumers as _, Group};
use common::append;

/// The event type of the program version that wrote the log.
#[derive(Event, Debug)]
enum Before {
    Changed {
        #[event(tag = "order")]
        order: u64,
        part: u64,
    },
}

/// The event type of the next program version: it derives other tags for the same events.
#[derive(Event, Debug)]
enum Today {
    Changed {
        order: u64,
        #[event(tag = "order")]
        part: u64,
    },
}

type Billing<E> = Group<E, Journal<E>>;

/// Returns the offsets of the events that a worker gets now, and keeps them.
fn pull<E: Event>(group: &Billing<E>, worker: &str) -> Vec<u64> {
    let deliveries = group.pull(worker, 9, None).unwrap();
    deliveries.into_iter().map(|delivery| delivery.into_lease().offset()).collect()
}

#[test]
fn events_of_a_key_stay_in_order_when_a_program_derives_other_tags() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let before = EventStore::<Before>::open(&path).unwrap();
    let event = |(order, part)| Before::Changed { order, part };
    before.append_batch([(1, 7), (1, 8), (2, 7)].map(event)).unwrap();
    drop(before);
    let store = EventStore::<Today>::open(&path).unwrap();
    let open = || store.group("billing").key("order:").open().unwrap();
    // Events 0 and 1 are of the order 1. Events 0 and 2 have the same tag only by the new type.
    let group = open();
    let deliveries = group.pull("a", 9, None).unwrap();
    let offsets: Vec<u64> = deliveries.iter().map(|delivery| delivery.offset).collect();
    assert_eq!(offsets, [0, 2]);
    let Today::Changed { order, part } = deliveries[0].event;
    assert_eq!((order, part), (1, 7));
    // As a kill: the leases stay.
    for delivery in deliveries {
        let _ = delivery.into_lease();
    }
    drop(group);
    assert_eq!(pull(&open(), "a"), [0, 2]);
}

/// Makes a store with ten events and the state of an older program, which leased two events of one key.
fn with_two_leases_of_a_key(path: &Path) -> EventStore<RawEvent, Journal<RawEvent>> {
    let store = EventStore::<RawEvent>::open(path).unwrap();
    append(&store, 0..10); // 0 and 5 have one key
    let group = store.group("billing").key("key:").open().unwrap();
    assert_eq!(pull(&group, "a"), [0, 1, 2, 3, 4]);
    drop(group);
    let state = path.join("consumers/billing.group/00000001");
    let state = EventStore::<RawEvent>::open(state).unwrap();
    let lease = r#"{"worker":"b","pull":"6c84fb9012c411e1840d7b25c5ee775a","deadline_ms":4000000000000,"offsets":[5]}"#;
    state.append(RawEvent::builder("events-leased").data(lease).build().unwrap()).unwrap();
    store
}

#[test]
fn a_key_with_two_leases_in_an_old_state_waits_for_both() {
    let directory = tempfile::tempdir().unwrap();
    let store = with_two_leases_of_a_key(&directory.path().join("log.store"));
    append(&store, 10..11); // the third event of the key
    let hour = Duration::from_secs(3_600);
    let open = || store.group("billing").key("key:").deadline(hour);
    let group = open().keep_leases().open().unwrap();
    assert_eq!(group.status().in_flight, 6);
    assert_eq!(pull(&group, "c"), [0_u64; 0], "each key is with a worker");
    drop(group);
    // Without `keep_leases` the events of the key are delivered again, one at a time.
    let group = open().open().unwrap();
    for expected in [0..5, 5..10, 10..11] {
        let deliveries = group.pull("c", 9, None).unwrap();
        let offsets: Vec<u64> = deliveries.iter().map(|delivery| delivery.offset).collect();
        assert_eq!(offsets, expected.collect::<Vec<_>>());
        for delivery in deliveries {
            delivery.ack().unwrap();
        }
    }
    assert_eq!(group.status().position, 11);
}
