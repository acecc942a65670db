//! The gauges of a group, as a recorder gets them.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use annals::EventStore;
use annals_consumer::{Consumers as _, Nack, ParkedEvents};
use common::append;
use metrics_exporter_prometheus::PrometheusBuilder;

#[test]
fn gauges_follow_without_a_call_of_status() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let gauges = || {
        let text = handle.render();
        ["lag", "in_flight", "parked"].map(|name| {
            let start = format!("annals_consumer_{name}_events{{consumer=\"billing\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
        })
    };
    metrics::with_local_recorder(&recorder, || {
        let store = EventStore::in_memory();
        append(&store, 0..5);
        let group = store.group("billing").open().unwrap();
        let mut deliveries = group.pull("a", 3, None).unwrap();
        assert_eq!(gauges(), ["5", "3", "0"]);
        deliveries.remove(0).nack(Nack::Park, "no").unwrap();
        deliveries.remove(0).ack().unwrap();
        assert_eq!(gauges(), ["3", "1", "1"]);
        group.drop_parked(ParkedEvents::All).unwrap();
        assert_eq!(gauges(), ["3", "1", "0"]);
        drop(deliveries);
        drop(group);
        // A group that is closed takes its values back.
        assert_eq!(gauges(), ["0", "0", "0"]);
        let group = store.group("billing").open().unwrap();
        group.pull("a", 1, None).unwrap().remove(0).nack(Nack::Park, "no").unwrap();
        drop(group);
        let group = store.group("billing").open().unwrap();
        assert_eq!(group.pull("a", 1, None).unwrap().len(), 1);
        assert_eq!(gauges()[2], "1");
    });
}
