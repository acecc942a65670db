//! Metrics: `stats` returns all of them for every backend, and docs/METRICS.md lists all that a recorder gets.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "the numbers are small and whole"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use annals::{Backend, Condition, EventStore, Journal, Query, RawEvent, Stats};
use futures_executor::block_on;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

fn event(kind: &str) -> RawEvent {
    RawEvent::builder(kind).tag("seat:1").build().unwrap()
}

fn append<B: Backend<RawEvent>>(store: &EventStore<RawEvent, B>, count: u64) {
    for _ in 0..count {
        store.append(event("sold")).unwrap();
    }
}

/// A recorder that stores all descriptions, registrations and values.
#[derive(Default, Clone)]
struct Remembers(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    /// The described kind and unit of each name.
    described: BTreeMap<String, (&'static str, &'static str)>,
    registered: BTreeMap<String, &'static str>,
    backends: BTreeSet<String>,
    values: BTreeMap<String, f64>,
}

struct Number {
    name: String,
    recorder: Remembers,
}

impl Number {
    fn add(&self, value: f64) {
        *self.recorder.0.lock().unwrap().values.entry(self.name.clone()).or_default() += value;
    }
}

impl CounterFn for Number {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }
    fn absolute(&self, _: u64) {
        panic!("stores of one process add up");
    }
}

impl GaugeFn for Number {
    fn increment(&self, value: f64) {
        self.add(value);
    }
    fn decrement(&self, value: f64) {
        self.add(-value);
    }
    fn set(&self, _: f64) {
        panic!("stores of one process add up");
    }
}

impl HistogramFn for Number {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Remembers {
    fn describe(&self, name: &KeyName, kind: &'static str, unit: Option<Unit>) {
        let unit = unit.map_or("", |unit| unit.as_str());
        self.0.lock().unwrap().described.insert(name.as_str().into(), (kind, unit));
    }

    fn register(&self, key: &Key, kind: &'static str) -> Arc<Number> {
        let mut reported = self.0.lock().unwrap();
        reported.registered.insert(key.name().into(), kind);
        reported
            .backends
            .extend(key.labels().map(|label| format!("{}={}", label.key(), label.value())));
        Arc::new(Number { name: key.name().into(), recorder: self.clone() })
    }

    fn value(&self, name: &str) -> Option<f64> {
        self.0.lock().unwrap().values.get(name).copied()
    }
}

impl Recorder for Remembers {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "counter", unit);
    }
    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "gauge", unit);
    }
    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "histogram", unit);
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register(key, "counter"))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register(key, "gauge"))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.register(key, "histogram"))
    }
}

/// The rows of the table of docs/METRICS.md: name, kind and unit. The crate `annals-consumer` reports those of
/// consumers, and `annals-server` those of the server, which are the last ones.
fn documented() -> BTreeMap<String, (String, String)> {
    let page = include_str!("../../../docs/METRICS.md").lines();
    let rows = page.take_while(|line| !line.starts_with("The server (")).filter_map(|line| {
        let mut cells = line.strip_prefix("| `annals_")?.split('|').map(str::trim);
        let name = format!("annals_{}", cells.next()?.trim_end_matches('`'));
        Some((name, (cells.next()?.to_owned(), cells.next()?.to_owned())))
    });
    rows.filter(|(name, _)| !name.starts_with("annals_consumer_")).collect()
}

#[test]
fn the_documented_names_are_exactly_the_reported_names() {
    let recorder = Remembers::default();
    let directory = tempfile::tempdir().unwrap();
    metrics::with_local_recorder(&recorder, || {
        let _memory = EventStore::<RawEvent>::in_memory();
        let _files = EventStore::<RawEvent>::open(directory.path().join("log")).unwrap();
    });
    let reported = recorder.0.lock().unwrap();
    let documented = documented();
    let kinds: BTreeMap<_, _> =
        documented.iter().map(|(name, (kind, _))| (name.clone(), kind.as_str())).collect();
    assert_eq!(reported.registered, kinds);
    for (name, (kind, unit)) in &documented {
        let is_count = ["events", "stores", "-"].contains(&unit.as_str());
        let unit = if is_count { "count" } else { unit };
        assert_eq!(reported.described.get(name), Some(&(kind.as_str(), unit)), "{name}");
    }
    assert_eq!(reported.described.len(), documented.len());
    let backends = ["backend=journal".to_owned(), "backend=memory".to_owned()];
    assert_eq!(reported.backends, BTreeSet::from(backends));
}

#[test]
fn a_store_reports_its_counters_and_subtracts_its_gauges_when_it_is_dropped() {
    let recorder = Remembers::default();
    let stores = metrics::with_local_recorder(&recorder, || {
        [EventStore::<RawEvent>::in_memory(), EventStore::in_memory()]
    });
    for (store, count) in stores.iter().zip([100, 50]) {
        append(store, count);
        assert_eq!(store.stats().events, count);
    }
    assert_eq!(recorder.value("annals_commits_total"), Some(150.0));
    assert_eq!(recorder.value("annals_log_events"), Some(150.0));
    assert_eq!(recorder.value("annals_segments"), Some(2.0));
    drop(stores);
    assert_eq!(recorder.value("annals_events_total"), Some(150.0));
    assert_eq!(recorder.value("annals_log_events"), Some(0.0));
    assert_eq!(recorder.value("annals_event_bytes"), Some(0.0));
}

#[test]
fn stores_that_are_closed_or_read_only_are_counted_until_they_are_dropped() {
    let recorder = Remembers::default();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (writer, reader) = metrics::with_local_recorder(&recorder, || {
        let writer = EventStore::<RawEvent>::open(&path).unwrap();
        (writer, EventStore::<RawEvent>::open_read_only(&path).unwrap())
    });
    let reported = || {
        let _ = (writer.stats(), reader.stats());
        ["closed", "read_only", "poisoned", "full"]
            .map(|state| recorder.value(&format!("annals_{state}_stores")))
    };
    assert_eq!(reported(), [0.0, 1.0, 0.0, 0.0].map(Some));
    writer.close().unwrap();
    assert_eq!(reported(), [1.0, 1.0, 0.0, 0.0].map(Some));
    reader.close().unwrap();
    assert_eq!(reported(), [2.0, 0.0, 0.0, 0.0].map(Some));
    drop((writer, reader));
    assert_eq!(recorder.value("annals_closed_stores"), Some(0.0));
}

/// Uses all kinds of operations of a store, and returns its statistics.
fn used<B: Backend<RawEvent>>(store: &EventStore<RawEvent, B>) -> Stats {
    store.subscribe(|_| {});
    append(store, 10);
    store.append_batch((0..30).map(|_| event("freed"))).unwrap();
    block_on(store.append_async(event("sold"))).unwrap();
    let unsold = Condition::fail_if(Query::tag("seat:1")).after(0);
    store.append_if([event("sold")], &unsold).unwrap_err();
    store.append_batch((0..70_000).map(|_| event("sold"))).unwrap_err();
    (0..41).for_each(|offset| drop(store.get(offset).unwrap().unwrap()));
    assert_eq!(store.read(..).count(), 41);
    let _behind = store.subscription(Query::all(), 1);
    let mut cursor = store.subscription(Query::all(), 0);
    assert_eq!(std::iter::from_fn(|| cursor.try_next()).count(), 41);
    store.stats()
}

/// Asserts what holds for the statistics of every backend.
fn check(stats: &Stats) {
    assert_eq!((stats.events, stats.commits, stats.conflicts), (41, 12, 1));
    assert_eq!((stats.append_errors, stats.read_errors, stats.subscribers), (1, 0, 1));
    let commit = stats.commit_events;
    assert_eq!((commit.count, commit.sum, commit.p50, commit.max), (12, 41, 1, 30));
    assert_eq!((stats.subscriber_lag_events.max, stats.largest_subscriber_lag_events), (41, 40));
    assert!((commit.mean() - 41.0 / 12.0).abs() < 1e-9);
    assert!(
        stats.append_ns.p50 <= stats.append_ns.p95 && stats.append_ns.p99 <= stats.append_ns.max
    );
}

#[test]
fn operations_in_memory_are_sampled() {
    let store = EventStore::in_memory();
    let stats = used(&store);
    check(&stats);
    assert_eq!(stats.sync_ns.count, 0);
    // The first operation of a thread is timed. This test has its own thread; another commits the asynchronous append.
    assert_eq!((stats.append_ns.count, stats.condition_ns.count), (1, 1));
    assert_eq!((stats.subscriber_ns.count, stats.page_ns.count), (2, 1));
    let segments = store.segments();
    assert_eq!((segments.len() as u64, segments[0].first), (stats.segments, 0));
    assert_eq!(segments.iter().map(|segment| segment.event_bytes).sum::<u64>(), stats.event_bytes);
}

#[test]
fn all_operations_in_files_are_timed() {
    let directory = tempfile::tempdir().unwrap();
    let journal =
        Journal::options().segment_bytes(4096).open(directory.path().join("log")).unwrap();
    let store = EventStore::<RawEvent, _>::on(journal);
    let stats = used(&store);
    check(&stats);
    // A batch that is too large is refused before its duration is measured.
    assert_eq!((stats.append_ns.count, stats.sync_ns.count), (13, 12));
    assert_eq!((stats.condition_ns.count, stats.subscriber_ns.count), (1, 41));
    assert!(stats.page_ns.count > 2 && stats.read_ns.count == 1, "{stats:?}");
    assert!(stats.append_ns.max >= stats.sync_ns.max && stats.sync_ns.p50 > 0);
    append(&store, 200);
    let (stats, segments) = (store.stats(), store.segments());
    assert!(segments.len() > 2 && segments.is_sorted_by_key(|segment| segment.first));
    let sum = |bytes: fn(&annals::SegmentStats) -> u64| segments.iter().map(bytes).sum::<u64>();
    assert_eq!(segments.len() as u64, stats.segments);
    assert_eq!(sum(|segment| segment.event_bytes), stats.event_bytes);
    assert_eq!(sum(|segment| segment.index_bytes), stats.index_bytes);
    assert_eq!(sum(|segment| segment.memory_bytes), stats.memory_bytes);
}

#[test]
fn a_cursor_lags_by_the_events_that_it_has_not_searched() {
    let store = EventStore::in_memory();
    let named = |n: u64| RawEvent::builder(if n % 1_000 == 999 { "seldom" } else { "often" });
    store.append_batch((0..60_000).map(|n| named(n).build().unwrap())).unwrap();
    let lag = || store.stats().largest_subscriber_lag_events;
    let mut none = store.subscription(Query::event_type("never"), 0);
    assert_eq!(lag(), 60_000);
    assert!(none.try_next().is_none());
    assert_eq!(lag(), 0, "it has passed over all of them");
    let mut seldom = store.subscription(Query::event_type("seldom"), 0);
    for n in 0..59 {
        assert_eq!(seldom.try_next().unwrap().unwrap().offset, n * 1_000 + 999);
        assert_eq!(lag(), 60_000 - seldom.position());
    }
    assert!(seldom.try_next().is_some());
    assert_eq!(lag(), 0);
    seldom.seek(20_000);
    assert_eq!(lag(), 40_000);
    drop(seldom);
    assert_eq!(lag(), 0);
}

#[test]
fn appends_that_a_read_only_log_refuses_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    append(&EventStore::<RawEvent>::open(&path).unwrap(), 1);
    let journal = Journal::options().open_read_only(&path).unwrap();
    let store = EventStore::<RawEvent, _>::on(journal);
    assert!(store.append(event("sold")).is_err());
    assert!(block_on(store.append_async(event("sold"))).is_err());
    assert_eq!(store.stats().append_errors, 2);
}
