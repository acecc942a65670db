//! The catch-up of a new replica, beside a plain read of the same commits.

use std::path::Path;
use std::time::Instant;

use annals::{EventStore, RawEvent};
use annals_replicated::{
    Chain, CommitBatch, CommitLog as _, Content, NewEntry, ReadLimit, Replicated, Slot, Step,
    create,
};

use super::engine::{Client as _, Engine};
use crate::report::Report;
use crate::table::{Figures, Row};

/// A record that is read: events of a commit, commits, and commits of a page of the plain read.
const RECORDS: [(usize, usize, usize); 2] = [(1, 20_000, 1_000), (1_000, 100, 16)];

/// Makes a record of commits that chain.
pub(super) fn fill<E: Engine>(
    servers: &E,
    store: &str,
    events: &[RawEvent],
    size: usize,
    commits: usize,
) {
    let log = servers.connect(store);
    create(&log).expect("a record");
    let page = log.read(Slot(0), ReadLimit::default()).expect("reads");
    let mut chain = Chain::new(None);
    let Step::Valid(genesis) = chain.push(Slot(1), &page.entries[0].1) else { panic!("a genesis") };
    let mut tip = *chain.tip().expect("behind the genesis");
    let entries = (0..commits).map(|n| {
        let first = n * size % (events.len() - size + 1);
        let batch = CommitBatch {
            time_ms: 1_790_000_000_000,
            events: events[first..first + size].to_vec(),
        };
        let commit = tip.next(genesis.header().writer_id, Content::Events(vec![batch]));
        tip = tip.after(&commit).expect("it follows");
        NewEntry::whole(&commit)
    });
    let entries = entries.collect();
    servers.store(store, entries);
}

pub(super) fn run<E: Engine>(
    name: &str,
    servers: &E,
    rounds: usize,
    events: &[RawEvent],
    directory: &Path,
    report: &mut Report,
) {
    let mut rows = Vec::new();
    for (size, commits, page) in RECORDS {
        let store = format!("catch-up-{size}");
        fill(servers, &store, events, size, commits);
        let mut figures = [(); 2].map(|()| [(); 2].map(|()| Figures::default()));
        for _ in 0..rounds {
            let place = tempfile::tempdir_in(directory).expect("a directory");
            let (log, start) = (servers.connect(&store), Instant::now());
            let replica = Replicated::open(log, place.path().join("replica")).expect("opens");
            let replica = EventStore::<RawEvent, _>::on(replica);
            let seconds = [start.elapsed().as_secs_f64(), {
                assert_eq!(replica.len(), (size * commits) as u64, "everything is there");
                let (mut clients, start) = (servers.clients(1, 1), Instant::now());
                // The genesis too.
                clients[0].read_record(&store, page, commits + 1);
                start.elapsed().as_secs_f64()
            }];
            for (figures, seconds) in figures.iter_mut().zip(seconds) {
                figures[0].0.push(commits as f64 / seconds);
                figures[1].0.push((commits * size) as f64 / seconds);
            }
        }
        for (at, what) in ["commits/s", "events/s"].iter().enumerate() {
            let plural = if size == 1 { "" } else { "s" };
            let what = format!("{commits} commits of {size} event{plural}: {what}");
            rows.push(Row {
                what,
                figures: figures.iter().map(|all| Some(all[at].clone())).collect(),
            });
        }
    }
    let title = format!("A new replica catches up, {name}, median (least–most) of {rounds} rounds");
    report.ratios(&title, &["annals", E::READ], &rows);
}
