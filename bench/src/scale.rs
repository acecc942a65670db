//! What grows with the log and what must not: append rate, open time, memory and a tag's events at so many events.
//!
//! Events are made as they are needed, with payloads from a pool, outside of the time that is measured. A log is
//! opened and read by a process of its own, whose memory is that of the log and of nothing else.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use annals::RawEvent;

use crate::event::{payload, tag};
use crate::peers::candidates;
use crate::report::Report;
use crate::table::{Figures, Row};

const POOL: u64 = 4_096;
const BATCH: u64 = 1_000;
/// Ten events share a tag within so many.
const WINDOW: u64 = 1_000_000;
/// Tags that a probe reads.
const TAGS: u64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(5);

const MEASURED: [&str; 6] = [
    "appended in batches of 1,000, each synced, events/s",
    "open, ms",
    "a tag's 10 events, just opened, events/s",
    "the same tags again, median of five times, events/s",
    "memory after opening and reading, MB",
    "memory of its own, not of mapped files, MB",
];

/// What was asked for of this part.
pub struct Options<'a> {
    /// Bytes of a payload; 0 for the usual one of about 500.
    pub payload_bytes: usize,
    /// So many events in the Journal alone, sampled on the way.
    pub long_run: Option<u64>,
    pub directory: &'a Path,
    pub only: &'a [String],
}

fn tag_of(n: u64, window: u64) -> String {
    format!("{}-{}", n / window, &tag(n % window, window)["channel:".len() + 10..])
}

fn pool(bytes: usize) -> Vec<String> {
    let one = |n| match bytes {
        0 => payload(n),
        bytes => format!("{{\"n\":\"{n:0width$}\"}}", width = bytes.saturating_sub(8).max(1)),
    };
    (0..POOL).map(one).collect()
}

/// Appends events `range` to the log of this name in `path`; seconds that the appends took.
fn fill(name: &str, path: &Path, range: std::ops::Range<u64>, window: u64, pool: &[String]) -> f64 {
    let all = candidates(&[]);
    let candidate = all.iter().find(|candidate| candidate.name == name).expect("is there");
    let peer = (candidate.open)(path);
    let mut took = Duration::ZERO;
    for first in range.clone().step_by(BATCH as usize) {
        let event = |n: u64| {
            let data = pool[(n % POOL) as usize].clone();
            RawEvent::builder("state-signed").tag(tag_of(n, window)).data(data).build()
        };
        let batch: Vec<RawEvent> = (first..(first + BATCH).min(range.end))
            .map(|n| event(n).expect("within the limits"))
            .collect();
        let start = Instant::now();
        peer.append(batch);
        took += start.elapsed();
    }
    took.as_secs_f64()
}

/// A line of this process's status, in MB.
fn resident(what: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kilobytes.unwrap_or(f64::NAN) / 1_024.0
}

/// Opens and reads a log of `count` events, and says what that took on one line.
pub fn probe(name: &str, path: &Path, count: u64) {
    let window = std::env::var("ANNALS_BENCH_WINDOW").ok().and_then(|text| text.parse().ok());
    let window = window.unwrap_or(WINDOW);
    let all = candidates(&[]);
    let candidate = all.iter().find(|candidate| candidate.name == name).expect("is there");
    let before = ["VmRSS", "RssAnon"].map(resident);
    let start = Instant::now();
    let peer = (candidate.open)(path);
    let open = start.elapsed().as_secs_f64() * 1e3;
    let read_tags = || {
        let (start, mut seen, mut sum) = (Instant::now(), 0, 0);
        for n in (0..TAGS).take_while(|_| start.elapsed() < PATIENCE) {
            let at = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % count;
            let found = peer.tag(&tag_of(at, window), &mut |bytes| sum += bytes.len());
            assert!(!peer.readable() || found == 10, "every tag has ten events: {found}");
            seen += found;
        }
        black_box(sum);
        seen as f64 / start.elapsed().as_secs_f64()
    };
    let first = read_tags();
    let again = Figures((0..5).map(|_| read_tags()).collect()).median();
    let after = ["VmRSS", "RssAnon"].map(resident);
    println!("probed {open} {first} {again} {} {}", after[0] - before[0], after[1] - before[1]);
}

/// The same from a process of its own.
fn probed(name: &str, path: &Path, count: u64, window: u64) -> [f64; 5] {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg("--probe").arg(name).arg(path).arg(count.to_string());
    let output = command.env("ANNALS_BENCH_WINDOW", window.to_string()).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.strip_prefix("probed ")).expect("it answers");
    let mut figures = line.split(' ').map(|figure| figure.parse().expect("a number"));
    std::array::from_fn(|_| figures.next().expect("five"))
}

/// Measures one log at each of these sizes, on its way to the largest.
fn grow(
    name: &str,
    sizes: &[u64],
    window: u64,
    pool: &[String],
    options: &Options,
) -> Vec<[f64; 6]> {
    let place = tempfile::tempdir_in(options.directory).expect("a directory for temporary files");
    let mut there = 0;
    let at = |&size: &u64| {
        let took = fill(name, place.path(), there..size, window, pool);
        let rate = (size - there) as f64 / took;
        there = size;
        let [open, first, again, memory, held] = probed(name, place.path(), size, window);
        eprintln!("{name}, {size} events: {rate:.0} events/s appended, opened in {open:.1} ms");
        [rate, open, first, again, memory, held]
    };
    sizes.iter().map(at).collect()
}

pub fn run(events: u64, options: &Options, report: &mut Report) {
    let pool = pool(options.payload_bytes);
    let figure = |number: f64| Some(Figures(vec![number]));
    if let Some(most) = options.long_run {
        let samples = [1, 10, 25, 50, 75, 100].map(|millions| millions * WINDOW);
        let mut sizes: Vec<u64> = samples.into_iter().filter(|&size| size < most).collect();
        sizes.push(most.next_multiple_of(WINDOW));
        let grown = grow("annals Journal", &sizes, WINDOW, &pool, options);
        let row = |at: usize| Row {
            what: MEASURED[at].to_owned(),
            figures: grown.iter().map(|figures| figure(figures[at])).collect(),
        };
        let rows: Vec<Row> = (0..MEASURED.len()).map(row).collect();
        let names: Vec<String> = sizes.iter().map(|size| format!("at {size}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        report.columns("The Journal as it grows, one run", &names, &rows);
        return;
    }
    let sizes = [events * 5, events * 50];
    let window = sizes[0].min(WINDOW) / 10 * 10;
    for (size, ours) in [(sizes[0], false), (sizes[1], true)] {
        let mut all = candidates(options.only);
        // The large log is for us alone: others take minutes to write it.
        all.retain(|one| !ours || one.name == "annals Journal");
        let of = |name: &str| {
            let grown = grow(name, &[size / window * window], window, &pool, options);
            let readable = name != "one plain file";
            let figures = grown[0].iter().enumerate();
            figures
                .map(|(at, &number)| match at == 0 || readable {
                    true => Figures(vec![number]),
                    false => Figures::default(),
                })
                .collect()
        };
        let names: Vec<&str> = all.iter().map(|candidate| candidate.name).collect();
        let figures: Vec<Vec<Figures>> = names.iter().map(|name| of(name)).collect();
        report.candidates(&format!("At {size} events, one run"), &names, &MEASURED, &figures);
    }
}
