//! Commits that are written in more than one piece, on a disk that fails or loses power between any two of its calls.

use std::io::ErrorKind;
use std::sync::Arc;

use annals::{EventStore, Journal, Query, RawEvent};
use annals_conformance::Random;
use annals_conformance::fault::{Call, FaultFileSystem, Loss};

type Store = EventStore<RawEvent, Journal<RawEvent>>;

/// The sizes of events in bytes. A batch of three has up to 0.6 MiB, and is written in pieces of 0.25 MiB.
const SIZES: [usize; 4] = [200, 40_000, 170_000, 300_000];
const EVENTS: u64 = 3;

fn open(disk: &FaultFileSystem) -> Store {
    let options = Journal::options().segment_bytes(1 << 20);
    let opened = options.file_system(Arc::new(disk.process())).open("/disk/store");
    EventStore::on(opened.expect("what a crash leaves can be opened"))
}

/// Returns batch `number`, with ids, so that appending it again returns its offsets.
fn batch(number: u64) -> Vec<RawEvent> {
    let event = |at: u64| {
        let byte = u8::try_from((number * EVENTS + at) % 251).expect("below 251");
        let size = SIZES[usize::try_from(number + at).expect("few") % SIZES.len()];
        RawEvent::builder("large")
            .tag(format!("batch:{number}"))
            .id(format!("{number}-{at}"))
            .data(vec![byte; size])
            .build()
            .expect("within the limits")
    };
    (0..EVENTS).map(event).collect()
}

/// Checks that a log consists of the batches from 0 on, and returns their number.
fn check(store: &Store) -> u64 {
    let count = store.len() / EVENTS;
    assert_eq!(store.len() % EVENTS, 0, "a batch is torn");
    for number in 0..count {
        for (offset, event) in (number * EVENTS..).zip(batch(number)) {
            let read = store.get(offset).expect("it can be read").expect("it is there");
            assert_eq!(read.event, event, "at {offset}");
        }
        assert_eq!(store.query(&Query::tag(format!("batch:{number}"))).count(), 3);
    }
    assert_eq!(store.query(&Query::tag(format!("batch:{count}"))).count(), 0);
    count
}

/// Runs three lives of a log, each ended by a failure, a loss of power or nothing.
pub(super) fn run(seed: u64) {
    let disk = FaultFileSystem::new(seed);
    let mut random = Random::new(seed);
    let (mut acknowledged, mut tried) = (0, 0);
    for _ in 0..3 {
        let store = open(&disk);
        let there = check(&store);
        assert!((acknowledged..=tried).contains(&there), "{there} of {acknowledged} to {tried}");
        (acknowledged, tried) = (there, there);
        let call = [Call::Write, Call::StartSync, Call::Sync][random.index(3)];
        match random.below(3) {
            0 => disk.cut_power_at(1 + random.below(70)),
            1 => disk.fail_any(1 + random.below(70), ErrorKind::Other),
            _ => disk.fail(call, 1 + random.below(18), ErrorKind::Other),
        }
        for _ in 0..6 {
            tried = acknowledged + 1;
            let Ok(range) = store.append_batch(batch(acknowledged)) else {
                assert_eq!(check(&store), acknowledged, "a failed batch is visible");
                break;
            };
            assert_eq!(range.start, acknowledged * EVENTS);
            acknowledged += 1;
        }
        drop(store);
        disk.restart(match random.below(4) {
            0 => Loss::Everything,
            1 => Loss::Nothing,
            2 => Loss::Pages(seed),
            _ => Loss::Sectors(seed),
        });
    }
    let store = open(&disk);
    let there = check(&store);
    assert!((acknowledged..=tried).contains(&there), "{there} of {acknowledged} to {tried}");
    for number in there.saturating_sub(1)..=there {
        let range = store.append_batch(batch(number)).expect("the disk does not fail");
        assert_eq!(range.start, number * EVENTS, "known by its ids, or next");
    }
}
