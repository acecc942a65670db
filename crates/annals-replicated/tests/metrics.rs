//! docs/METRICS.md lists all metrics that a replicated log reports of its record, and each changes with its cause.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use annals::{EventStore, RawEvent};
use annals_replicated::sim::{Broken, Faults, Random, SimLog, SimRecord};
use annals_replicated::{Chain, Content, Replicated, Slot};
use bytes::Bytes;
use metrics::atomics::AtomicU64;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use uuid::Uuid;

/// What takes longer than this counts as hanging, on any machine.
const HANGS: Duration = Duration::from_secs(120);

/// The metrics of a record, by their names.
#[derive(Default, Clone)]
struct Remembers(Arc<Mutex<BTreeMap<String, Metric>>>);

#[derive(Clone)]
struct Metric {
    kind: &'static str,
    /// The count of a counter, and the bits of the number of a gauge.
    value: Arc<AtomicU64>,
}

impl Remembers {
    /// Returns the value of a metric. Its name has the label `result`, if the metric has one.
    fn note(&self, key: &Key, kind: &'static str) -> Arc<AtomicU64> {
        let mut name = key.name().to_owned();
        if let Some(label) = key.labels().find(|label| label.key() == "result") {
            name = format!("{name}{{{}}}", label.value());
        }
        let metric = Metric { kind, value: Arc::default() };
        if !name.starts_with("annals_record_") {
            return metric.value;
        }
        let mut all = self.0.lock().expect("no panic");
        Arc::clone(&all.entry(name).or_insert(metric).value)
    }

    fn of(&self, name: &str) -> Metric {
        self.0.lock().expect("no panic")[&format!("annals_record_{name}")].clone()
    }

    fn count(&self, name: &str) -> u64 {
        let Metric { kind, value } = self.of(name);
        assert_eq!(kind, "counter", "{name}");
        value.load(Ordering::SeqCst)
    }

    /// Returns whether a gauge has this value.
    fn is(&self, name: &str, number: u32) -> bool {
        let Metric { kind, value } = self.of(name);
        assert_eq!(kind, "gauge", "{name}");
        value.load(Ordering::SeqCst) == f64::from(number).to_bits()
    }

    /// Waits until a gauge has this value.
    fn reaches(&self, name: &str, number: u32) {
        wait_for(name, || self.is(name, number));
    }
}

fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_there() {
        assert!(began.elapsed() < HANGS, "{what} does not change");
        thread::sleep(Duration::from_millis(5));
    }
}

impl Recorder for Remembers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.note(key, "counter"))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.note(key, "gauge"))
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
    let all = recorder.0.lock().expect("no panic");
    // A name without the values of its labels.
    let name = |name: &str| name.split('{').next().map(str::to_owned);
    let reported: BTreeMap<String, &str> =
        all.iter().filter_map(|(full, metric)| Some((name(full)?, metric.kind))).collect();
    assert_eq!(reported, documented);
}

fn event() -> RawEvent {
    RawEvent::builder("counted").build().expect("an event")
}

/// Adds commits without events, as another process would.
fn add_commits(record: &mut SimRecord, count: usize) {
    let mut chain = Chain::new(None);
    for (entry, slot) in record.entries().iter().zip(1..) {
        chain.push(Slot(slot), entry);
    }
    let mut tip = *chain.tip().expect("a genesis");
    for _ in 0..count {
        let barrier = tip.next(Uuid::from_u128(2), Content::Barrier);
        tip = tip.after(&barrier).expect("it follows");
        record.arrive(record.last(), &barrier.entries(usize::MAX)[0], false);
    }
}

#[test]
fn each_metric_changes_with_its_cause() {
    let metrics = Remembers::default();
    let directory = tempfile::tempdir().expect("a directory");
    let log = SimLog::new(Faults::none(), 1);
    let store = metrics::with_local_recorder(&metrics, || {
        Replicated::open(log.clone(), directory.path()).expect("a store")
    });
    let store = EventStore::<RawEvent, _>::on(store);
    for _ in 0..9 {
        store.append(event()).expect("an offset");
    }
    let away = Faults { failed_reads: 100, ..Faults::none() };
    let counts = ["voids_total", "lost_races_total", "anchor_checks_total{failed}"];
    let counted = || counts.map(|name| metrics.count(name));
    assert_eq!(counted(), [0, 0, 0]);
    metrics.reaches("lag_slots", 0);

    // Others append, and this process cannot read. When it can again, it checks its last commit.
    log.set_faults(away);
    log.change(|record| add_commits(record, 3));
    metrics.reaches("lag_slots", 3);
    let checks = metrics.count("anchor_checks_total{found}");
    log.set_faults(Faults::none());
    metrics.reaches("lag_slots", 0);
    wait_for("anchor_checks_total", || metrics.count("anchor_checks_total{found}") > checks);
    assert_eq!(counted(), [0, 0, 0]);

    // An entry of another program.
    log.change(|record| record.arrive(record.last(), &Bytes::from_static(b"foreign"), false));
    wait_for("voids_total", || metrics.count("voids_total") == 1);

    // The outcome of an append is not known. Then another process is faster.
    log.set_faults(Faults { lost_entries: 100, ..Faults::none() });
    assert_eq!((counted(), metrics.is("doubts", 0)), ([1, 0, 0], true));
    thread::scope(|scope| {
        let append = scope.spawn(|| store.append(event()));
        metrics.reaches("doubts", 1);
        log.change(|record| add_commits(record, 1));
        wait_for("lost_races_total", || metrics.count("lost_races_total") == 1);
        log.set_faults(Faults::none());
        append.join().expect("no panic").expect("an offset");
    });
    metrics.reaches("doubts", 0);
    assert_eq!((counted(), metrics.is("diverged", 0)), ([1, 1, 0], true));

    // The record loses commits that this process has, while the process cannot read.
    log.set_faults(away);
    log.change(|record| add_commits(record, 1));
    metrics.reaches("lag_slots", 1);
    log.change(|record| record.break_promise(Broken::ReplacedTail, &mut Random::new(3)));
    log.set_faults(Faults::none());
    metrics.reaches("diverged", 1);
    assert_eq!(counted(), [1, 1, 1]);
    drop(store);
    for gauge in ["lag_slots", "doubts", "diverged"] {
        metrics.reaches(gauge, 0);
    }
    assert_eq!(counted(), [1, 1, 1]);
}
