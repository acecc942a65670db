//! How long one call takes: a synced append beside others that append, and a read beside a writer that runs flat out.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use annals::RawEvent;

use crate::event::events;
use crate::peers::{Candidate, Peer, candidates};
use crate::report::Report;
use crate::table::Figures;

const WRITERS: [usize; 4] = [1, 4, 16, 64];
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];
/// The most time that a measurement takes.
const TIME: Duration = Duration::from_millis(1_000);
/// The most appends of a measurement. Reads take the whole time: as many reads end within 5 ms, while the writer beside
/// them has only begun.
const APPENDS: usize = 16_000;
/// The number of events that are read.
const READABLE: usize = 20_000;

/// Microseconds that each call took.
type Samples = Vec<f64>;

fn sample(calls: usize, mut call: impl FnMut(usize)) -> Samples {
    let start = Instant::now();
    let mut samples = Vec::with_capacity(calls.min(1 << 22));
    while start.elapsed() < TIME && samples.len() < calls {
        let before = Instant::now();
        call(samples.len());
        samples.push(before.elapsed().as_nanos() as f64 / 1_000.0);
    }
    samples
}

fn appends(peer: &dyn Peer, events: &[RawEvent], writers: usize) -> Samples {
    let writer = |first: usize| {
        sample(APPENDS / writers, |n| {
            let event = &events[(first + n * writers) % events.len()];
            peer.append(vec![event.clone()]);
        })
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers).map(|n| scope.spawn(move || writer(n))).collect();
        threads.into_iter().flat_map(|one| one.join().expect("nobody panicked")).collect()
    })
}

/// Reads at random while nobody writes and while one writer appends batches of a hundred, one after another.
fn reads(peer: &dyn Peer, events: &[RawEvent]) -> [Samples; 2] {
    let readable = READABLE.min(events.len());
    events[..readable].chunks(1_000).for_each(|batch| peer.append(batch.to_vec()));
    let read = || {
        let mut seen = 0;
        let samples = sample(usize::MAX, |n| {
            let offset = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % readable as u64;
            peer.get(offset, &mut |bytes| seen += bytes.len());
        });
        assert!(seen > 0, "something was read");
        samples
    };
    assert_eq!(peer.scan(&mut |_| ()), Some(readable as u64), "all are there");
    let quiet = read();
    let done = AtomicBool::new(false);
    let busy = std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in events.chunks_exact(100).cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                peer.append(batch.to_vec());
            }
        });
        let samples = read();
        done.store(true, Ordering::Relaxed);
        samples
    });
    [quiet, busy]
}

fn measure(candidate: &Candidate, events: &[RawEvent], directory: &Path) -> Vec<Samples> {
    let place = |name: &str| {
        let path = directory.join(name);
        std::fs::create_dir(&path).expect("a directory can be made");
        (candidate.open)(&path)
    };
    let mut all: Vec<Samples> =
        WRITERS.map(|writers| appends(&*place(&format!("{writers}")), events, writers)).into();
    let peer = place("reads");
    all.extend(if peer.readable() { reads(&*peer, events) } else { Default::default() });
    all
}

fn quantile(samples: &Samples, part: f64) -> Option<f64> {
    // What fewer samples than that cannot tell is not told.
    let enough = samples.len() as f64 * (1.0 - part) >= 1.0;
    enough.then(|| samples[((samples.len() as f64 * part) as usize).min(samples.len() - 1)])
}

pub fn run(rounds: usize, count: u64, directory: &Path, only: &[String], report: &mut Report) {
    let events = events(count.min(20_000));
    let candidates = candidates(only);
    let mut measured: Vec<String> = WRITERS
        .iter()
        .map(|n| format!("synced append, {n} writer{}", if *n == 1 { "" } else { "s" }))
        .collect();
    measured.extend(
        ["read at random, nobody writes", "read at random, a writer runs"].map(String::from),
    );
    let names: Vec<String> = measured
        .iter()
        .flat_map(|what| QUANTILES.map(|(name, _)| format!("{what}: {name}, µs")))
        .collect();
    let mut figures = vec![vec![Figures::default(); names.len()]; candidates.len()];
    for _ in 0..rounds {
        for (candidate, figures) in candidates.iter().zip(&mut figures) {
            let place = tempfile::tempdir_in(directory).expect("a directory for temporary files");
            let all = measure(candidate, &events, place.path());
            for (which, mut samples) in all.into_iter().enumerate() {
                samples.sort_by(f64::total_cmp);
                for (at, (_, part)) in QUANTILES.iter().enumerate() {
                    figures[which * QUANTILES.len() + at].0.extend(quantile(&samples, *part));
                }
            }
        }
    }
    let title = format!("How long a call takes, µs, median (least–most) of {rounds} rounds");
    let candidates: Vec<&str> = candidates.iter().map(|candidate| candidate.name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    report.candidates(&title, &candidates, &names, &figures);
}
