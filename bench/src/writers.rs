//! Many writers that share syncs: events a second, and the processor time that an event takes. On a file system in memory
//! (`--dir /dev/shm`) a sync takes no time, and what is left is the waiting for each other.

use std::path::Path;
use std::time::{Duration, Instant};

use annals::RawEvent;

use crate::event::events;
use crate::peers::{Peer, candidates};
use crate::report::Report;
use crate::table::Figures;

const WRITERS: [usize; 4] = [1, 4, 16, 64];
/// Each measurement takes so long.
const TIME: Duration = Duration::from_millis(500);

/// The processor time that this process has used, in the system and outside of it, in seconds.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    // The name of the program, in parentheses, may have spaces.
    let fields = stat.rsplit_once(") ").expect("a name").1.split(' ').skip(11).take(2);
    let ticks: u64 = fields.map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    ticks as f64 / 100.0
}

/// Events a second, and microseconds of processor time an event.
fn measure(peer: &dyn Peer, events: &[RawEvent], writers: usize) -> [f64; 2] {
    let (start, used) = (Instant::now(), processor_time());
    let write = |first: usize| {
        let own = events.iter().cycle().skip(first * 97).step_by(writers);
        let own = own.take_while(|_| start.elapsed() < TIME);
        own.map(|event| peer.append(vec![event.clone()])).count()
    };
    let written: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers).map(|n| scope.spawn(move || write(n))).collect();
        threads.into_iter().map(|one| one.join().expect("nobody panicked")).sum()
    });
    let took = start.elapsed().as_secs_f64();
    [written as f64 / took, (processor_time() - used) * 1e6 / written as f64]
}

pub fn run(rounds: usize, count: u64, directory: &Path, only: &[String], report: &mut Report) {
    let events = events(count.min(20_000));
    let candidates = candidates(only);
    let many = |n: &usize| format!("{n} writer{}", if *n == 1 { "" } else { "s" });
    let measured: Vec<String> = ["events/s", "processor time of an event, µs"]
        .iter()
        .flat_map(|what| WRITERS.iter().map(move |n| format!("{}: {what}", many(n))))
        .collect();
    let mut figures = vec![vec![Figures::default(); measured.len()]; candidates.len()];
    for _ in 0..rounds {
        for (candidate, figures) in candidates.iter().zip(&mut figures) {
            for (at, writers) in WRITERS.into_iter().enumerate() {
                let place = tempfile::tempdir_in(directory).expect("a directory");
                let peer = (candidate.open)(place.path());
                let [rate, time] = measure(&*peer, &events, writers);
                figures[at].0.push(rate);
                figures[WRITERS.len() + at].0.push(time);
            }
        }
    }
    let title = format!("Writers that share syncs, median (least–most) of {rounds} rounds");
    let names: Vec<&str> = candidates.iter().map(|candidate| candidate.name).collect();
    let measured: Vec<&str> = measured.iter().map(String::as_str).collect();
    report.candidates_and_ratios(&title, &names, &measured, &figures);
}
