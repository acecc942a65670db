//! Ordinals: the number of events of a tag, and the nth of them, in memory, in the Journal, and with the feature `rocksdb`
//! also in RocksDB. Every tenth event has the tag.

use std::path::Path;
use std::time::Instant;

use annals::{Backend, EventStore, Journal, NameKind, RawEvent};

use crate::report::Report;
use crate::table::{Figures, Row};

const TAG: &str = "account:7";
const CALLS: u64 = 20_000;
const BATCH: u64 = 10_000;

const MEMORY: &str = "annals in memory";
const JOURNAL: &str = "annals Journal";
#[cfg(feature = "rocksdb")]
const ROCKSDB: &str = "annals in RocksDB";

const WHAT: [&str; 6] = [
    "first nth after opening, µs",
    "nth at random, µs",
    "count from an offset on, µs",
    "count of a range, µs",
    "revision, µs",
    "offset_at, µs",
];

fn event(n: u64) -> RawEvent {
    let event = RawEvent::builder("booked").data(n.to_string().into_bytes());
    let event = if n.is_multiple_of(10) { event.tag(TAG) } else { event };
    event.build().expect("an event")
}

fn fill<B: Backend<RawEvent>>(store: &EventStore<RawEvent, B>, count: u64) {
    for first in (0..count).step_by(BATCH as usize) {
        store.append_batch((first..count.min(first + BATCH)).map(event)).expect("appends");
    }
}

/// Microseconds a call, at numbers below `below` in an order that no prefetcher guesses.
fn per_call(below: u64, mut call: impl FnMut(u64)) -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let start = Instant::now();
    for _ in 0..CALLS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        call(state % below);
    }
    start.elapsed().as_secs_f64() * 1e6 / CALLS as f64
}

fn measure<B: Backend<RawEvent>>(
    store: &EventStore<RawEvent, B>,
    count: u64,
    figures: &mut [Figures; 6],
) {
    let (kind, tagged) = (NameKind::Tag, count.div_ceil(10));
    let start = Instant::now();
    assert_eq!(store.nth(kind, TAG, 0).expect("reads"), Some(0));
    figures[0].0.push(start.elapsed().as_secs_f64() * 1e6);
    figures[1].0.push(per_call(tagged, |n| {
        assert_eq!(store.nth(kind, TAG, n).expect("reads"), Some(10 * n));
    }));
    figures[2].0.push(per_call(count, |from| {
        let found = store.count(kind, TAG, from..).expect("reads");
        assert_eq!(found, tagged - from.div_ceil(10));
    }));
    figures[3].0.push(per_call(count, |from| {
        let to = count.min(from + count / 3);
        let found = store.count(kind, TAG, from..to).expect("reads");
        assert_eq!(found, to.div_ceil(10) - from.div_ceil(10));
    }));
    figures[4].0.push(per_call(count, |_| {
        assert_eq!(store.revision(TAG).expect("reads"), tagged);
    }));
    let first = store.get(0).expect("reads").expect("an event").time();
    figures[5].0.push(per_call(count, |_| {
        assert_eq!(store.offset_at(first).expect("reads"), 0);
    }));
}

/// The figures of one store.
struct Measured {
    name: &'static str,
    figures: [Figures; 6],
}

/// Measures a store in files, which is filled once and opened again for each round.
fn on_disk<B: Backend<RawEvent>>(
    name: &'static str,
    (rounds, count): (usize, u64),
    open: impl Fn() -> B,
) -> Measured {
    let mut figures = Default::default();
    let store = EventStore::<RawEvent, _>::on(open());
    fill(&store, count);
    drop(store);
    for _ in 0..rounds {
        measure(&EventStore::<RawEvent, _>::on(open()), count, &mut figures);
    }
    Measured { name, figures }
}

/// Measures the stores whose names have one of `only`, or all.
pub fn run(rounds: usize, events: u64, directory: &Path, only: &[String], report: &mut Report) {
    let count = 50 * events;
    let asked = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(&**part));
    let place = tempfile::tempdir_in(directory).expect("a directory for temporary files");
    let mut stores = Vec::new();
    if asked(MEMORY) {
        let memory = EventStore::in_memory();
        fill(&memory, count);
        let mut measured = Measured { name: MEMORY, figures: Default::default() };
        for _ in 0..rounds {
            measure(&memory, count, &mut measured.figures);
        }
        stores.push(measured);
    }
    if asked(JOURNAL) {
        let path = place.path().join("log");
        let open = || Journal::options().open(&path).expect("it opens");
        stores.push(on_disk(JOURNAL, (rounds, count), open));
    }
    #[cfg(feature = "rocksdb")]
    if asked(ROCKSDB) {
        let path = place.path().join("rocks");
        let open = || annals_rocksdb::RocksDb::open(&path).expect("it opens");
        stores.push(on_disk(ROCKSDB, (rounds, count), open));
    }
    let title = format!(
        "Ordinals of a tag that every tenth of {count} events has, median (least–most) of {rounds} rounds"
    );
    let rows = (0..WHAT.len()).map(|at| Row {
        what: WHAT[at].to_owned(),
        figures: stores.iter().map(|store| Some(store.figures[at].clone())).collect(),
    });
    let names: Vec<&str> = stores.iter().map(|store| store.name).collect();
    report.columns(&title, &names, &rows.collect::<Vec<_>>());
}
