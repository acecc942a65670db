//! Reads of a replica, beside the same reads of a Journal with the same events. Both are local; the threads of the
//! replica wait for the record meanwhile.

use std::path::Path;

use annals::{EventStore, Journal, RawEvent};
use annals_replicated::Replicated;

use super::catch_up::fill;
use super::engine::Engine;
use crate::peers;
use crate::report::Report;
use crate::table::{Figures, Row};

/// Events of a commit, and of a batch of the Journal.
const SIZE: usize = 100;
/// Small enough that most events are in segments that take no more.
const SEGMENT_BYTES: u64 = 4 << 20;
/// What [`peers::read`] measures.
const MEASURED: [&str; 3] = [
    "scan of all events: events/s",
    "reads of one event by its offset: events/s",
    "reads of the ten events of a tag: events/s",
];

fn replica<E: Engine>(servers: &E, store: &str, count: u64, place: &Path) -> [Option<f64>; 3] {
    let options = Replicated::options().segment_bytes(SEGMENT_BYTES);
    let replica = options.open(servers.connect(store), place.join("replica")).expect("opens");
    let replica = EventStore::<RawEvent, _>::on(replica);
    assert_eq!(replica.len(), count, "everything is there");
    peers::read(&replica, count)
}

fn journal(count: u64, path: &Path) -> [Option<f64>; 3] {
    let journal = Journal::options().segment_bytes(SEGMENT_BYTES).open(path).expect("opens");
    peers::read(&EventStore::<RawEvent, _>::on(journal), count)
}

pub(super) fn run<E: Engine>(
    name: &str,
    servers: &E,
    rounds: usize,
    events: &[RawEvent],
    directory: &Path,
    report: &mut Report,
) {
    let (store, count) = ("reads", events.len() as u64);
    fill(servers, store, events, SIZE, events.len() / SIZE);
    let place = tempfile::tempdir_in(directory).expect("a directory");
    // Filled once and opened again for each round, as the replica is.
    let path = place.path().join("journal");
    let filled = Journal::options().segment_bytes(SEGMENT_BYTES).open(&path).expect("opens");
    let filled = EventStore::<RawEvent, _>::on(filled);
    for batch in events.chunks(SIZE) {
        filled.append_batch(batch.iter().cloned()).expect("appends");
    }
    drop(filled);
    // The replica reads the record once, before any reads are measured.
    replica(servers, store, count, place.path());
    let mut figures = [(); 3].map(|()| [(); 2].map(|()| Figures::default()));
    for round in 0..rounds {
        // In turn, so that neither always comes second.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let read = match which {
                0 => replica(servers, store, count, place.path()),
                _ => journal(count, &path),
            };
            for (figures, figure) in figures.iter_mut().zip(read) {
                figures[which].0.extend(figure);
            }
        }
    }
    let row = |(what, figures): (&&str, [Figures; 2])| Row {
        what: (*what).to_owned(),
        figures: figures.into_iter().map(Some).collect(),
    };
    let rows: Vec<Row> = MEASURED.iter().zip(figures).map(row).collect();
    let title = format!("Reads of a replica, {name}, median (least–most) of {rounds} rounds");
    report.ratios(&title, &["annals, a replica", "annals Journal"], &rows);
}
