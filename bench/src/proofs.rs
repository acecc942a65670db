//! Proofs: hashing a log, appends with and without a thread that hashes behind them, checkpoints and proofs of a long
//! log, and what they take on the disk.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annals::{EventStore, Journal, RawEvent};
use annals_proof::{LogKey, ProofFollower, ProofOptions, Proofs};

use crate::event::events;
use crate::report::Report;
use crate::table::{Figures, Row};

type Store = EventStore<RawEvent, Journal<RawEvent>>;

const ORIGIN: &str = "annals.example/bench";
/// Events of a batch.
const BATCH: usize = 1_000;
/// Checkpoints and proofs that are timed in a round.
const CALLS: u64 = 200;
/// Bulk appends are short, and differ much: each round has so many.
const BULK_ROUNDS: usize = 8;
/// The long log has so many times as many events.
const LONG: u64 = 50;

fn key() -> LogKey {
    LogKey::from_seed(ORIGIN, &[7; 32]).expect("a key")
}

fn open(path: &Path) -> Store {
    EventStore::open(path).expect("the store opens")
}

/// Appends these events so many times.
fn fill(store: &Store, events: &[RawEvent], times: u64) {
    for _ in 0..times {
        for batch in events.chunks(BATCH) {
            store.append_batch(batch.to_vec()).expect("appends");
        }
    }
}

/// Millions of events a second, hashed from a log by so many threads.
fn hashing<B: annals::Backend<RawEvent>>(store: &EventStore<RawEvent, B>, threads: usize) -> f64 {
    let options = ProofOptions::new().in_memory().threads(threads);
    let proofs = options.open(store, ORIGIN).expect("opens");
    let start = Instant::now();
    let checkpoint = proofs.checkpoint(&key()).expect("signs");
    checkpoint.size() as f64 / start.elapsed().as_secs_f64() / 1e6
}

/// Millions of events a second, appended in synced batches, perhaps with a thread that hashes them.
fn bulk(path: &Path, events: &[RawEvent], followed: bool) -> f64 {
    let store = open(path);
    let proofs = Arc::new(ProofOptions::new().open(&store, ORIGIN).expect("opens"));
    let follower = followed.then(|| ProofFollower::start(&proofs).expect("starts"));
    let batches: Vec<Vec<RawEvent>> = events.chunks(BATCH).map(<[RawEvent]>::to_vec).collect();
    let start = Instant::now();
    for batch in batches {
        store.append_batch(batch).expect("appends");
    }
    let took = start.elapsed().as_secs_f64();
    drop(follower);
    events.len() as f64 / took / 1e6
}

/// Microseconds of a checkpoint of a log that a thread follows: 100 new events each time. The log is synced already.
fn checkpoints(store: &Store, proofs: &Arc<Proofs<RawEvent, Journal<RawEvent>>>) -> f64 {
    let follower = ProofFollower::start(proofs).expect("starts");
    let some = events(100);
    let mut took = Duration::ZERO;
    for _ in 0..CALLS {
        store.append_batch(some.clone()).expect("appends");
        // What a service does between two checkpoints: the thread has long caught up.
        std::thread::sleep(Duration::from_millis(2));
        let start = Instant::now();
        black_box(proofs.checkpoint(&key()).expect("signs"));
        took += start.elapsed();
    }
    drop(follower);
    took.as_secs_f64() * 1e6 / CALLS as f64
}

/// Microseconds of a proof at a random offset.
fn proving(proofs: &Proofs<RawEvent, Journal<RawEvent>>) -> f64 {
    let checkpoint = proofs.last_checkpoint().expect("it was signed");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let start = Instant::now();
    for _ in 0..CALLS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        black_box(proofs.prove(state % checkpoint.size(), &checkpoint).expect("proves"));
    }
    start.elapsed().as_secs_f64() * 1e6 / CALLS as f64
}

/// The bytes of the files in a directory.
fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).expect("a directory");
    entries.map(|entry| entry.expect("an entry").metadata().expect("readable").len()).sum()
}

pub fn run(rounds: usize, count: u64, directory: &Path, report: &mut Report) {
    let directory = tempfile::tempdir_in(directory).expect("a directory can be made");
    let events = events(count);
    let closed = directory.path().join("hashed");
    fill(&open(&closed), &events, 1);
    let memory = EventStore::in_memory();
    for batch in events.chunks(BATCH) {
        memory.append_batch(batch.to_vec()).expect("appends");
    }
    let mut rates: [Figures; 5] = Default::default();
    for _ in 0..rounds {
        rates[0].0.push(hashing(&memory, 1));
        let journal = open(&closed);
        rates[1].0.push(hashing(&journal, 1));
        rates[2].0.push(hashing(&journal, 2));
    }
    // In turn, and in another order each time.
    for round in 0..rounds * BULK_ROUNDS {
        for followed in [round % 2 == 0, round % 2 == 1] {
            let path = directory.path().join(format!("bulk-{round}-{followed}"));
            rates[3 + usize::from(followed)].0.push(bulk(&path, &events, followed));
            std::fs::remove_dir_all(&path).expect("removed");
        }
    }
    let long = directory.path().join("long");
    let store = open(&long);
    fill(&store, &events, LONG);
    let proofs = Arc::new(ProofOptions::new().threads(2).open(&store, ORIGIN).expect("opens"));
    proofs.checkpoint(&key()).expect("signs");
    let mut calls: [Figures; 2] = Default::default();
    for _ in 0..rounds {
        calls[0].0.push(checkpoints(&store, &proofs));
        calls[1].0.push(proving(&proofs));
    }
    let mut on_disk = Figures::default();
    on_disk.0.push(size(&long.join("proofs")) as f64 / store.len() as f64);
    let row =
        |what: &str, figures: Figures| Row { what: what.to_owned(), figures: vec![Some(figures)] };
    let [memory, one, two, alone, followed] = rates;
    let rows = [
        row("hash and tree, from memory, one thread", memory),
        row("hash and tree, from the Journal, one thread", one),
        row("hash and tree, from the Journal, two threads", two),
        row("bulk appends, synced batches of 1,000, without a following thread", alone),
        row("bulk appends, synced batches of 1,000, with a following thread", followed),
    ];
    let title = format!("Proofs, millions of events a second, {count} events, median (least–most)");
    report.ratios(&title, &["annals-proof"], &rows);
    let [checkpoint, proof] = calls;
    let rows = [
        row(
            "a checkpoint of a log that is followed, 100 new events, without its sync, µs",
            checkpoint,
        ),
        row("a proof at a random offset, µs", proof),
        row("the files of the proofs, bytes an event", on_disk),
    ];
    let title = format!("Proofs of a log of {} events", LONG * count);
    report.ratios(&title, &["annals-proof"], &rows);
}
