//! `EventStore::in_memory()`, as a user calls it, against the first design and against what one would use instead:
//! 2 million typed events of 200 bytes, one at a time and in batches, with callbacks, tags and threads.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use annals::{Event, EventStore};
use serde::{Deserialize, Serialize};

use crate::first_design::FirstDesign;
use crate::report::Report;
use crate::table::{Figures, Row};

const COUNT: u64 = 2_000_000;
const BATCH: u64 = 1_000;
const THREADS: u64 = 4;

#[derive(Event, Clone, Serialize, Deserialize)]
pub struct Noted {
    number: u64,
    rest: [u64; 24],
}

#[derive(Event, Clone, Serialize, Deserialize)]
pub struct Tagged {
    #[event(tag = "channel")]
    channel: u64,
    rest: [u64; 24],
}

/// An event of 200 bytes.
trait Sized200: Event + Clone {
    fn numbered(n: u64) -> Self;
    fn number(&self) -> u64;
}

impl Sized200 for Noted {
    fn numbered(n: u64) -> Self {
        Self { number: n, rest: [n; 24] }
    }
    fn number(&self) -> u64 {
        self.number
    }
}

impl Sized200 for Tagged {
    /// Ten events share a tag, spread over the log.
    fn numbered(n: u64) -> Self {
        Self { channel: n % (COUNT / 10), rest: [n; 24] }
    }
    fn number(&self) -> u64 {
        self.rest[0]
    }
}

/// A store that is compared.
trait Store<E>: Sync + Sized {
    fn new() -> Self;
    fn append(&self, event: E);
    fn append_batch(&self, events: Vec<E>);
    /// Adds a callback for each event from now on. Returns whether the store has callbacks.
    fn subscribe(&self, _: impl FnMut(&E) + Send + Sync + 'static) -> bool {
        false
    }
    /// Returns the number of the event at `offset`, if the store can be read.
    fn get(&self, offset: u64) -> Option<u64>;
}

impl<E: Sized200> Store<E> for EventStore<E> {
    fn new() -> Self {
        Self::in_memory()
    }
    fn append(&self, event: E) {
        black_box(Self::append(self, event).expect("appends"));
    }
    fn append_batch(&self, events: Vec<E>) {
        black_box(Self::append_batch(self, events).expect("appends"));
    }
    fn subscribe(&self, mut callback: impl FnMut(&E) + Send + Sync + 'static) -> bool {
        Self::subscribe(self, move |event| callback(&event.event));
        true
    }
    fn get(&self, offset: u64) -> Option<u64> {
        Some(Self::get(self, offset).expect("reads")?.event.number())
    }
}

impl<E: Sized200> Store<E> for FirstDesign<E> {
    fn new() -> Self {
        Self::new()
    }
    fn append(&self, event: E) {
        black_box(Self::append(self, event));
    }
    fn append_batch(&self, events: Vec<E>) {
        Self::append_batch(self, events);
    }
    fn subscribe(&self, callback: impl FnMut(&E) + Send + Sync + 'static) -> bool {
        Self::subscribe(self, callback);
        true
    }
    fn get(&self, offset: u64) -> Option<u64> {
        Self::get(self, offset as usize).map(|event| event.number())
    }
}

impl<E: Sized200> Store<E> for Mutex<Vec<E>> {
    fn new() -> Self {
        Self::default()
    }
    fn append(&self, event: E) {
        self.lock().expect("no panic").push(event);
    }
    fn append_batch(&self, events: Vec<E>) {
        self.lock().expect("no panic").extend(events);
    }
    fn get(&self, offset: u64) -> Option<u64> {
        self.lock().expect("no panic").get(offset as usize).map(E::number)
    }
}

impl<E: Sized200> Store<E> for boxcar::Vec<E> {
    fn new() -> Self {
        Self::new()
    }
    fn append(&self, event: E) {
        self.push(event);
    }
    fn append_batch(&self, events: Vec<E>) {
        events.into_iter().for_each(|event| {
            self.push(event);
        });
    }
    fn get(&self, offset: u64) -> Option<u64> {
        Self::get(self, offset as usize).map(E::number)
    }
}

/// A channel that nobody receives from: it keeps the events, and none can be read without taking it out.
struct Channel<E>(mpsc::Sender<E>, Mutex<mpsc::Receiver<E>>);

impl<E: Sized200> Store<E> for Channel<E> {
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self(sender, Mutex::new(receiver))
    }
    fn append(&self, event: E) {
        self.0.send(event).expect("the receiver is kept");
    }
    fn append_batch(&self, events: Vec<E>) {
        events.into_iter().for_each(|event| self.append(event));
    }
    fn get(&self, _: u64) -> Option<u64> {
        let _ = &self.1;
        None
    }
}

const NAMES: [&str; 5] = ["annals", "first design", "Vec behind a mutex", "boxcar", "channel"];

/// A way to append.
#[derive(Clone, Copy)]
struct Way {
    tagged: bool,
    callbacks: usize,
    threads: u64,
    batch: u64,
}

impl Way {
    /// Returns all ways: one at a time and in batches, by one thread and by four, untagged and tagged, with 0, 1 and 10
    /// callbacks.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for batch in [1, BATCH] {
            for threads in [1, THREADS] {
                for tagged in [false, true] {
                    for callbacks in [0, 1, 10] {
                        all.push(Self { tagged, callbacks, threads, batch });
                    }
                }
            }
        }
        all
    }

    fn name(self) -> String {
        let call = if self.batch == 1 { "append" } else { "batches of 1,000" };
        let tag = if self.tagged { ", with a tag" } else { "" };
        let callbacks = match self.callbacks {
            0 => String::new(),
            1 => ", 1 callback".to_owned(),
            many => format!(", {many} callbacks"),
        };
        let threads = match self.threads {
            1 => String::new(),
            many => format!(", {many} threads"),
        };
        format!("{call}{tag}{callbacks}{threads}")
    }

    /// Appends all events in this way. Returns the nanoseconds an event, or `None` if the store has no callbacks.
    fn measure<S: Store<Noted>, T: Store<Tagged>>(self) -> Option<f64> {
        if self.tagged { append::<_, T>(self) } else { append::<_, S>(self) }
    }
}

const SIMPLE: Way = Way { tagged: false, callbacks: 0, threads: 1, batch: 1 };

/// What is measured besides the ways to append.
const OTHERS: [&str; 5] = [
    "append, p99, with the clock's own cost",
    "append, p99.99",
    "append, the slowest",
    "read in order",
    "read at random",
];

/// Returns the names of the rows.
fn names() -> Vec<String> {
    let ways = Way::all().into_iter().map(Way::name);
    ways.chain(OTHERS.map(str::to_owned)).collect()
}

fn append<E: Sized200, S: Store<E>>(way: Way) -> Option<f64> {
    let Way { callbacks, threads, batch, .. } = way;
    let store = S::new();
    let seen = Arc::new(AtomicU64::new(0));
    for _ in 0..callbacks {
        let seen = Arc::clone(&seen);
        let counted = store.subscribe(move |event: &E| {
            seen.fetch_add(black_box(event).number() & 1, Ordering::Relaxed);
        });
        if !counted {
            return None;
        }
    }
    let (store, share) = (&store, COUNT / threads);
    let write = |thread: u64| {
        let numbers = thread * share..(thread + 1) * share;
        if batch == 1 {
            numbers.for_each(|n| store.append(E::numbered(n)));
        } else {
            for first in numbers.step_by(batch as usize) {
                store.append_batch((first..first + batch).map(E::numbered).collect());
            }
        }
    };
    let start = Instant::now();
    if threads == 1 {
        write(0);
    } else {
        std::thread::scope(|scope| {
            (0..threads).for_each(|thread| drop(scope.spawn(move || write(thread))));
        });
    }
    let took = start.elapsed().as_nanos() as f64 / COUNT as f64;
    assert_eq!(seen.load(Ordering::Relaxed), callbacks as u64 * COUNT / 2, "each is seen");
    Some(took)
}

/// The 99th percentile, the 99.99th and the largest of the times of single appends, in ns.
fn latencies<S: Store<Noted>>() -> [f64; 3] {
    let store = S::new();
    let mut took: Vec<u32> = vec![1; COUNT as usize];
    for (n, took) in took.iter_mut().enumerate() {
        let event = Noted::numbered(n as u64);
        let start = Instant::now();
        store.append(event);
        *took = u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX);
    }
    took.sort_unstable();
    [took.len() * 99 / 100, took.len() * 9_999 / 10_000, took.len() - 1]
        .map(|at| f64::from(took[at]))
}

/// Nanoseconds a read, in order and at random, if the store can be read.
fn reads<S: Store<Noted>>() -> Option<[f64; 2]> {
    let store = S::new();
    (0..COUNT).for_each(|n| store.append(Noted::numbered(n)));
    store.get(0)?;
    let mut state = 1_u64;
    let mut any = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % COUNT
    };
    let read = |offset| black_box(store.get(offset)).expect("it is there");
    let start = Instant::now();
    assert_eq!((0..COUNT).map(read).sum::<u64>(), COUNT * (COUNT - 1) / 2);
    let in_order = start.elapsed();
    let start = Instant::now();
    black_box((0..COUNT).map(|_| read(any())).fold(0, u64::wrapping_add));
    Some([in_order, start.elapsed()].map(|took| took.as_nanos() as f64 / COUNT as f64))
}

fn measure<S: Store<Noted>, T: Store<Tagged>>(figures: &mut [Figures]) {
    // Warm: the memory that this store wants was touched just now. The first touch is measured in a process of its own.
    append::<_, S>(SIMPLE);
    let ways = Way::all().into_iter().map(Way::measure::<S, T>);
    let results = ways.chain(latencies::<S>().map(Some));
    let reads = reads::<S>().map_or([None; 2], |reads| reads.map(Some));
    for (figures, result) in figures.iter_mut().zip(results.chain(reads)) {
        figures.0.extend(result);
    }
}

/// Prints the nanoseconds an append takes in a process that has touched no memory yet: the child of [`run`].
pub fn probe(name: &str) {
    let took = match name {
        "annals" => append::<Noted, EventStore<Noted>>(SIMPLE),
        "first design" => append::<Noted, FirstDesign<Noted>>(SIMPLE),
        "Vec behind a mutex" => append::<Noted, Mutex<Vec<Noted>>>(SIMPLE),
        "boxcar" => append::<Noted, boxcar::Vec<Noted>>(SIMPLE),
        _ => append::<Noted, Channel<Noted>>(SIMPLE),
    };
    println!("{}", took.expect("it needs no callbacks"));
}

/// Nanoseconds an append in a process of its own.
fn first_touch(name: &str) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let child = std::process::Command::new(program).args(["--first-touch", name]).output();
    let out = String::from_utf8(child.expect("it runs").stdout).expect("a number");
    out.trim().parse().expect("a number")
}

pub fn run(rounds: usize, report: &mut Report) {
    let names = names();
    let mut figures: [Vec<Figures>; 5] = Default::default();
    figures.iter_mut().for_each(|store| store.resize(names.len(), Figures::default()));
    let mut first: [Figures; 5] = Default::default();
    for _ in 0..rounds {
        for (first, name) in first.iter_mut().zip(NAMES) {
            first.0.push(first_touch(name));
        }
        measure::<EventStore<_>, EventStore<_>>(&mut figures[0]);
        measure::<FirstDesign<_>, FirstDesign<_>>(&mut figures[1]);
        measure::<Mutex<Vec<_>>, Mutex<Vec<_>>>(&mut figures[2]);
        measure::<boxcar::Vec<_>, boxcar::Vec<_>>(&mut figures[3]);
        measure::<Channel<_>, Channel<_>>(&mut figures[4]);
    }
    let some = |figures: &Figures| (!figures.0.is_empty()).then(|| figures.clone());
    let first = Row {
        what: "append, the first of a process".into(),
        figures: first.iter().map(some).collect(),
    };
    let row = |(at, what): (usize, String)| Row {
        what,
        figures: figures.iter().map(|store| some(&store[at])).collect(),
    };
    let rows: Vec<Row> =
        std::iter::once(first).chain(names.into_iter().enumerate().map(row)).collect();
    let title = format!(
        "The store in memory: {COUNT} events of 200 bytes, ns each, median (least–most) of {rounds} rounds"
    );
    report.ratios(&title, &NAMES, &rows);
    report.note(NOTE);
}

/// What the figures do not tell.
const NOTE: &str = "\
Nothing receives from the channel. A store that takes one event at a time appends a batch event by event, under one lock \
if it has a lock.";
