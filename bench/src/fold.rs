//! Folding: a channel's thousand events, a hundred thousand with and without snapshots, and what a reader of a live
//! projection pays beside one of a plain `Arc`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use annals::{Backend, Event, EventStore, Projection, Query, Recorded, SnapshotPolicy};

use crate::report::Report;
use crate::table::{Figures, Row};

/// Events of the log that is folded whole; half a policy's worth lies behind its last snapshot.
const COUNT: u64 = 100_500;
/// Channels in the log of which one is folded, of a thousand events each.
const CHANNELS: u64 = 100;
const READS: usize = 20_000_000;

#[derive(Event, Clone)]
enum Channel {
    StateSigned {
        #[event(tag = "channel")]
        channel: u64,
        turn: u64,
        signer: String,
        hash: String,
        signature: String,
    },
}

fn signed(n: u64) -> Channel {
    Channel::StateSigned {
        channel: n % CHANNELS,
        turn: n / CHANNELS,
        signer: format!("0x{:040x}", n % 2),
        hash: format!("0x{n:064x}"),
        signature: format!("0x{n:0130x}"),
    }
}

/// The last turn and hash that each has signed, of one channel or of all.
struct Signed(Option<u64>);

impl Projection for Signed {
    type Event = Channel;
    type State = BTreeMap<(u64, String), (u64, String)>;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn query(&self) -> Query {
        self.0.map_or_else(Query::all, |channel| Query::tag(format!("channel:{channel}")))
    }

    fn apply(&self, state: &mut Self::State, event: &Recorded<Channel>) {
        let Channel::StateSigned { channel, turn, signer, hash, .. } = &event.event;
        let last = state.entry((*channel, signer.clone())).or_default();
        last.0 = (*turn).max(last.0);
        last.1.clone_from(hash);
    }
}

/// As `Signed`, in a shape that JSON can hold.
struct Kept;

impl Projection for Kept {
    type Event = Channel;
    type State = (u64, u64, BTreeMap<String, String>);

    fn initial(&self) -> Self::State {
        <_>::default()
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, (count, turn, hashes): &mut Self::State, event: &Recorded<Channel>) {
        let Channel::StateSigned { turn: signed, signer, hash, .. } = &event.event;
        *count += 1;
        *turn = (*signed).max(*turn);
        match hashes.get_mut(signer) {
            Some(known) => known.clone_from(hash),
            None => drop(hashes.insert(signer.clone(), hash.clone())),
        }
    }
}

/// Microseconds.
fn micros<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_nanos() as f64 / 1_000.0
}

/// A program that has just started: folds all there is, with the snapshots that are there or without.
fn cold<B: Backend<Channel>>(store: &EventStore<Channel, B>, snapshots: bool) -> f64 {
    micros(|| {
        let mut source = store.reconstruct(Kept);
        if snapshots {
            source = source.snapshots(SnapshotPolicy::default());
        }
        assert_eq!(source.now().expect("the log can be read").0, COUNT);
    })
}

/// Nanoseconds a read.
fn reads(mut read: impl FnMut() -> u64) -> f64 {
    let start = Instant::now();
    for _ in 0..READS {
        black_box(read());
    }
    start.elapsed().as_nanos() as f64 / READS as f64
}

/// A plain `Arc` read and cloned, the live projection through its reader and through `load`.
fn read_live(figures: &mut [Figures; 4], writing: bool) {
    let store = EventStore::in_memory();
    store.append(signed(0)).expect("it appends");
    let live = store.reconstruct(Kept).live().expect("it starts");
    let plain = Arc::new((*live.load()).clone());
    let mut reader = live.reader();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while writing && !done.load(Ordering::Relaxed) {
                store.append(signed(n)).expect("it appends");
                n += 1;
            }
        });
        figures[0].0.push(reads(|| reader.load().1));
        figures[1].0.push(reads(|| black_box(&plain).1));
        figures[2].0.push(reads(|| live.load().1));
        figures[3].0.push(reads(|| Arc::clone(black_box(&plain)).1));
        done.store(true, Ordering::Relaxed);
    });
}

pub fn run(rounds: usize, directory: &Path, report: &mut Report) {
    let directory = tempfile::tempdir_in(directory).expect("a directory can be made");
    let events: Vec<Channel> = (0..COUNT).map(signed).collect();
    let memory = EventStore::in_memory();
    let files = EventStore::open(directory.path().join("fold.store")).expect("the store opens");
    for part in events.chunks(10_000) {
        memory.append_batch(part.to_vec()).expect("it appends");
        files.append_batch(part.to_vec()).expect("it appends");
    }
    // So that there are snapshots.
    cold(&memory, true);
    cold(&files, true);
    let mut thousand = Figures::default();
    let mut folds: [Figures; 4] = Default::default();
    let (mut quiet, mut busy): ([Figures; 4], [Figures; 4]) = Default::default();
    for _ in 0..rounds {
        thousand.0.push(micros(|| {
            let mut source = memory.reconstruct(Signed(Some(7)));
            assert_eq!(source.now().expect("the log can be read").len(), 1);
        }));
        folds[0].0.push(cold(&memory, true));
        folds[1].0.push(cold(&memory, false));
        folds[2].0.push(cold(&files, true));
        folds[3].0.push(cold(&files, false));
        read_live(&mut quiet, false);
        read_live(&mut busy, true);
    }
    let row = |what: &str, figures: &[Figures]| Row {
        what: what.to_owned(),
        figures: figures.iter().cloned().map(Some).collect(),
    };
    let title = format!(
        "One channel's 1,000 events of {COUNT}, in memory, µs, median (least–most) of {rounds} rounds"
    );
    report.ratios(&title, &["a fold from 0"], &[row("channel of 1,000", &[thousand])]);
    let title = format!("The state now of {COUNT} events, by a program that has just started, µs");
    let rows = [row("in memory", &folds[..2]), row("in files", &folds[2..])];
    report.ratios(&title, &["with snapshots", "without"], &rows);
    let rows = [
        row("read in place, nobody writes", &quiet[..2]),
        row("read in place, a writer appends flat out", &busy[..2]),
        row("taken and held, nobody writes", &quiet[2..]),
        row("taken and held, a writer appends flat out", &busy[2..]),
    ];
    report.ratios("Reading a live projection, ns", &["live projection", "plain Arc"], &rows);
}
