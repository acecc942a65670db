//! The segmented list against what one would use instead: 2 million typed events of 200 bytes, ns each.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use annals_base::segmented_list;

use crate::lists::{
    COUNT, List, annals, append_only, arcs, boxcar_vec, event, locked, plain, ring,
};
use crate::report::Report;
use crate::table::{Figures, Row};

const READS: usize = COUNT;

/// Nanoseconds an operation, of so many.
fn per(count: usize, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / count as f64
}

/// A walk over all indexes in an order that no prefetcher guesses.
fn indexes(seed: usize) -> impl Iterator<Item = usize> {
    let mut state = seed as u64 | 1;
    (0..READS).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % COUNT as u64) as usize
    })
}

fn read(list: &dyn Fn(usize) -> u64, seed: usize) {
    black_box(indexes(seed).map(list).fold(0, u64::wrapping_add));
}

const NAMES: [&str; 7] =
    ["annals", "Vec", "boxcar", "append-only-vec", "locked list", "ring buffer", "array of Arc"];

/// What the figures do not tell.
const NOTE: &str = "\
| | annals | Vec | boxcar | append-only-vec | locked list | ring buffer | array of Arc |
|---|---|---|---|---|---|---|---|
| references stay valid while it grows | yes | no | yes | yes | no | no | the Arcs do |
| readers wait for a writer | no | cannot be shared | no | no | yes | yes | yes |
| keeps every event | yes | yes | yes | yes | yes | no: overwrites the oldest | yes |

The locked list has segments of 1,024 items, then twice as many each. The ring buffer has room for all events here. These
two and the array of Arc are behind a reader-writer lock.";

/// Append, scan, random read by one and by two threads.
const WHAT: [&str; 4] = ["append", "read in order", "read at random", "read at random, 2 threads"];

fn measure<L: List>(build: impl FnOnce() -> L, figures: &mut [Figures; 4]) {
    let start = Instant::now();
    let list = build();
    figures[0].0.push(start.elapsed().as_nanos() as f64 / COUNT as f64);
    figures[1].0.push(per(COUNT, || {
        assert_eq!(black_box(list.scan()), (COUNT as u64 - 1) * COUNT as u64 / 2)
    }));
    let get = |index| list.get(index);
    figures[2].0.push(per(READS, || read(&get, 1)));
    figures[3].0.push(per(2 * READS, || {
        std::thread::scope(|scope| {
            scope.spawn(|| read(&|index| list.get(index), 2));
            scope.spawn(|| read(&|index| list.get(index), 3));
        });
    }));
}

/// The 99th percentile of a random read, in ns, while nobody writes and while one thread appends flat out.
fn read_p99(figures: &mut [Figures; 2]) {
    for (writing, figures) in [false, true].into_iter().zip(figures) {
        let (mut writer, list) = segmented_list();
        (0..COUNT).for_each(|n| {
            writer.push(event(n));
        });
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut n = COUNT;
                while writing && !done.load(Ordering::Relaxed) && n < 4 * COUNT {
                    n = writer.push(event(n));
                }
            });
            let mut took: Vec<u64> = indexes(5)
                .take(READS / 4)
                .map(|index| {
                    let start = Instant::now();
                    black_box(list.get(index).map(|event| event.offset));
                    start.elapsed().as_nanos() as u64
                })
                .collect();
            done.store(true, Ordering::Relaxed);
            took.sort_unstable();
            figures.0.push(took[took.len() * 99 / 100] as f64);
        });
    }
}

pub fn run(rounds: usize, report: &mut Report) {
    let mut figures: [[Figures; 4]; 7] = Default::default();
    let mut p99: [Figures; 2] = Default::default();
    for _ in 0..rounds {
        measure(annals, &mut figures[0]);
        measure(plain, &mut figures[1]);
        measure(boxcar_vec, &mut figures[2]);
        measure(append_only, &mut figures[3]);
        measure(locked, &mut figures[4]);
        measure(ring, &mut figures[5]);
        measure(arcs, &mut figures[6]);
        read_p99(&mut p99);
    }
    let row = |(at, what): (usize, &str)| Row {
        what: what.to_owned(),
        figures: figures.iter().map(|list| Some(list[at].clone())).collect(),
    };
    let rows: Vec<Row> = WHAT.into_iter().enumerate().map(row).collect();
    let title = format!(
        "In memory: {COUNT} events of 200 bytes, ns each, median (least–most) of {rounds} rounds"
    );
    report.ratios(&title, &NAMES, &rows);
    report.note(NOTE);
    let [quiet, busy] = p99;
    let row = Row {
        what: "read at random, p99, ns (with the clock's own cost)".into(),
        figures: vec![Some(busy), Some(quiet)],
    };
    report.ratios(
        "Reading while a writer appends flat out",
        &["a writer runs", "nobody writes"],
        &[row],
    );
}
