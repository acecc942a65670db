//! Appends of one writer and of three, each with a replica of its own, beside as many plain clients.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use annals::{EventStore, RawEvent};
use annals_replicated::{CommitLog as _, ReadLimit, Replicated, Slot, create};
use bytes::Bytes;

use super::engine::{Client as _, Engine};
use crate::report::Report;
use crate::table::{Figures, Row};

/// Each measurement takes so long.
const TIME: Duration = Duration::from_millis(1_000);

/// The writers of a case, and what they append.
#[derive(Debug, Clone, Copy)]
struct Case {
    /// Processes, as far as the log can tell: each has a replica and a connection of its own.
    writers: usize,
    /// Threads of each writer.
    threads: usize,
    /// Events of an append.
    size: usize,
}

const fn case(writers: usize, threads: usize, size: usize) -> Case {
    Case { writers, threads, size }
}

const CASES: [Case; 9] = [
    case(1, 1, 1),
    case(1, 1, 100),
    case(1, 1, 1_000),
    case(1, 32, 1),
    case(3, 1, 1),
    case(3, 1, 100),
    case(3, 1, 1_000),
    // Each writer has several appends under way, where the engine takes them.
    case(3, 8, 1),
    case(3, 8, 100),
];

impl Case {
    fn name(&self) -> String {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let Self { writers, threads, size } = *self;
        let mut name = format!("{writers} writer{}", plural(writers));
        if threads > 1 {
            name += &format!(" of {threads} threads");
        }
        name + &format!(", {size} event{} an append", plural(size))
    }
}

/// What is measured. The shares and the races only have a meaning with several writers.
const MEASURED: [&str; 6] = [
    "appends/s",
    "p50, ms",
    "p99, ms",
    "smallest share of a writer, %",
    "largest share of a writer, %",
    "lost races an append",
];

/// Calls `call` with each client again and again, all at the same time. Returns the milliseconds of each call.
fn at_once<W: Send>(
    clients: Vec<W>,
    call: impl Fn(&mut W, usize) + Sync,
) -> (Vec<Vec<f64>>, f64, Vec<W>) {
    let ready = Barrier::new(clients.len());
    let run = |mut client: W| {
        // A first call makes the connection and the statement.
        call(&mut client, 0);
        ready.wait();
        let (start, mut times) = (Instant::now(), Vec::new());
        while start.elapsed() < TIME {
            let before = Instant::now();
            call(&mut client, times.len());
            times.push(before.elapsed().as_secs_f64() * 1e3);
        }
        (times, start.elapsed().as_secs_f64(), client)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            clients.into_iter().map(|client| scope.spawn(|| run(client))).collect();
        let mut all = (Vec::new(), 0.0_f64, Vec::new());
        for thread in threads {
            let (times, took, client) = thread.join().expect("nobody panicked");
            all.0.push(times);
            all.1 = all.1.max(took);
            all.2.push(client);
        }
        all
    })
}

/// Returns the figures of [`MEASURED`] but the last one. The clients of a writer are next to each other.
fn judge(times: &[Vec<f64>], seconds: f64, threads: usize) -> [f64; 5] {
    let mut all = times.concat();
    all.sort_by(f64::total_cmp);
    let quantile = |part: f64| all[((all.len() as f64 * part) as usize).min(all.len() - 1)];
    let share = |times: &[Vec<f64>]| times.concat().len() as f64 * 100.0 / all.len() as f64;
    let (least, most) = times
        .chunks(threads)
        .map(share)
        .fold((100.0_f64, 0.0_f64), |(least, most), share| (least.min(share), most.max(share)));
    [all.len() as f64 / seconds, quantile(0.5), quantile(0.99), least, most]
}

fn annals<E: Engine>(
    servers: &E,
    store: &str,
    case: Case,
    events: &[RawEvent],
    directory: &Path,
) -> [f64; 6] {
    create(&servers.connect(store)).expect("a record");
    let place = tempfile::tempdir_in(directory).expect("a directory");
    let open = |writer: usize| {
        let replica = place.path().join(format!("{writer}"));
        let replica = Replicated::open(servers.connect(store), replica).expect("opens");
        vec![EventStore::<RawEvent, _>::on(replica); case.threads]
    };
    let stores: Vec<_> = (0..case.writers).flat_map(open).collect();
    let size = case.size;
    let (times, seconds, stores) = at_once(stores, |store, n| {
        let first = n * size % (events.len() - size + 1);
        store.append_batch(events[first..first + size].iter().cloned()).expect("appends");
    });
    let races = stores.iter().step_by(case.threads);
    let races: u64 = races.map(|store| store.backend().record().counts.lost_races).sum();
    let appends: usize = times.iter().map(Vec::len).sum();
    let [rate, p50, p99, least, most] = judge(&times, seconds, case.threads);
    [rate, p50, p99, least, most, races as f64 / appends as f64]
}

/// Returns the first commit of a record behind its genesis.
fn first_commit<E: Engine>(servers: &E, store: &str) -> Bytes {
    let page = servers.connect(store).read(Slot(1), ReadLimit::default()).expect("reads");
    page.entries[0].1.clone()
}

fn plain<E: Engine>(servers: &E, case: Case, body: &Bytes, way: usize) -> [f64; 5] {
    let clients = servers.clients(case.writers, case.threads);
    let (times, seconds, _) = at_once(clients, |client: &mut E::Client, _| client.write(way, body));
    judge(&times, seconds, case.threads)
}

pub(super) fn run<E: Engine>(
    name: &str,
    servers: &E,
    rounds: usize,
    events: &[RawEvent],
    directory: &Path,
    report: &mut Report,
) {
    let candidates = [&["annals"], E::WRITES].concat();
    let mut figures =
        vec![vec![Figures::default(); MEASURED.len()]; candidates.len() * CASES.len()];
    // The first case of each size has one writer and one thread, so that no appends share a commit.
    let mut bodies = HashMap::new();
    for round in 0..rounds {
        for (at, case) in CASES.into_iter().enumerate() {
            let mut add = |candidate: usize, measured: &[f64]| {
                let figures = &mut figures[at * candidates.len() + candidate];
                measured.iter().zip(figures).for_each(|(figure, figures)| figures.0.push(*figure));
            };
            let store = format!("appends-{at}-{round}");
            add(0, &annals(servers, &store, case, events, directory));
            // The plain clients write a commit of one append: an engine may compress what it stores.
            let body = bodies.entry(case.size).or_insert_with(|| first_commit(servers, &store));
            for way in 0..E::WRITES.len() {
                add(way + 1, &plain(servers, case, body, way));
            }
        }
    }
    let mut rows = Vec::new();
    for (case, figures) in CASES.iter().zip(figures.chunks(candidates.len())) {
        for (which, what) in MEASURED.iter().enumerate() {
            if case.writers == 1 && which > 2 {
                continue;
            }
            let of =
                |figures: &Vec<Figures>| Some(figures[which].clone()).filter(|it| !it.0.is_empty());
            rows.push(Row {
                what: format!("{}: {what}", case.name()),
                figures: figures.iter().map(of).collect(),
            });
        }
    }
    let title =
        format!("Appends to {name}, events of 500 bytes, median (least–most) of {rounds} rounds");
    report.ratios(&title, &candidates, &rows);
}
