//! Logs that are kept on disk, side by side: each does the same with the same events, in turn, in every round.

mod annals;
mod file;
mod fjall;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
#[cfg(feature = "sierradb")]
mod sierradb;
mod sqlite;
#[cfg(feature = "umadb")]
mod umadb;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use ::annals::RawEvent;

use crate::event::{events, tag};
use crate::report::Report;
use crate::table::Figures;

/// A log on disk.
pub trait Peer: Send + Sync {
    /// Appends these events together; they are on the disk when it returns.
    fn append(&self, events: Vec<RawEvent>);

    /// Whether it can be read.
    fn readable(&self) -> bool {
        true
    }

    /// Reads every event in order and shows each payload; answers how many there were, or `None` if it cannot read.
    fn scan(&self, see: &mut dyn FnMut(&[u8])) -> Option<u64>;

    /// Reads the event at `offset`.
    fn get(&self, offset: u64, see: &mut dyn FnMut(&[u8]));

    /// Reads the events with this tag in order; answers how many.
    fn tag(&self, tag: &str, see: &mut dyn FnMut(&[u8])) -> u64;
}

/// A kind of log, and how to open one in a directory that is there, empty or as it was left.
pub struct Candidate {
    pub name: &'static str,
    pub open: fn(&Path) -> Box<dyn Peer>,
}

impl Candidate {
    pub const fn new(name: &'static str, open: fn(&Path) -> Box<dyn Peer>) -> Self {
        Self { name, open }
    }
}

/// An offset from the eight bytes of a key.
fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("8 bytes"))
}

/// The key of a tag's event, in stores of keys and values.
fn tag_key(tag: &str, offset: u64) -> Vec<u8> {
    let mut key = tag.as_bytes().to_vec();
    key.push(0);
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

/// What is measured of each.
const COLUMNS: [&str; 9] = [
    "bulk: batches of 1,000, each synced, events/s",
    "one writer, 1 event a sync, events/s",
    "16 writers, 1 event each, synced, events/s",
    "64 writers, 1 event each, synced, events/s",
    "scan all, events/s",
    "get at random, events/s",
    "a tag's 10 events, events/s",
    "bytes an event on disk",
    "open, ms",
];

/// Synced appends of single events that are timed, by one writer and by many, and the time they may take.
const SINGLES: usize = 1_000;
const TOGETHER: usize = 8_000;
const PATIENCE: Duration = Duration::from_secs(2);

/// Those whose names have one of `only`, or all.
pub fn candidates(only: &[String]) -> Vec<Candidate> {
    let mut all = vec![annals::JOURNAL];
    #[cfg(feature = "rocksdb")]
    all.extend([rocksdb::ANNALS, rocksdb::PLAIN]);
    all.extend([file::FILE, sqlite::SQLITE, fjall::FJALL, redb::REDB]);
    #[cfg(feature = "umadb")]
    all.push(umadb::UMADB);
    #[cfg(feature = "sierradb")]
    all.push(sierradb::SIERRADB);
    all.retain(|one| only.is_empty() || only.iter().any(|name| one.name.contains(name.as_str())));
    #[cfg(feature = "rocksdb")]
    if only.iter().any(|name| name == "layout") {
        all.extend(rocksdb::LAYOUTS);
    }
    all
}

/// Measures all of them.
pub fn run(rounds: usize, count: u64, directory: &Path, only: &[String], report: &mut Report) {
    let events = events(count);
    let candidates = candidates(only);
    let mut figures: Vec<Vec<Figures>> =
        candidates.iter().map(|_| COLUMNS.iter().map(|_| Figures::default()).collect()).collect();
    for _ in 0..rounds {
        for (candidate, figures) in candidates.iter().zip(&mut figures) {
            let place = tempfile::tempdir_in(directory).expect("a directory for temporary files");
            for (column, figure) in
                measure(candidate, &events, place.path()).into_iter().enumerate()
            {
                figures[column].0.extend(figure);
            }
        }
    }
    let names: Vec<&str> = candidates.iter().map(|candidate| candidate.name).collect();
    let title =
        format!("On disk: {count} events of 500 bytes, median (least–most) of {rounds} rounds");
    report.candidates_and_ratios(&title, &names, &COLUMNS, &figures);
}

/// One round of one candidate: a figure for each column, if it has one.
fn measure(candidate: &Candidate, events: &[RawEvent], place: &Path) -> Vec<Option<f64>> {
    let directory = |name: &str| {
        let path = place.join(name);
        std::fs::create_dir(&path).expect("a directory can be made");
        path
    };
    let bulk = directory("bulk");
    let peer = (candidate.open)(&bulk);
    let batches: Vec<Vec<RawEvent>> = events.chunks(1_000).map(<[RawEvent]>::to_vec).collect();
    let bulk_rate = rate(events.len() as u64, || {
        batches.into_iter().for_each(|batch| peer.append(batch));
    });
    drop(peer);
    let bytes = size(&bulk) as f64 / events.len() as f64;

    let single = (candidate.open)(&directory("single"));
    let some = &events[..SINGLES.min(events.len())];
    let single_rate = write_from(&*single, some, 1);
    drop(single);
    let many = &events[..TOGETHER.min(events.len())];
    let together = [16, 64].map(|writers| {
        let peer = (candidate.open)(&directory(&format!("writers-{writers}")));
        write_from(&*peer, many, writers)
    });

    let start = Instant::now();
    let peer = (candidate.open)(&bulk);
    let open = start.elapsed().as_secs_f64() * 1e3;
    let reads = read(&*peer, events.len() as u64);
    let mut figures =
        vec![Some(bulk_rate), Some(single_rate), Some(together[0]), Some(together[1])];
    figures.extend(reads);
    figures.extend([Some(bytes), reads[0].map(|_| open)]);
    figures
}

/// Returns the events a second of a scan, of reads by offset, and of reads by tag.
pub fn read(peer: &dyn Peer, count: u64) -> [Option<f64>; 3] {
    let mut sum = 0;
    let mut see =
        |bytes: &[u8]| sum += bytes.chunks(64).map(|chunk| u64::from(chunk[0])).sum::<u64>();
    // Once to warm up what there is of caches, for everybody.
    if !peer.readable() {
        return [None; 3];
    }
    peer.scan(&mut see);
    let scan = rate(count, || assert_eq!(peer.scan(&mut see), Some(count), "all are there"));
    let at_random = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % count;
    let get = repeat(50_000, |n| {
        peer.get(at_random(n), &mut see);
        1
    });
    let tag = repeat(5_000, |n| {
        let seen = peer.tag(&tag(at_random(n), count), &mut see);
        assert_eq!(seen, 10, "every tag has ten events");
        seen
    });
    black_box(sum);
    [Some(scan), Some(get), Some(tag)]
}

/// Events a second.
fn rate(count: u64, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    count as f64 / start.elapsed().as_secs_f64()
}

/// Does it so often, or as often as there is time: what it saw a second.
fn repeat(times: u64, mut work: impl FnMut(u64) -> u64) -> f64 {
    let start = Instant::now();
    let seen: u64 = (0..times).take_while(|_| start.elapsed() < PATIENCE).map(&mut work).sum();
    seen as f64 / start.elapsed().as_secs_f64()
}

/// So many writers append all of `events`, or what they can in time, one event at a time: events a second.
fn write_from(peer: &dyn Peer, events: &[RawEvent], writers: usize) -> f64 {
    let start = Instant::now();
    let written: usize = std::thread::scope(|scope| {
        let write = |part: &[RawEvent]| {
            part.iter()
                .take_while(|_| start.elapsed() < PATIENCE)
                .map(|event| peer.append(vec![event.clone()]))
                .count()
        };
        let parts = events.chunks(events.len().div_ceil(writers));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || write(part))).collect();
        threads.into_iter().map(|thread| thread.join().expect("nobody panicked")).sum()
    });
    written as f64 / start.elapsed().as_secs_f64()
}

/// Bytes of disk that a directory's files take: what is allocated, not how long they look.
fn size(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(directory).expect("the directory is there");
    let sizes = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        let found = std::fs::metadata(&path).expect("the file is there");
        if found.is_dir() {
            size(&path)
        } else {
            (found.blocks() * 512).min(found.len().next_multiple_of(4096))
        }
    });
    sizes.sum()
}
