//! The metrics that consumers and groups report to the recorder of the crate `metrics`.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::time::Duration;

use annals::EventStore;
use annals_consumer::{Consumers as _, Nack};
use common::append;
use metrics_exporter_prometheus::PrometheusBuilder;

#[test]
fn deliveries_lag_and_parked_events_are_reported_by_name() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let store = EventStore::in_memory();
    append(&store, 0..5);
    let billing = store.group("billing").pauses(Duration::ZERO, Duration::ZERO);
    let (group, mut mailer) = metrics::with_local_recorder(&recorder, || {
        (billing.open().unwrap(), store.consumer("mailer").start().unwrap())
    });
    let value = |name: &str, consumer: &str| {
        let (text, start) = (handle.render(), format!("{name}{{consumer=\"{consumer}\"}} "));
        let line = text.lines().find_map(|line| line.strip_prefix(&start).map(str::to_owned));
        line.unwrap_or_else(|| panic!("{start}is in:\n{text}"))
    };
    let mut deliveries = group.pull("a", 3, None).unwrap();
    drop(deliveries.pop()); // comes again
    deliveries.pop().unwrap().nack(Nack::Park, "no").unwrap();
    let again = group.pull("a", 1, None).unwrap();
    let status = group.status();
    assert_eq!((status.in_flight, status.parked, status.lag), (2, 1, 5));
    let expected = [
        ("annals_consumer_deliveries_total", "4"),
        ("annals_consumer_redeliveries_total", "1"),
        ("annals_consumer_parked_total", "1"),
        ("annals_consumer_in_flight_events", "2"),
        ("annals_consumer_parked_events", "1"),
        ("annals_consumer_lag_events", "5"),
    ];
    for (name, number) in expected {
        assert_eq!(value(name, "billing"), number, "{name}");
    }
    mailer.next().unwrap().unwrap().ack().unwrap();
    let held = mailer.next().unwrap().unwrap();
    assert_eq!(value("annals_consumer_lag_events", "mailer"), "4");
    assert_eq!(value("annals_consumer_deliveries_total", "mailer"), "2");
    // What is gone does not lag.
    held.ack().unwrap();
    assert_eq!(value("annals_consumer_lag_events", "mailer"), "3");
    assert_eq!(value("annals_consumer_in_flight_events", "mailer"), "0");
    drop((mailer, again, deliveries));
    drop(group);
    for consumer in ["mailer", "billing"] {
        assert_eq!(value("annals_consumer_lag_events", consumer), "0");
    }
}
