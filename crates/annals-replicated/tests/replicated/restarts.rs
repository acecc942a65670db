//! A replica that is opened again, with files that are behind each other, or that lost their unsynced ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::{AppendError, Batch, EventStore, Health};
use annals_conformance::Random;
use annals_conformance::fault::{Call, FaultFileSystem, Loss, on_disk};
use annals_replicated::sim::SimLog;

use crate::tools::{Store, event, log, numbers, open, options};

const TAIL: &str = "record.tail";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for file in fs::read_dir(from).expect("files").map(|file| file.expect("a file")) {
        if file.path().is_file() {
            fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
        }
    }
}

/// The replica as it was after `count` events, closed.
fn states(log: &SimLog, directory: &Path) -> Vec<PathBuf> {
    let path = directory.join("replica");
    let states = [0, 7, 20, 31].map(|count| {
        let store = open(log, &path);
        while store.len() < count {
            let next = store.len();
            store.append_batch([event(next)]).expect("an offset");
            store.append_batch([]).expect("a barrier");
        }
        drop(store);
        let state = directory.join(format!("state-{count}"));
        copy(&path, &state);
        state
    });
    states.to_vec()
}

/// `record.tail` from one time and the Journal from another: before it, behind it, or none at all.
#[test]
fn the_position_file_may_be_behind_or_ahead_of_the_replica() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let states = states(&log, directory.path());
    for (number, journal) in states.iter().enumerate() {
        let tails = states.iter().map(|state| fs::read(state.join(TAIL)).ok());
        let damaged = fs::read(journal.join(TAIL)).ok().map(|mut bytes| {
            bytes.iter_mut().skip(100).step_by(50).for_each(|byte| *byte ^= 1);
            bytes
        });
        let others = [None, Some(Vec::new()), Some(b"not a tail".to_vec()), damaged];
        for (case, tail) in tails.chain(others).enumerate() {
            let path = directory.path().join(format!("opened-{number}-{case}"));
            copy(journal, &path);
            match tail {
                Some(bytes) => fs::write(path.join(TAIL), bytes).expect("a tail"),
                None => drop(fs::remove_file(path.join(TAIL))),
            }
            let store = open(&log, &path);
            assert_eq!(numbers(&store), (0..31).collect::<Vec<_>>(), "{number} {case}");
            assert!(matches!(store.health(), Health::Open), "{number} {case}");
        }
    }
}

fn on(disk: &FaultFileSystem, log: &SimLog) -> Store {
    let options = options().file_system(Arc::new(disk.process()));
    EventStore::on(options.open(log.clone(), on_disk("replica")).expect("a store"))
}

/// After each append, the power fails, and the replica loses any part of what was not synced.
#[test]
fn nothing_is_lost_if_the_power_fails_after_any_append() {
    for seed in 0..6 {
        let (disk, log) = (FaultFileSystem::new(seed), log());
        let mut random = Random::new(seed);
        let mut count = 0;
        for _ in 0..8 {
            let store = on(&disk, &log);
            assert_eq!(numbers(&store), (0..count).collect::<Vec<_>>(), "seed {seed}");
            for _ in 0..=random.below(3) {
                let end = count + 1 + random.below(40);
                store.append_batch((count..end).map(event)).expect("offsets");
                count = end;
            }
            disk.restart(match random.below(3) {
                0 => Loss::Everything,
                1 => Loss::Sectors(random.number()),
                _ => Loss::Pages(random.number()),
            });
        }
    }
}

/// The replica cannot be written after the engine stored the batch: the store is poisoned, and the batch is in the log.
#[test]
fn a_replica_that_cannot_be_written_poisons_the_store_and_loses_nothing() {
    let (disk, log) = (FaultFileSystem::new(1), log());
    let store = on(&disk, &log);
    store.append(event(0)).expect("an offset");
    // The first write is that of record.tail, the second that of the events.
    disk.fail(Call::Write, 2, std::io::ErrorKind::Other);
    let failed = store.append(event(1));
    assert!(matches!(failed, Err(AppendError::Failed { .. })), "{failed:?}");
    let poisoned = store.append(event(2));
    assert!(matches!(poisoned, Err(AppendError::Poisoned { .. })), "{poisoned:?}");
    assert!(matches!(store.sync(), Err(AppendError::Poisoned { .. })));
    assert!(matches!(store.health(), Health::Poisoned { .. }));
    assert_eq!(numbers(&store), [0], "reads go on");
    drop(store);
    let store = on(&disk, &log);
    assert_eq!(numbers(&store), [0, 1], "the record has what failed");
    assert_eq!(store.append(event(2)).expect("an offset"), 2);
}

/// A batch that a replica has only in part is compared and completed.
#[test]
fn a_replica_may_end_inside_a_commit() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let path = directory.path().join("replica");
    let id = {
        let store = open(&log, &path);
        for n in 0..3 {
            let batch = Batch::new(vec![event(2 * n), event(2 * n + 1)]).time_ms(1_000 + n);
            store.append_as(batch).expect("offsets");
        }
        annals::Backend::store_id(store.backend()).expect("an id")
    };
    // Another replica that has the first batches, and does not know where they are in the record.
    let part = directory.path().join("part");
    let options = annals::Journal::options().store_id(id);
    let replica = options.open_replica::<annals::RawEvent>(&part, "test").expect("a replica");
    replica.apply([(1_000, &[event(0), event(1)][..])]).expect("applied");
    replica.close().expect("closed");
    drop(replica);
    assert_eq!(numbers(&open(&log, &part)), [0, 1, 2, 3, 4, 5]);
}
