//! How many events a second consumers and groups deliver and acknowledge, one acknowledgement an event.

use std::path::Path;
use std::time::Instant;

use annals::{Backend, EventStore, RawEvent};
use annals_consumer::Consumers as _;

use crate::event::events;
use crate::report::Report;
use crate::table::{Figures, Row};

/// Acknowledged events a second of a group with so many workers.
fn group<B: Backend<RawEvent> + 'static>(
    store: &EventStore<RawEvent, B>,
    name: &str,
    key: Option<&str>,
    workers: usize,
    prefetch: u32,
) -> f64 {
    let builder = store.group(name);
    let builder = if let Some(key) = key { builder.key(key) } else { builder };
    let group = builder.open().expect("opens");
    let head = store.len();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let group = &group;
            scope.spawn(move || {
                for delivery in group.worker(format!("worker-{worker}")).prefetch(prefetch) {
                    delivery.expect("reads").ack().expect("acknowledges");
                }
            });
        }
    });
    let took = start.elapsed().as_secs_f64();
    let status = group.status();
    assert_eq!((status.position, status.parked), (head, 0), "each is acknowledged");
    head as f64 / took
}

/// Acknowledged events a second of one consumer.
fn consumer<B: Backend<RawEvent> + 'static>(store: &EventStore<RawEvent, B>) -> f64 {
    let start = Instant::now();
    let mut count = 0;
    for delivery in store.consumer("consumer").start().expect("starts") {
        delivery.expect("reads").ack().expect("acknowledges");
        count += 1;
    }
    assert_eq!(count, store.len(), "each is acknowledged");
    count as f64 / start.elapsed().as_secs_f64()
}

fn measure<B: Backend<RawEvent> + 'static>(store: &EventStore<RawEvent, B>) -> [f64; 5] {
    [
        consumer(store),
        group(store, "one", None, 1, 16),
        group(store, "four", None, 4, 16),
        group(store, "four-keys", Some("channel:"), 4, 16),
        group(store, "four-single", None, 4, 1),
    ]
}

pub fn run(rounds: usize, count: u64, directory: &Path, report: &mut Report) {
    let events = events(count);
    let mut figures = vec![vec![Figures::default(); 5]; 2];
    for _ in 0..rounds {
        let memory = EventStore::in_memory();
        for part in events.chunks(10_000) {
            memory.append_batch(part.iter().cloned()).expect("appends");
        }
        memory.close().expect("closes");
        let files = tempfile::tempdir_in(directory).expect("a directory");
        let journal = EventStore::open(files.path().join("log.store")).expect("opens");
        for part in events.chunks(10_000) {
            journal.append_batch(part.iter().cloned()).expect("appends");
        }
        journal.close().expect("closes");
        for (at, figure) in measure(&memory).into_iter().enumerate() {
            figures[0][at].0.push(figure);
        }
        for (at, figure) in measure(&journal).into_iter().enumerate() {
            figures[1][at].0.push(figure);
        }
    }
    let row = |what: &str, figures: &[Figures]| Row {
        what: what.to_owned(),
        figures: figures.iter().cloned().map(Some).collect(),
    };
    let title = format!(
        "Consumers, {count} events, acknowledged events/s, median (least–most) of {rounds} rounds"
    );
    let names = [
        "consumer",
        "group, 1 worker",
        "group, 4 workers",
        "4 workers, keys",
        "4 workers, one at a time",
    ];
    report.columns(&title, &names, &[row("memory", &figures[0]), row("Journal", &figures[1])]);
}
