//! Salvage of damaged stores: it saves every event whose record is intact, in order, and invents or changes none. It
//! reports the missing events, and does not change the damaged store.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use annals::{Batch, Durability, EventStore, SalvageError, SalvageReport};
use annals_conformance::fault::{FaultFileSystem, Image, Loss, on_disk};
use annals_conformance::{JournalSubject, Random, Sample};

use crate::harmed::{
    Store, active_log, end_of_data, event, files, frames, image, image_with, sealed_logs,
};

fn salvage(disk: &FaultFileSystem) -> Result<SalvageReport, SalvageError> {
    let options = JournalSubject::new(Durability::Sync).options(disk);
    options.salvage(on_disk("store"), on_disk("saved"))
}

/// The saved events, by old offset, with their times.
type Saved = Vec<(u64, u64)>;

/// Salvages a store, and checks everything that must hold for any damage. `times` are the times of the old events.
fn check(disk: &FaultFileSystem, times: &[u64], note: &str) -> (SalvageReport, Saved) {
    let before = files(disk);
    let report = salvage(disk).unwrap_or_else(|error| panic!("{note}: {error}"));
    assert!(before == files(disk), "{note}: the damaged store was changed");
    let mut saved = Saved::new();
    if report.events > 0 {
        let options = JournalSubject::new(Durability::Sync).options(disk);
        let store: Store =
            EventStore::on(options.open_read_only(on_disk("saved")).expect("it opens"));
        assert_eq!(store.len(), report.events, "{note}");
        let old = report.ranges.iter().flat_map(|range| range.old..range.old + range.count);
        for (read, old) in store.read(..).zip(old) {
            let read = read.expect("read");
            assert!(read.event == event(old), "{note}: the event of offset {old} changed");
            assert_eq!(report.new_offset(old), Some(read.offset), "{note}");
            saved.push((old, read.time_ms));
        }
        assert_eq!(saved.len() as u64, report.events, "{note}");
    } else {
        assert!(disk.names(on_disk("saved")).is_err(), "{note}: an empty store was created");
    }
    for (old, time_ms) in &saved {
        let is_known = !report.without_time.iter().any(|range| range.contains(old));
        let was = times[usize::try_from(*old).expect("small")];
        assert!(!is_known || *time_ms == was, "{note}: {old} has the time {time_ms} and had {was}");
    }
    assert!(saved.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{note}: {saved:?}");
    is_partition(&report, note);
    (report, saved)
}

/// Checks that every offset up to the end was saved or is in a gap, and that ranges and gaps do not overlap.
fn is_partition(report: &SalvageReport, note: &str) {
    let saved = report.ranges.iter().map(|range| (range.old, range.old + range.count));
    let gaps = report.gaps.iter().map(|gap| (gap.from, gap.to.unwrap_or(u64::MAX)));
    let mut all: Vec<(u64, u64)> = saved.chain(gaps).collect();
    all.sort_unstable();
    let mut next = 0;
    for (from, to) in all {
        assert!(from == next && from < to, "{note}: {report:?}");
        next = to;
    }
}

/// Returns the file and the byte range of each event's record.
fn records(disk: &FaultFileSystem) -> Vec<(PathBuf, Range<usize>)> {
    let number = |bytes: &[u8], at: usize| {
        u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
    };
    let mut records = Vec::new();
    for log in sealed_logs(disk).into_iter().chain([active_log(disk)]) {
        let bytes = disk.contents(&log).expect("read");
        for frame in frames(&bytes) {
            let mut at = frame + 48;
            for _ in 0..number(&bytes, frame + 16) {
                let size = number(&bytes, at + 4);
                records.push((log.clone(), at..at + size));
                at = (at + size).next_multiple_of(8);
            }
        }
    }
    records
}

/// Returns the times of the events of a whole store, in milliseconds.
fn times(whole: &Image) -> Vec<u64> {
    let disk = FaultFileSystem::of(whole, 0);
    let options = JournalSubject::new(Durability::Sync).options(&disk);
    let store: Store = EventStore::on(options.open_read_only(on_disk("store")).expect("it opens"));
    store.read(..).map(|event| event.expect("read").time_ms).collect()
}

/// Returns a store whose events were appended in batches of one to five, each with another time.
fn image_of_batches(count: u64, closed: bool) -> Image {
    let disk = FaultFileSystem::new(0);
    let options = JournalSubject::new(Durability::Sync).options(&disk);
    let store: Store = EventStore::on(options.open(on_disk("store")).expect("it opens"));
    let mut next = 0;
    while next < count {
        let end = (next + next % 5 + 1).min(count);
        let batch = Batch::new((next..end).map(event).collect()).time_ms(next);
        store.append_as(batch).expect("appended");
        next = end;
    }
    if !closed {
        disk.kill();
    }
    drop(store);
    if !closed {
        let log = active_log(&disk);
        let bytes = disk.contents(&log).expect("read");
        disk.put(&log, &bytes[..end_of_data(&bytes) + 1024]);
    }
    disk.image()
}

#[derive(Debug, Clone)]
enum Harm {
    Flip(PathBuf, usize, u8),
    Cut(PathBuf, usize),
    Fill(PathBuf, Range<usize>, u8),
    Remove(PathBuf),
}

impl Harm {
    fn apply(&self, disk: &FaultFileSystem) {
        let change = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = disk.contents(path).expect("read");
            change(&mut bytes);
            disk.put(path, &bytes);
        };
        match self {
            Self::Flip(path, at, mask) => change(path, &|bytes| bytes[*at] ^= mask),
            Self::Cut(path, size) => change(path, &|bytes| bytes.truncate(*size)),
            Self::Fill(path, range, byte) => change(path, &|bytes| {
                let end = range.end.min(bytes.len());
                bytes[range.start.min(end)..end].fill(*byte);
            }),
            Self::Remove(path) => assert!(disk.take_away(path)),
        }
    }

    /// Returns whether the harm leaves these bytes of a file intact.
    fn leaves(&self, file: &Path, bytes: &Range<usize>) -> bool {
        let (path, touched) = match self {
            Self::Flip(path, at, _) => (path, *at..at + 1),
            Self::Cut(path, size) => (path, *size..usize::MAX),
            Self::Fill(path, range, _) => (path, range.clone()),
            Self::Remove(path) => (path, 0..usize::MAX),
        };
        path != file || bytes.end <= touched.start || touched.end <= bytes.start
    }
}

/// Applies each harm alone to a copy of a store, and checks that every event with an intact record is saved.
fn harm_each(whole: &Image, harms: &[Harm]) {
    let (times, records) = (times(whole), records(&FaultFileSystem::of(whole, 0)));
    assert_eq!(times.len(), records.len());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(harm) = harms.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let disk = FaultFileSystem::of(whole, 0);
                    harm.apply(&disk);
                    let note = format!("{harm:?}");
                    let (report, saved) = check(&disk, &times, &note);
                    for (offset, (file, bytes)) in (0..).zip(&records) {
                        let is_saved = saved.iter().any(|(old, _)| *old == offset);
                        let is_whole = harm.leaves(file, bytes);
                        assert!(is_saved || !is_whole, "{note}: {offset} is not saved: {report:?}");
                    }
                }
            });
        }
    });
}

fn logs(disk: &FaultFileSystem) -> Vec<PathBuf> {
    sealed_logs(disk).into_iter().chain([active_log(disk)]).collect()
}

#[test]
fn a_whole_store_is_saved_as_it_is() {
    for whole in [image(50, true), image(50, false), image_of_batches(60, true)] {
        let times = times(&whole);
        let disk = FaultFileSystem::of(&whole, 0);
        let (report, saved) = check(&disk, &times, "whole");
        assert_eq!(saved.len(), times.len());
        assert!(
            report.is_complete() && report.gaps.is_empty() && report.notes.is_empty(),
            "{report:?}"
        );
        assert_eq!((report.ranges.len(), report.never_durable), (1, 0));
        assert!(report.without_time.is_empty());
    }
}

#[test]
fn whatever_byte_is_flipped_every_other_event_is_saved() {
    for closed in [true, false] {
        let whole = image_of_batches(36, closed);
        let disk = FaultFileSystem::of(&whole, 0);
        let mut harms = Vec::new();
        for (name, bytes) in files(&disk) {
            let path = on_disk("store").join(name);
            let end = (end_of_data(&bytes) + 16).min(bytes.len());
            // Salvage does not read derived files.
            let step = if path.extension().is_some_and(|end| end == "idx") { 101 } else { 1 };
            let mask = |at: usize| if at.is_multiple_of(3) { 0xff } else { 1 << (at % 8) };
            harms.extend((0..end).step_by(step).map(|at| Harm::Flip(path.clone(), at, mask(at))));
        }
        harm_each(&whole, &harms);
    }
}

#[test]
fn whatever_is_cut_zeroed_or_missing_every_other_event_is_saved() {
    let whole = image_of_batches(60, true);
    let disk = FaultFileSystem::of(&whole, 0);
    let mut harms = Vec::new();
    for log in logs(&disk) {
        let size = disk.contents(&log).expect("read").len();
        harms.push(Harm::Remove(log.clone()));
        harms.extend((0..size).step_by(37).map(|at| Harm::Cut(log.clone(), at)));
        for length in [64, 512, 4096] {
            for byte in [0, 0xa5] {
                let starts = (0..size).step_by(length.min(512) / 4 + 8);
                harms.extend(starts.map(|at| Harm::Fill(log.clone(), at..at + length, byte)));
            }
        }
    }
    let others = files(&disk).into_iter().map(|(name, _)| on_disk("store").join(name));
    harms.extend(
        others.filter(|path| path.extension().is_none_or(|end| end != "log")).map(Harm::Remove),
    );
    harm_each(&whole, &harms);
}

#[test]
fn with_any_damage_at_all_no_event_is_invented_altered_or_out_of_order() {
    let whole = image_of_batches(80, false);
    let times = times(&whole);
    let disk = FaultFileSystem::of(&whole, 0);
    let all: Vec<(PathBuf, usize)> = files(&disk)
        .into_iter()
        .map(|(name, bytes)| (on_disk("store").join(name), bytes.len()))
        .collect();
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let disk = FaultFileSystem::of(&whole, 0);
        let mut harms: Vec<Harm> = Vec::new();
        for _ in 0..=random.index(12) {
            let (path, size) = &all[random.index(all.len())];
            if harms.iter().any(|harm| matches!(harm, Harm::Remove(gone) if gone == path)) {
                continue;
            }
            let size = disk.contents(path).map_or(*size, |bytes| bytes.len()).max(1);
            let at = random.index(size);
            let harm = match random.index(8) {
                0 => Harm::Remove(path.clone()),
                1 => Harm::Cut(path.clone(), at),
                2 => Harm::Fill(path.clone(), at..at + random.index(600), 0),
                3 => Harm::Fill(path.clone(), at..at + random.index(600), 0x41),
                _ if at < disk.contents(path).map_or(0, |bytes| bytes.len()) => {
                    Harm::Flip(path.clone(), at, 1 << random.index(8))
                }
                _ => continue,
            };
            harm.apply(&disk);
            harms.push(harm);
        }
        if logs_left(&disk) == 0 {
            assert!(salvage(&disk).is_err(), "seed {seed}: there is no store any more");
            continue;
        }
        check(&disk, &times, &format!("seed {seed}: {harms:?}"));
    }
}

fn logs_left(disk: &FaultFileSystem) -> usize {
    let names = disk.names(on_disk("store")).expect("listed");
    names.iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "log")).count()
}

#[test]
fn after_a_crash_what_opening_keeps_is_saved() {
    for seed in 0..120 {
        let mut random = Random::new(seed);
        let durability = if random.once_in(2) { Durability::Sync } else { Durability::Buffered };
        let disk = FaultFileSystem::new(seed);
        disk.cut_power_at(20 + random.below(200));
        let options = JournalSubject::new(durability).options(&disk);
        let mut acknowledged = 0;
        if let Ok(journal) = options.open(on_disk("store")) {
            let store: Store = EventStore::on(journal);
            while acknowledged < 200 && store.append(event(acknowledged)).is_ok() {
                acknowledged += 1;
            }
        }
        disk.restart(if random.once_in(2) { Loss::Sectors(seed) } else { Loss::Pages(seed) });
        if disk.names(on_disk("store")).map_or(0, |_| logs_left(&disk)) == 0 {
            continue;
        }
        let crashed = disk.image();
        let report = salvage(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(report.is_complete(), "seed {seed}: {report:?}");
        let kept = {
            let disk = FaultFileSystem::of(&crashed, 0);
            let options = JournalSubject::new(Durability::Sync).options(&disk);
            options
                .open::<annals_conformance::Sample>(on_disk("store"))
                .map_or(0, |journal| EventStore::<Sample, _>::on(journal).len())
        };
        if durability == Durability::Sync {
            assert!(kept >= acknowledged, "seed {seed}: {kept} of {acknowledged}");
        }
        let first =
            report.ranges.first().map_or(0, |range| if range.old == 0 { range.count } else { 0 });
        assert!(first >= kept, "seed {seed}: {first} of {kept}: {report:?}");
        // Events behind those that opening keeps were never acknowledged as durable.
        assert_eq!(report.never_durable, report.events - first, "seed {seed}: {report:?}");
        assert!(report.gaps.iter().all(|gap| !gap.was_durable), "seed {seed}: {report:?}");
    }
}

#[test]
fn gaps_and_times_are_told_as_they_are() {
    let whole = image_of_batches(60, true);
    let times = times(&whole);
    let disk = FaultFileSystem::of(&whole, 0);
    let (log, records) = (sealed_logs(&disk).swap_remove(1), records(&disk));
    let in_log = |offset: usize| records[offset].0 == log;
    let first = (0..60).position(in_log).expect("one");
    // One damaged record: the event at these bytes is missing.
    let lost = first + 3;
    let bytes = &records[lost].1;
    assert!(disk.flip(&log, bytes.start as u64 + 30, 1));
    let (report, _) = check(&disk, &times, "a record");
    let [gap] = &report.gaps[..] else { panic!("{report:?}") };
    assert_eq!((gap.from, gap.to, &gap.file), (lost as u64, Some(lost as u64 + 1), &log));
    assert!(gap.was_durable && !report.is_complete() && report.lost_events() == 1);
    assert!(gap.bytes.start == bytes.start as u64 && gap.bytes.end >= bytes.end as u64, "{gap:?}");
    assert!(gap.found.contains("checksum"), "{gap:?}");
    assert!(report.without_time.is_empty());
    // One damaged frame head: no event is missing, but the times of its events are.
    let disk = FaultFileSystem::of(&whole, 0);
    let frame = frames(&disk.contents(&log).expect("read"))[1] as u64;
    assert!(disk.flip(&log, frame + 33, 1));
    let (report, _) = check(&disk, &times, "a frame's head");
    assert!(report.is_complete() && report.gaps.is_empty() && report.events == 60);
    assert_eq!(report.without_time.len(), 1, "{report:?}");
    // A missing segment.
    let disk = FaultFileSystem::of(&whole, 0);
    assert!(disk.take_away(&log));
    let (report, _) = check(&disk, &times, "a segment");
    let count = (0..60).filter(|&offset| in_log(offset)).count() as u64;
    let [gap] = &report.gaps[..] else { panic!("{report:?}") };
    assert_eq!((gap.from, gap.to), (first as u64, Some(first as u64 + count)));
    assert!(gap.was_durable && report.lost_events() == count);
    // Events that the record of the last close counts, but that are missing.
    let disk = FaultFileSystem::of(&whole, 0);
    disk.put(on_disk("store").join("closed.json"), b"{\"head\":75}\n");
    let (report, _) = check(&disk, &times, "a later close");
    let [gap] = &report.gaps[..] else { panic!("{report:?}") };
    assert_eq!((gap.from, gap.to, gap.was_durable), (60, Some(75), true));
}

#[test]
fn whole_events_behind_a_commit_that_was_never_durable_are_counted_apart() {
    let whole = image_with(50, false, Durability::Buffered);
    let times = times(&whole);
    let disk = FaultFileSystem::of(&whole, 0);
    let log = active_log(&disk);
    let starts = frames(&disk.contents(&log).expect("read"));
    let offset = 50 - starts.len() as u64 + 2;
    assert!(disk.flip(&log, starts[2] as u64 + 80, 1));
    let (report, saved) = check(&disk, &times, "torn");
    assert_eq!((saved.len() as u64, report.never_durable), (49, 49 - offset));
    let [gap] = &report.gaps[..] else { panic!("{report:?}") };
    assert_eq!((gap.from, gap.to, gap.was_durable), (offset, Some(offset + 1), false));
    assert!(report.is_complete());
}

#[test]
fn segments_under_other_names_and_of_other_stores_are_told_apart() {
    let whole = image_of_batches(60, true);
    let times = times(&whole);
    let disk = FaultFileSystem::of(&whole, 0);
    let sealed = sealed_logs(&disk);
    let (one, two) = (&sealed[0], &sealed[1]);
    let (first, second) = (disk.contents(one).expect("read"), disk.contents(two).expect("read"));
    // Two segments with swapped names, and a copy of one of them.
    disk.put(one, &second);
    disk.put(two, &first);
    disk.put(on_disk("store").join("00000000000000000059.log"), &first);
    let (report, saved) = check(&disk, &times, "swapped");
    assert_eq!((saved.len(), report.gaps.len()), (60, 0), "{report:?}");
    // The copy has an event that is damaged in the other one.
    let damaged_at = frames(&first)[0] + 70;
    assert!(disk.flip(two, damaged_at as u64, 1));
    let (report, saved) = {
        let disk = FaultFileSystem::of(&disk.image(), 0);
        assert!(disk.take_away(on_disk("saved").join("store.json")));
        for name in disk.names(on_disk("saved")).expect("listed") {
            disk.take_away(on_disk("saved").join(name));
        }
        check(&disk, &times, "a copy")
    };
    assert_eq!((saved.len(), report.gaps.len()), (60, 0), "{report:?}");
    // No event of another store is salvaged, although the offsets would fit.
    let disk = FaultFileSystem::of(&whole, 0);
    let other = FaultFileSystem::of(&image_of_batches(60, true), 0);
    disk.put(two, &other.contents(two).expect("read"));
    let (report, _) = check(&disk, &times, "another store's");
    let [gap] = &report.gaps[..] else { panic!("{report:?}") };
    assert!(gap.found.contains("a segment of store"), "{gap:?}");
}

#[test]
fn a_store_without_its_id_is_known_by_its_segments() {
    let whole = image_of_batches(60, true);
    let times = times(&whole);
    let harms: [&dyn Fn(&FaultFileSystem); 3] = [
        &|disk| assert!(disk.take_away(on_disk("store").join("store.json"))),
        &|disk| disk.put(on_disk("store").join("store.json"), b"{"),
        &|disk| {
            let json = br#"{"format":1,"store_id":"00000000-0000-4000-8000-000000000000"}"#;
            disk.put(on_disk("store").join("store.json"), json);
        },
    ];
    for harm in harms {
        let disk = FaultFileSystem::of(&whole, 0);
        harm(&disk);
        let (report, saved) = check(&disk, &times, "no id");
        assert_eq!((saved.len(), report.gaps.len(), report.notes.is_empty()), (60, 0, false));
    }
    // Without any store id the records are whole. Only their times are lost.
    let disk = FaultFileSystem::of(&whole, 0);
    harms[0](&disk);
    for log in logs(&disk) {
        assert!(disk.flip(log, 20, 1));
    }
    let (report, saved) = check(&disk, &times, "no id at all");
    let [without_time] = &report.without_time[..] else { panic!("{report:?}") };
    assert_eq!((saved.len(), without_time), (60, &(0..60)));
}

#[test]
fn it_refuses_what_is_not_a_store_and_where_something_is() {
    let disk = FaultFileSystem::of(&image(10, true), 0);
    let options = || JournalSubject::new(Durability::Sync).options(&disk);
    let salvaged = |from: &str, to: &str| options().salvage(on_disk(from), on_disk(to));
    let is_refused = |from: &str, to: &str, words: &[&str]| {
        let before = files(&disk);
        let message = salvaged(from, to).expect_err("it is salvaged").to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert_eq!(before, files(&disk));
    };
    is_refused("nowhere", "saved", &["no store at /disk/nowhere"]);
    is_refused("store", "store", &["/disk/store", "outside"]);
    is_refused("store", "store/saved", &["inside", "outside"]);
    is_refused("store/LOCK", "saved", &["it is a file"]);
    disk.put(on_disk("taken"), b"a file");
    is_refused("store", "taken", &["/disk/taken exists already"]);
    salvaged("store", "saved").expect("salvaged");
    is_refused("store", "saved", &["/disk/saved exists already"]);
    // A newer format is refused only if the segments have it too.
    let path = on_disk("store").join("store.json");
    let json = String::from_utf8(disk.contents(&path).expect("read")).expect("text");
    disk.put(&path, json.replace("\"format\":1", "\"format\":2").as_bytes());
    salvaged("store", "again").expect("only that digit was changed");
    assert!(disk.flip(active_log(&disk), 8, 3));
    is_refused("store", "newer", &["format 2", "newer"]);
}
