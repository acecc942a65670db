//! Ordinals: the number of events of a tag, and the nth of them, in memory and in the Journal. Every tenth event has the
//! tag.

use std::path::Path;
use std::time::Instant;

use annals::{Backend, EventStore, NameKind, RawEvent};

use crate::report::Report;
use crate::table::{Figures, Row};

const TAG: &str = "account:7";
const CALLS: u64 = 20_000;
const BATCH: u64 = 10_000;

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

pub fn run(rounds: usize, events: u64, directory: &Path, report: &mut Report) {
    let count = 50 * events;
    let mut figures: [[Figures; 6]; 2] = Default::default();
    let memory = EventStore::in_memory();
    fill(&memory, count);
    let place = tempfile::tempdir_in(directory).expect("a directory for temporary files");
    let path = place.path().join("log");
    let journal = EventStore::<RawEvent>::open(&path).expect("it opens");
    fill(&journal, count);
    drop(journal);
    for _ in 0..rounds {
        measure(&memory, count, &mut figures[0]);
        let journal = EventStore::<RawEvent>::open(&path).expect("it opens");
        measure(&journal, count, &mut figures[1]);
    }
    let title = format!(
        "Ordinals of a tag that every tenth of {count} events has, median (least–most) of {rounds} rounds"
    );
    let rows = (0..WHAT.len()).map(|at| Row {
        what: WHAT[at].to_owned(),
        figures: figures.iter().map(|figures| Some(figures[at].clone())).collect(),
    });
    report.ratios(&title, &["annals in memory", "annals Journal"], &rows.collect::<Vec<_>>());
}
