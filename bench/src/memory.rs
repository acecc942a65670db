//! The segmented list against what one would use instead: 2 million typed events of 200 bytes, ns each.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use annals_base::segmented_list;

use crate::locked::LockedList;
use crate::table::{Figures, Row, markdown};

const COUNT: usize = 2_000_000;
const READS: usize = 2_000_000;

#[derive(Clone)]
struct Event {
    offset: u64,
    _rest: [u64; 24],
}

fn event(n: usize) -> Event {
    Event { offset: n as u64, _rest: [n as u64; 24] }
}

/// A list with all its events, ready to be read.
trait List: Sync {
    fn get(&self, index: usize) -> u64;
    fn scan(&self) -> u64;
}

struct Plain(Vec<Event>);

impl List for Plain {
    fn get(&self, index: usize) -> u64 {
        self.0[index].offset
    }
    fn scan(&self) -> u64 {
        self.0.iter().map(|event| event.offset).sum()
    }
}

struct Annals(annals_base::SegmentedList<Event>);

impl List for Annals {
    fn get(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |event| event.offset)
    }
    fn scan(&self) -> u64 {
        self.0.slices(..).flatten().map(|event| event.offset).sum()
    }
}

impl List for boxcar::Vec<Event> {
    fn get(&self, index: usize) -> u64 {
        boxcar::Vec::get(self, index).map_or(0, |event| event.offset)
    }
    fn scan(&self) -> u64 {
        self.iter().map(|(_, event)| event.offset).sum()
    }
}

impl List for LockedList<Event> {
    fn get(&self, index: usize) -> u64 {
        self.with(index, |event| event.offset)
    }
    fn scan(&self) -> u64 {
        (0..COUNT).map(|index| self.get(index)).sum()
    }
}

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

fn annals() -> Annals {
    let (mut writer, list) = segmented_list();
    (0..COUNT).for_each(|n| {
        writer.push(event(n));
    });
    Annals(list)
}

fn plain() -> Plain {
    let mut list = Vec::new();
    (0..COUNT).for_each(|n| list.push(event(n)));
    Plain(list)
}

fn boxcar_vec() -> boxcar::Vec<Event> {
    let list = boxcar::Vec::new();
    (0..COUNT).for_each(|n| {
        list.push(event(n));
    });
    list
}

fn locked() -> LockedList<Event> {
    let list = LockedList::new();
    (0..COUNT).for_each(|n| list.push(event(n)));
    list
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

pub fn run(rounds: usize) {
    let mut figures: [[Figures; 4]; 4] = Default::default();
    let mut p99: [Figures; 2] = Default::default();
    for _ in 0..rounds {
        measure(annals, &mut figures[0]);
        measure(plain, &mut figures[1]);
        measure(boxcar_vec, &mut figures[2]);
        measure(locked, &mut figures[3]);
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
    println!("{}", markdown(&title, &["annals", "Vec", "boxcar", "locked list"], &rows));
    let [quiet, busy] = p99;
    let row = Row {
        what: "read at random, p99, ns (with the clock's own cost)".into(),
        figures: vec![Some(busy), Some(quiet)],
    };
    println!(
        "{}",
        markdown(
            "Reading while a writer appends flat out",
            &["a writer runs", "nobody writes"],
            &[row]
        )
    );
}
