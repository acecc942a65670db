//! The reads that an operator's functions cause.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use annals::{EventStore, RawEvent};
use annals_consumer::{ConsumerAdmin, ConsumerError, Consumers as _};
use common::append;
use metrics_exporter_prometheus::PrometheusBuilder;

/// Returns the number of pages that are read of the stores that `work` opens.
fn pages(work: impl FnOnce()) -> u64 {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, work);
    let text = recorder.handle().render();
    let start = "annals_page_duration_seconds_count{backend=\"journal\"} ";
    text.lines().find_map(|line| line.strip_prefix(start)).map_or(0, |count| count.parse().unwrap())
}

#[test]
fn finding_one_group_reads_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::<RawEvent>::open(directory.path().join("log.store")).unwrap();
    append(&store, 0..3);
    let admin = ConsumerAdmin::of(&store).unwrap();
    let find = || assert_eq!(admin.get("billing").unwrap().lag, 3);
    drop(store.group("billing").open().unwrap());
    let alone = pages(find);
    assert!(alone > 0, "the state log of the group is read");
    for name in ["archive", "search", "shipping"] {
        drop(store.group(name).open().unwrap());
    }
    assert_eq!(pages(find), alone);
    assert_eq!(pages(|| assert_eq!(admin.list().unwrap().len(), 4)), 4 * alone);
    let none = pages(|| {
        let error = admin.get("unknown").unwrap_err();
        assert!(matches!(error, ConsumerError::NotFound { .. }), "{error}");
        let error = admin.get("../billing").unwrap_err();
        assert!(matches!(error, ConsumerError::BadName { .. }), "{error}");
    });
    assert_eq!(none, 0);
}
