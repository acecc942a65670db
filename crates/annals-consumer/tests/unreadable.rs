//! A log with one event that cannot be read: the events before it are delivered, and delivered again.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use annals::{Backend, EventStore, Journal, RawEvent};
use annals_consumer::{ConsumerError, Consumers as _, Group, Nack};
use common::append;
use metrics_exporter_prometheus::PrometheusBuilder;

/// Returns a store with eight events. Event 5 is damaged on the disk.
fn with_a_damaged_event(path: &Path) -> EventStore<RawEvent, Journal<RawEvent>> {
    let store = EventStore::<RawEvent>::open(path).unwrap();
    append(&store, 0..5);
    append_damaged(&store, path);
    append(&store, 6..8);
    store
}

/// Appends an event with the key `key:0`, and damages it on the disk.
fn append_damaged(store: &EventStore<RawEvent, Journal<RawEvent>>, path: &Path) {
    let damaged = RawEvent::builder("counted").tag("key:0").data("this one is damaged");
    store.append(damaged.build().unwrap()).unwrap();
    store.sync().unwrap();
    let text = b"this one is damaged";
    let mut count = 0;
    for entry in fs::read_dir(path).unwrap() {
        let file = entry.unwrap().path();
        let Ok(bytes) = fs::read(&file) else { continue };
        let Some(at) = bytes.windows(text.len()).position(|it| it == text) else { continue };
        let file = OpenOptions::new().write(true).open(file).unwrap();
        file.write_all_at(b"T", at as u64).unwrap();
        count += 1;
    }
    assert_eq!(count, 1);
}

fn is_unreadable(error: &ConsumerError) -> bool {
    matches!(error, ConsumerError::Read(_))
}

fn pull<B: Backend<RawEvent> + 'static>(group: &Group<RawEvent, B>) -> Vec<u64> {
    let deliveries = group.pull("a", 10, None).unwrap();
    deliveries.into_iter().map(|delivery| delivery.into_lease().offset()).collect()
}

#[test]
fn the_events_before_one_that_cannot_be_read_are_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let store = with_a_damaged_event(&directory.path().join("log.store"));
    let group = store.group("billing").open().unwrap();
    assert_eq!(pull(&group), [0, 1, 2, 3, 4]);
    // Nothing is ready, so the error is returned.
    let error = group.pull("a", 10, None).unwrap_err();
    assert!(is_unreadable(&error), "{error}");
    assert_eq!((group.status().position, group.status().in_flight), (0, 5));
}

#[test]
fn what_failed_is_delivered_again_before_an_event_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = with_a_damaged_event(&directory.path().join("log.store"));
    let zero = Duration::ZERO;
    let group = store.group("billing").pauses(zero, zero).open().unwrap();
    let mut worker = group.worker("a").prefetch(10);
    let mut handled = Vec::new();
    let error = loop {
        match worker.try_next().unwrap() {
            Ok(delivery) if (delivery.offset, delivery.attempt()) == (1, 1) => {
                delivery.nack(Nack::Retry, "not yet").unwrap();
            }
            Ok(delivery) => {
                handled.push(delivery.offset);
                delivery.ack().unwrap();
            }
            Err(error) => break error,
        }
    };
    assert!(is_unreadable(&error), "{error}");
    assert_eq!(handled, [0, 2, 3, 4, 1]);
    assert_eq!(group.status().position, 5);
}

#[test]
fn one_consumer_gets_the_events_before_one_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = with_a_damaged_event(&directory.path().join("log.store"));
    let mut mailer =
        store.consumer("mailer").retry_after(Duration::from_secs(3_600)).start().unwrap();
    for expected in 0..5 {
        let delivery = mailer.try_next().unwrap().unwrap();
        assert_eq!(delivery.offset, expected);
        delivery.ack().unwrap();
    }
    assert!(is_unreadable(&mailer.try_next().unwrap().unwrap_err()));
    // Once in each pause.
    assert!(mailer.try_next().is_none());
}

#[test]
fn parked_events_are_counted_when_the_read_behind_them_fails() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    append(&store, 0..1);
    let group = store.group("billing").key("key:").park_key(true);
    let group = metrics::with_local_recorder(&recorder, || group.open().unwrap());
    group.pull("a", 1, None).unwrap().remove(0).nack(Nack::Park, "no").unwrap();
    let same_key = || RawEvent::builder("counted").tag("key:0").build().unwrap();
    store.append_batch([same_key(), same_key()]).unwrap();
    append_damaged(&store, &path);
    let error = group.pull("a", 1, None).unwrap_err();
    assert!(is_unreadable(&error), "{error}");
    assert_eq!(group.status().parked, 3);
    let text = handle.render();
    let expected = "annals_consumer_parked_total{consumer=\"billing\"} 3";
    assert!(text.lines().any(|line| line == expected), "{text}");
}
