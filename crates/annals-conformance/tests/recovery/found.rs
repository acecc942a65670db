//! Small stores to be harmed, and what may be found in them then.

use std::path::{Path, PathBuf};

use annals::{Durability, EventStore, Journal, OpenError, Query, ReadError};
use annals_conformance::fault::{FaultFileSystem, Image, on_disk};
use annals_conformance::{JournalSubject, Sample};

pub(super) type Store = EventStore<Sample, Journal<Sample>>;

/// Opens a store for appending.
pub(super) fn open(disk: &FaultFileSystem) -> Result<Store, OpenError> {
    JournalSubject::new(Durability::Sync).options(disk).open(on_disk("store")).map(EventStore::on)
}

/// The `n`th event.
pub(super) fn event(n: u64) -> Sample {
    Sample::new(format!("type-{}", n % 2))
        .tag(format!("digit:{}", n % 5))
        .id(format!("id-{n}"))
        .data(format!("payload {n} {}", "x".repeat(100)))
}

/// A store of so many events in small segments, each appended alone: as it is after it was closed, or as a process
/// leaves it that is killed.
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
        // Not all the room that was made ready: zeroes are zeroes, and this is done thousands of times.
        let log = active_log(&disk);
        let bytes = disk.contents(&log).expect("read");
        disk.put(&log, &bytes[..(8 << 10).max(end_of_data(&bytes) + 1024)]);
    }
    disk.image()
}

/// Names and contents of all files.
pub(super) fn files(disk: &FaultFileSystem) -> Vec<(String, Vec<u8>)> {
    let names = disk.names(on_disk("store")).expect("listed");
    names
        .into_iter()
        .map(|name| (name.clone(), disk.contents(on_disk("store").join(name)).expect("read")))
        .collect()
}

/// Names and contents of all files but the lock.
pub(super) fn all_but_lock(disk: &FaultFileSystem) -> Vec<(String, Vec<u8>)> {
    files(disk).into_iter().filter(|(name, _)| name != "LOCK").collect()
}

/// That a store that was refused has the same files with the same bytes.
pub(super) fn is_unchanged(before: &[(String, Vec<u8>)], disk: &FaultFileSystem, note: &str) {
    let after = all_but_lock(disk);
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(before), names(&after), "{note}: refusing it changed which files there are");
    for ((name, was), (_, is)) in before.iter().zip(&after) {
        let (had, has) = (was.len(), is.len());
        assert!(was == is, "{note}: refusing it changed {name}, of {had} bytes, now {has}");
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

/// Where the frames of a segment begin.
pub(super) fn frames(bytes: &[u8]) -> Vec<usize> {
    (64..bytes.len().saturating_sub(4))
        .step_by(8)
        .filter(|&at| &bytes[at..at + 4] == b"ANfr")
        .collect()
}

/// Where the last byte is that is not zero, and one beyond.
pub(super) fn end_of_data(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

/// That a store has just the first `count` events and finds them.
pub(super) fn is_whole(store: &Store, count: u64) {
    let seen = look(store, count, "whole");
    assert!(seen, "an event cannot be read");
    assert_eq!(store.len(), count);
    for n in 0..count.min(5) {
        assert_eq!(store.append(event(n)).expect("recorded before"), n, "an id is not found");
    }
}

/// What may be there.
pub(super) struct Expected {
    pub(super) events: u64,
    /// Whether the last event may be gone.
    pub(super) cut_allowed: bool,
}

/// That a store that was harmed is refused as damaged, or says so where it is, or has all that was there.
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
    look(&store, count, note);
}

/// Reads in every way. True if all could be read; what was read was right, and nothing was left out unsaid.
fn look(store: &Store, count: u64, note: &str) -> bool {
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

/// That these events are read, or as many of them as come before an error.
fn reads(
    events: annals::Events<'_, Sample, annals::Journal<Sample>>,
    expected: &[u64],
    note: &str,
) -> bool {
    let mut expected = expected.iter();
    for read in events {
        let Ok(read) = read else { return false };
        assert_eq!(Some(&read.offset), expected.next(), "{note}: an event is passed over");
        assert!(read.event == event(read.offset), "{note}: another event at {}", read.offset);
    }
    assert_eq!(expected.next(), None, "{note}: an event is missing, and nothing is said");
    true
}

/// A copy of a store in a real directory, where `verify` can see it.
pub(super) struct RealCopy {
    directory: tempfile::TempDir,
}

impl RealCopy {
    pub(super) fn of(disk: &FaultFileSystem) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        disk.copy_out(on_disk("store"), directory.path()).expect("copied");
        Self { directory }
    }

    /// That `verify` sees the harm: with `bytes` in place of the file `name`.
    pub(super) fn judge(&self, name: &str, bytes: &[u8], closed: bool, note: &str) {
        let path = self.directory.path().join(name);
        let before = std::fs::read(&path).expect("read");
        std::fs::write(&path, bytes).expect("written");
        let report = annals::verify(self.directory.path());
        std::fs::write(&path, before).expect("written back");
        let is = |extension: &str| has_extension(name, extension);
        match report {
            Ok(report) if closed && (is("log") || is("idx")) => {
                assert!(!report.problems.is_empty(), "{note}: verify sees nothing");
            }
            Ok(report) if is("log") => {
                let seen = !report.problems.is_empty() || !report.notes.is_empty();
                assert!(seen, "{note}: verify sees nothing, of {} events", report.events);
            }
            // What `store.json` and `closed.json` say beside the store's id and format may be anything.
            Ok(_) => {}
            Err(OpenError::NotAStore { .. } | OpenError::NewerFormat { .. }) => {
                assert!(is("json"), "{note}: {}", path.display());
            }
            Err(error) => panic!("{note}: {error:?}"),
        }
    }
}
