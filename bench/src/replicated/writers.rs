//! Appends of one writer and of three, each with a replica of its own, beside as many plain clients.

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use annals::{EventStore, RawEvent};
use annals_replicated::{CommitBatch, HEADER_BYTES, Replicated, create, encoded_bytes};

use super::plain::Plain;
use super::{SIZES, Servers};
use crate::report::Report;
use crate::table::{Figures, Row};

const WRITERS: [usize; 2] = [1, 3];
/// Each measurement takes so long for each writer.
const TIME: Duration = Duration::from_millis(1_000);

/// What is measured, and what more of it is better.
const MEASURED: [&str; 6] = [
    "commits/s",
    "p50, ms",
    "p99, ms",
    "smallest share of a writer, %",
    "largest share of a writer, %",
    "lost races a commit",
];
const CANDIDATES: [&str; 3] =
    ["annals", "plain insert", "plain insert with NOTIFY in its transaction"];

/// Calls `call` with each writer again and again, all at the same time. Returns the milliseconds of each call.
fn at_once<W: Send>(
    writers: Vec<W>,
    call: impl Fn(&mut W, usize) + Sync,
) -> (Vec<Vec<f64>>, f64, Vec<W>) {
    let ready = Barrier::new(writers.len());
    let run = |mut writer: W| {
        // A first call makes the connection and the statement.
        call(&mut writer, 0);
        ready.wait();
        let (start, mut times) = (Instant::now(), Vec::new());
        while start.elapsed() < TIME {
            let before = Instant::now();
            call(&mut writer, times.len());
            times.push(before.elapsed().as_secs_f64() * 1e3);
        }
        (times, start.elapsed().as_secs_f64(), writer)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            writers.into_iter().map(|writer| scope.spawn(|| run(writer))).collect();
        let mut all = (Vec::new(), 0.0_f64, Vec::new());
        for thread in threads {
            let (times, took, writer) = thread.join().expect("nobody panicked");
            all.0.push(times);
            all.1 = all.1.max(took);
            all.2.push(writer);
        }
        all
    })
}

/// Returns the figures of [`MEASURED`] but the last one.
fn judge(times: &[Vec<f64>], seconds: f64) -> [f64; 5] {
    let mut all = times.concat();
    all.sort_by(f64::total_cmp);
    let quantile = |part: f64| all[((all.len() as f64 * part) as usize).min(all.len() - 1)];
    let share = |times: &Vec<f64>| times.len() as f64 * 100.0 / all.len() as f64;
    let (least, most) = times
        .iter()
        .map(share)
        .fold((100.0_f64, 0.0_f64), |(least, most), share| (least.min(share), most.max(share)));
    [all.len() as f64 / seconds, quantile(0.5), quantile(0.99), least, most]
}

fn annals(
    servers: &Servers,
    store: &str,
    writers: usize,
    events: &[RawEvent],
    size: usize,
    directory: &Path,
) -> [f64; 6] {
    create(&servers.connect(store)).expect("a record");
    let place = tempfile::tempdir_in(directory).expect("a directory");
    let open = |writer: usize| {
        let replica = place.path().join(format!("{writer}"));
        EventStore::<RawEvent, _>::on(
            Replicated::open(servers.connect(store), replica).expect("opens"),
        )
    };
    let stores: Vec<_> = (0..writers).map(open).collect();
    let (times, seconds, stores) = at_once(stores, |store, n| {
        let first = n * size % (events.len() - size + 1);
        store.append_batch(events[first..first + size].iter().cloned()).expect("appends");
    });
    let races: u64 = stores.iter().map(|store| store.backend().record().counts.lost_races).sum();
    let commits: usize = times.iter().map(Vec::len).sum();
    let [rate, p50, p99, least, most] = judge(&times, seconds);
    [rate, p50, p99, least, most, races as f64 / commits as f64]
}

fn plain(
    servers: &Servers,
    writers: usize,
    bytes: usize,
    insert: fn(&mut Plain, &[u8]),
) -> [f64; 5] {
    let clients = (0..writers).map(|writer| Plain::connect(servers.primary(), writer)).collect();
    let body = vec![7; bytes];
    let (times, seconds, _) = at_once(clients, |client: &mut Plain, _| insert(client, &body));
    judge(&times, seconds)
}

pub(super) fn run(
    name: &str,
    servers: &Servers,
    rounds: usize,
    events: &[RawEvent],
    directory: &Path,
    report: &mut Report,
) {
    let mut figures = vec![
        vec![Figures::default(); MEASURED.len()];
        CANDIDATES.len() * SIZES.len() * WRITERS.len()
    ];
    for round in 0..rounds {
        let cases = WRITERS.iter().flat_map(|writers| SIZES.map(|size| (*writers, size)));
        for (at, (writers, size)) in cases.enumerate() {
            let batch = CommitBatch { time_ms: 0, events: events[..size].to_vec() };
            let bytes = HEADER_BYTES + encoded_bytes(&batch);
            let store = format!("{writers}-{size}-{round}");
            let mut add = |candidate: usize, measured: &[f64]| {
                let figures = &mut figures[at * CANDIDATES.len() + candidate];
                measured.iter().zip(figures).for_each(|(figure, figures)| figures.0.push(*figure));
            };
            add(0, &annals(servers, &store, writers, events, size, directory));
            add(1, &plain(servers, writers, bytes, Plain::insert));
            add(2, &plain(servers, writers, bytes, Plain::insert_and_notify));
        }
    }
    let mut rows = Vec::new();
    for (at, figures) in figures.chunks(CANDIDATES.len()).enumerate() {
        let (writers, size) = (WRITERS[at / SIZES.len()], SIZES[at % SIZES.len()]);
        for (which, what) in MEASURED.iter().enumerate() {
            if writers == 1 && which > 2 {
                continue;
            }
            let plural = |count: usize| if count == 1 { "" } else { "s" };
            let case = format!(
                "{writers} writer{}, {size} event{} a commit",
                plural(writers),
                plural(size)
            );
            let of =
                |figures: &Vec<Figures>| Some(figures[which].clone()).filter(|it| !it.0.is_empty());
            rows.push(Row {
                what: format!("{case}: {what}"),
                figures: figures.iter().map(of).collect(),
            });
        }
    }
    let title = format!(
        "Appends to PostgreSQL, {name}, events of 500 bytes, median (least–most) of {rounds} rounds"
    );
    report.ratios(&title, &CANDIDATES, &rows);
}
