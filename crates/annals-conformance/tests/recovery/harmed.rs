//! Small stores to be harmed, and checks of their content afterwards.

use std::path::{Path, PathBuf};

use annals::{Durability, EventStore, Journal, OpenError, Query, ReadError};
use annals_conformance::fault::{FaultFileSystem, Image, on_disk};
use annals_conformance::{JournalSubject, Sample};

pub(super) type Store = EventStore<Sample, Journal<Sample>>;

/// Opens a store for appending.
pub(super) fn open(disk: &FaultFileSystem) -> Result<Store, OpenError> {
    JournalSubject::new(Durability::Sync).options(disk).open(on_disk("store")).map(EventStore::on)
}

/// Returns the `n`th event.
pub(super) fn event(n: u64) -> Sample {
    Sample::new(format!("type-{}", n % 2))
        .tag(format!("digit:{}", n % 5))
        .id(format!("id-{n}"))
        .data(format!("payload {n} {}", "x".repeat(100)))
}

/// Returns a store of `count` events in small segments, each appended alone. It is closed, or left by a killed process.
pub(super) fn image(count: u64, closed: bool) -> Image {
    image_with(count, closed, Durability::Sync)
}

pub(super) fn image_with(count: u64, closed: bool, durability: Durability) -> Image {
    let disk = FaultFileSystem::new(0);
    let journal =
        JournalSubject::new(durability).options(&disk).open(on_disk("store")).expect("it opens");
    let store: Store = EventStore::on(journal);
    (0..count).for_each(|n| assert_eq!(store.append(event(n)).expect("appended"), n));
    if !closed {
        disk.kill();
    }
    drop(store);
    if !closed {
        // Without most of the allocated zeroes, since the tests copy the file thousands of times.
        let log = active_log(&disk);
        let bytes = disk.contents(&log).expect("read");
        disk.put(&log, &bytes[..(8 << 10).max(end_of_data(&bytes) + 1024)]);
    }
    disk.image()
}

/// Returns the names and contents of all files.
pub(super) fn files(disk: &FaultFileSystem) -> Vec<(String, Vec<u8>)> {
    let names = disk.names(on_disk("store")).expect("listed");
    names
        .into_iter()
        .map(|name| (name.clone(), disk.contents(on_disk("store").join(name)).expect("read")))
        .collect()
}

/// Returns the names and contents of all files except the lock.
pub(super) fn all_but_lock(disk: &FaultFileSystem) -> Vec<(String, Vec<u8>)> {
    files(disk).into_iter().filter(|(name, _)| name != "LOCK").collect()
}

/// Checks that a refused store has the same files with the same bytes as before.
pub(super) fn is_unchanged(before: &[(String, Vec<u8>)], disk: &FaultFileSystem, note: &str) {
    let after = all_but_lock(disk);
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(
        names(before),
        names(&after),
        "{note}: refusing the store changed its list of files"
    );
    for ((name, was), (_, is)) in before.iter().zip(&after) {
        let (had, has) = (was.len(), is.len());
        assert!(was == is, "{note}: refusing the store changed {name} from {had} to {has} bytes");
    }
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|is| is == extension)
}

fn logs(disk: &FaultFileSystem) -> Vec<PathBuf> {
    let names = disk.names(on_disk("store")).expect("listed");
    names
        .iter()
        .filter(|name| has_extension(name, "log"))
        .map(|name| on_disk("store").join(name))
        .collect()
}

pub(super) fn sealed_logs(disk: &FaultFileSystem) -> Vec<PathBuf> {
    let mut logs = logs(disk);
    logs.pop();
    logs
}

pub(super) fn active_log(disk: &FaultFileSystem) -> PathBuf {
    logs(disk).pop().expect("a segment")
}

/// Returns the positions of the frames of a segment.
pub(super) fn frames(bytes: &[u8]) -> Vec<usize> {
    (64..bytes.len().saturating_sub(4))
        .step_by(8)
        .filter(|&at| &bytes[at..at + 4] == b"ANfr")
        .collect()
}

/// Returns the position behind the last byte that is not zero.
pub(super) fn end_of_data(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

/// Checks that a store has exactly the first `count` events, and finds them.
pub(super) fn is_whole(store: &Store, count: u64) {
    let seen = read_all_ways(store, count, "whole");
    assert!(seen, "an event cannot be read");
    assert_eq!(store.len(), count);
    for n in 0..count.min(5) {
        assert_eq!(store.append(event(n)).expect("recorded before"), n, "an id is not found");
    }
}

/// The events that a store may have.
pub(super) struct Expected {
    pub(super) events: u64,
    /// Whether the last event may be missing.
    pub(super) cut_allowed: bool,
}

/// Checks that a harmed store is refused as damaged, or reports the damage where it is read, or has all its events.
pub(super) fn judge(opened: Result<Store, OpenError>, expected: &Expected, note: &str) {
    let store = match opened {
        Ok(store) => store,
        Err(OpenError::Corrupt(damage)) => {
            assert!(!damage.expected.is_empty() && !damage.found.is_empty(), "{note}: {damage}");
            return;
        }
        Err(OpenError::NotAStore { .. } | OpenError::NewerFormat { .. }) => return,
        Err(error) => panic!("{note}: {error:?}"),
    };
    let count = store.len();
    assert!(
        count == expected.events || expected.cut_allowed && count + 1 == expected.events,
        "{note}: {count} events"
    );
    read_all_ways(&store, count, note);
}

/// Reads a store in every way, and checks that no event is wrong and that none is missing without an error. Returns
/// true if there was no error.
fn read_all_ways(store: &Store, count: u64, note: &str) -> bool {
    let mut whole = true;
    for n in 0..count {
        match store.get(n) {
            Ok(Some(read)) => {
                assert!(read.offset == n && read.event == event(n), "{note}: another event at {n}");
            }
            Ok(None) => panic!("{note}: no event at {n} of {count}"),
            Err(ReadError::Corrupt(_)) => whole = false,
            Err(error) => panic!("{note}: {error:?}"),
        }
    }
    let all: Vec<u64> = (0..count).collect();
    let backwards: Vec<u64> = (0..count).rev().collect();
    whole &= reads(store.read(..), &all, note);
    whole &= reads(store.read(..).rev(), &backwards, note);
    for digit in 0..5 {
        let expected: Vec<u64> = (0..count).filter(|n| n % 5 == digit).collect();
        whole &= reads(store.query(&Query::tag(format!("digit:{digit}"))), &expected, note);
    }
    whole &= reads(store.query(&Query::event_type("type-9")), &[], note);
    match store.types() {
        Ok(types) => {
            assert_eq!(types.iter().map(|name| name.count).sum::<u64>(), count, "{note}: types");
        }
        Err(_) => whole = false,
    }
    whole
}

/// Checks that these events are read, up to the first error. Returns true if there was no error.
fn reads<'a>(
    events: impl Iterator<Item = Result<annals::EventRef<'a, Sample>, annals::ReadError>>,
    expected: &[u64],
    note: &str,
) -> bool {
    let mut expected = expected.iter();
    for read in events {
        let Ok(read) = read else { return false };
        assert_eq!(Some(&read.offset), expected.next(), "{note}: an event is skipped");
        assert!(read.event == event(read.offset), "{note}: another event at {}", read.offset);
    }
    assert_eq!(expected.next(), None, "{note}: an event is missing without an error");
    true
}

/// A copy of a store in a real directory, for `verify`.
pub(super) struct RealCopy {
    directory: tempfile::TempDir,
}

impl RealCopy {
    pub(super) fn of(disk: &FaultFileSystem) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        disk.copy_out(on_disk("store"), directory.path()).expect("copied");
        Self { directory }
    }

    /// Checks that `verify` detects the harm, with `bytes` as the content of the file `name`.
    pub(super) fn judge(&self, name: &str, bytes: &[u8], closed: bool, note: &str) {
        let path = self.directory.path().join(name);
        let before = std::fs::read(&path).expect("read");
        std::fs::write(&path, bytes).expect("written");
        let report = annals::verify(self.directory.path());
        std::fs::write(&path, before).expect("written back");
        let is = |extension: &str| has_extension(name, extension);
        match report {
            Ok(report) if closed && (is("log") || is("idx")) => {
                assert!(!report.problems.is_empty(), "{note}: verify finds no problem");
            }
            Ok(report) if is("log") => {
                let seen = !report.problems.is_empty() || !report.notes.is_empty();
                assert!(seen, "{note}: verify finds no problem in {} events", report.events);
            }
            // In `store.json` and `closed.json`, only the store id and the format matter.
            Ok(_) => {}
            Err(OpenError::NotAStore { .. } | OpenError::NewerFormat { .. }) => {
                assert!(is("json"), "{note}: {}", path.display());
            }
            Err(error) => panic!("{note}: {error:?}"),
        }
    }
}
