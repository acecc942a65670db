//! docs/METRICS.md lists all metrics that a replicated log reports of its record.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use annals::RawEvent;
use annals_replicated::Replicated;
use annals_replicated::sim::{Faults, SimLog};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Remembers the kinds of the metrics by their names.
#[derive(Default, Clone)]
struct Remembers(Arc<Mutex<BTreeMap<String, &'static str>>>);

impl Remembers {
    fn note(&self, key: &Key, kind: &'static str) {
        if key.name().starts_with("annals_record_") {
            self.0.lock().expect("no panic").insert(key.name().to_owned(), kind);
        }
    }
}

impl Recorder for Remembers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(key, "counter");
        Counter::noop()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key, "gauge");
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key, "histogram");
        Histogram::noop()
    }
}

#[test]
fn the_documented_names_are_exactly_the_reported_names() {
    let recorder = Remembers::default();
    let directory = tempfile::tempdir().expect("a directory");
    metrics::with_local_recorder(&recorder, || {
        let log = SimLog::new(Faults::none(), 1);
        let _store: Replicated<RawEvent> =
            Replicated::open(log, directory.path()).expect("a store");
    });
    let page = include_str!("../../../docs/METRICS.md").lines();
    let documented: BTreeMap<String, &str> = page
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `annals_record_")?.split('|').map(str::trim);
            let name = cells.next()?.trim_end_matches('`').split('{').next()?;
            Some((format!("annals_record_{name}"), cells.next()?))
        })
        .collect();
    assert_eq!(*recorder.0.lock().expect("no panic"), documented);
}
