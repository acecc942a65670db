//! The Journal against one plain file appended to with fdatasync, on the same events.

use std::collections::VecDeque;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use annals::{Condition, EventStore, Journal, Query, RawEvent};
use futures_executor::block_on;

use crate::event::{events, tag};
use crate::report::Report;
use crate::table::{Figures, Row};
use crate::yardstick::{Yardstick, line};

type Store = EventStore<RawEvent, Journal<RawEvent>>;

/// Synced appends of single events that are timed, by one writer.
const SINGLES: usize = 2_000;
/// Synced appends of single events that are timed, of all writers together.
const TOGETHER: usize = 16_000;

fn open(path: &Path) -> Store {
    EventStore::open(path).expect("the store opens")
}

/// Events a second.
fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    count as f64 / start.elapsed().as_secs_f64()
}

/// So many writers append all of `events`, one event at a time.
fn write_from(store: &Store, events: &[RawEvent], writers: usize) {
    std::thread::scope(|scope| {
        for part in events.chunks(events.len().div_ceil(writers)) {
            scope.spawn(move || {
                for event in part {
                    store.append(event.clone()).expect("appends");
                }
            });
        }
    });
}

/// The events, given away in batches.
fn batches(events: &[RawEvent]) -> Vec<Vec<RawEvent>> {
    events.chunks(1_000).map(<[RawEvent]>::to_vec).collect()
}

/// Batches that are under way at a time, where more than one is.
const AHEAD: usize = 4;

/// Appends these batches, the next while the last are on their way.
fn append_ahead(store: &Store, batches: Vec<Vec<RawEvent>>) {
    let mut under_way = VecDeque::new();
    for batch in batches {
        under_way.push_back(store.append_batch_async(batch));
        if under_way.len() == AHEAD {
            let first = under_way.pop_front().expect("some are");
            block_on(first).expect("appends");
        }
    }
    for append in under_way {
        block_on(append).expect("appends");
    }
}

/// Computes the checksum of the log's files in one pass, the least work of a reader that checks every byte. Returns
/// events a second.
fn checksum_pass(count: u64, store: &Path) -> f64 {
    let files = std::fs::read_dir(store).expect("the store is there");
    let segments: Vec<Vec<u8>> = files
        .map(|file| file.expect("the directory can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .map(|path| std::fs::read(path).expect("a segment can be read"))
        .collect();
    rate(count as usize, || {
        for segment in &segments {
            black_box(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, segment));
        }
    })
}

#[derive(Default)]
struct Round {
    bulk: [Figures; 2],
    bulk_ahead: Figures,
    single: [Figures; 2],
    conditional: [Figures; 2],
    writers: [Figures; 2],
    many_writers: Figures,
    size: [Figures; 2],
    scan: Figures,
    checksum_pass: Figures,
    get: Figures,
    tags: Figures,
    open: [Figures; 2],
    memory: Figures,
}

impl Round {
    fn write(&mut self, events: &[RawEvent], directory: &Path, closed: &Path) {
        let count = events.len();
        {
            let store = open(closed);
            let batches = batches(events);
            self.bulk[0].0.push(rate(count, || {
                for batch in batches {
                    store.append_batch(batch).expect("appends");
                }
            }));
            self.size[0].0.push(
                (store.stats().event_bytes + store.stats().index_bytes) as f64 / count as f64,
            );
            self.memory.0.push(store.stats().memory_bytes as f64 / 1e6);
        }
        let chunks: Vec<Vec<u8>> = events
            .chunks(1_000)
            .map(|batch| {
                let mut bytes = Vec::new();
                batch.iter().for_each(|event| line(event, &mut bytes));
                bytes
            })
            .collect();
        let mut file = Yardstick::create(&directory.join("bulk"));
        self.bulk[1].0.push(rate(count, || chunks.iter().for_each(|chunk| file.append(chunk))));
        self.size[1].0.push(file.size() as f64 / count as f64);
        let store = open(&directory.join("bulk-ahead"));
        let batches = batches(events);
        self.bulk_ahead.0.push(rate(count, || append_ahead(&store, batches)));
        drop(store);
        self.write_singly(events, directory);
    }

    fn write_singly(&mut self, events: &[RawEvent], directory: &Path) {
        let some = &events[..SINGLES.min(events.len())];
        let store = open(&directory.join("single"));
        self.single[0].0.push(rate(some.len(), || write_from(&store, some, 1)));
        let condition = |event: &RawEvent| {
            let tag = event.tags().next().expect("a tag").to_owned();
            Condition::fail_if(Query::tag(tag)).after(store.len())
        };
        self.conditional[0].0.push(rate(some.len(), || {
            for event in some {
                store.append_if([event.clone()], &condition(event)).expect("appends");
            }
        }));
        self.conditional[1].0.push(rate(some.len(), || write_from(&store, some, 1)));
        let lines: Vec<Vec<u8>> = some
            .iter()
            .map(|event| {
                let mut bytes = Vec::new();
                line(event, &mut bytes);
                bytes
            })
            .collect();
        let mut file = Yardstick::create(&directory.join("single-file"));
        self.single[1].0.push(rate(some.len(), || lines.iter().for_each(|line| file.append(line))));
        let many = &events[..TOGETHER.min(events.len())];
        let store = open(&directory.join("writers"));
        self.writers[0].0.push(rate(many.len(), || write_from(&store, many, 16)));
        self.writers[1].0.push(self.single[0].median());
        let store = open(&directory.join("many-writers"));
        self.many_writers.0.push(rate(many.len(), || write_from(&store, many, 64)));
    }

    fn read(&mut self, count: u64, closed: &Path) {
        let start = Instant::now();
        let store = open(closed);
        self.open[0].0.push(start.elapsed().as_secs_f64() * 1e3);
        let sum = |bytes: &[u8]| bytes.chunks(64).map(|chunk| u64::from(chunk[0])).sum::<u64>();
        for figures in [None, Some(&mut self.scan)] {
            let took = rate(store.len() as usize, || {
                black_box(
                    store
                        .read(..)
                        .map(|event| sum(event.expect("reads").event.data_bytes()))
                        .sum::<u64>(),
                );
            });
            figures.into_iter().for_each(|figures| figures.0.push(took));
        }
        self.checksum_pass.0.push(checksum_pass(count, closed));
        let at_random = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % count;
        self.get.0.push(rate(100_000, || {
            for n in 0..100_000 {
                black_box(
                    store
                        .get(at_random(n))
                        .expect("reads")
                        .map(|event| sum(event.event.data_bytes())),
                );
            }
        }));
        let asked = 20_000;
        let mut seen = 0;
        let took = rate(1, || {
            for n in 0..asked {
                seen += store
                    .query(&Query::tag(tag(at_random(n), count)))
                    .map(|event| drop(event.expect("reads")))
                    .count();
            }
        });
        self.tags.0.push(took * seen as f64);
    }
}

pub fn run(rounds: usize, count: u64, directory: &Path, report: &mut Report) {
    let events = events(count);
    let mut all = Round::default();
    for _ in 0..rounds {
        let directory = tempfile::tempdir_in(directory).expect("a directory for temporary files");
        let closed = directory.path().join("bulk.store");
        all.write(&events, directory.path(), &closed);
        all.read(count, &closed);
    }
    let row = |what: &str, own: Figures, other: Option<Figures>| Row {
        what: what.to_owned(),
        figures: vec![Some(own), other],
    };
    let [bulk, bulk_file] = all.bulk;
    let [single, single_file] = all.single;
    let [size, size_file] = all.size;
    let rows = [
        row("bulk: batches of 1,000, each synced, events/s", bulk, Some(bulk_file.clone())),
        row(
            "bulk, four batches under way (append_batch_async), events/s",
            all.bulk_ahead,
            Some(bulk_file),
        ),
        row("one writer, 1 event a sync, events/s", single, Some(single_file.clone())),
        row(
            "16 writers, 1 event each, synced, events/s",
            all.writers[0].clone(),
            Some(single_file.clone()),
        ),
        row("64 writers, 1 event each, synced, events/s", all.many_writers, Some(single_file)),
        row("scan all, events/s", all.scan.clone(), None),
        row("get at random, events/s", all.get, None),
        row("a tag's 10 events, events/s", all.tags, None),
        row("bytes an event on disk", size, Some(size_file)),
        row("open, ms", all.open[0].clone(), None),
        row("memory held for the log, MB", all.memory, None),
    ];
    let title =
        format!("The Journal: {count} events of 500 bytes, median (least–most) of {rounds} rounds");
    report.ratios(&title, &["annals", "one plain file"], &rows);
    let scan = row("all events, events/s", all.scan, Some(all.checksum_pass));
    report.ratios(
        "A scan beside the checksum of its bytes",
        &["scan", "a pass of CRC-32C"],
        &[scan],
    );
    let [conditional, unconditional] = all.conditional;
    let row = row("one writer, 1 event a sync, events/s", conditional, Some(unconditional));
    report.ratios(
        "With a condition on the event's tag, after the head",
        &["with", "without"],
        &[row],
    );
}
