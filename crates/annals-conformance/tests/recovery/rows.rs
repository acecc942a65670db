//! The rows of the recovery table: the possible states of the log's end and directory, and what opening does about
//! each.

use std::path::Path;

use annals::{Durability, EventStore, Journal, OpenError, Query};
use annals_conformance::fault::{FaultFileSystem, Loss, on_disk};
use annals_conformance::{JournalSubject, Sample};

use crate::harmed::{
    Store, active_log, all_but_lock, end_of_data, event, frames, image, image_with, is_unchanged,
    is_whole, open, sealed_logs,
};

/// A change of the bytes of a file, or of the file.
type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
type ChangeFile<'a> = &'a dyn Fn(&FaultFileSystem, &Path);

fn open_read_only(disk: &FaultFileSystem) -> Store {
    let options = JournalSubject::new(Durability::Sync).options(disk);
    EventStore::on(options.open_read_only(on_disk("store")).expect("it opens read-only"))
}

/// Checks that a store is refused as damaged in this file, with a helpful message, and that it is not changed.
fn is_refused(disk: &FaultFileSystem, file: &str, words: &[&str]) {
    let before = all_but_lock(disk);
    let error = open(disk).expect_err("a damaged store opens");
    let OpenError::Corrupt(damage) = &error else { panic!("damage is reported as {error:?}") };
    assert!(
        damage.file.ends_with(file),
        "damage of {file} is reported as damage of {}",
        damage.file.display()
    );
    let message = error.to_string();
    let way_out = match (file, damage.offset) {
        ("closed.json", _) => "remove it",
        (_, 0) => "backup",
        _ => "read-only",
    };
    says(&message, &[file, "byte", "offset", "annals verify", way_out]);
    says(&message, words);
    is_unchanged(&before, disk, file);
}

/// Checks that a message contains all these words.
fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
}

/// Checks that a store opens read-only with the first `count` events.
fn is_good_up_to(disk: &FaultFileSystem, count: u64) {
    let store = open_read_only(disk);
    let mut cursor = store.subscription(Query::all(), 0);
    for n in 0..count {
        let read = cursor.next().expect("the log is not closed").expect("read");
        assert_eq!((read.offset, &read.event), (n, &event(n)));
    }
    assert_eq!(store.len(), count);
    assert!(matches!(store.append(event(0)), Err(annals::AppendError::ReadOnly)));
}

/// Checks that a store opens with the first `count` events, takes appends, and is whole afterwards.
fn opens_with(disk: &FaultFileSystem, count: u64) {
    let store = open(disk).expect("it opens");
    assert_eq!(store.len(), count);
    (count..count + 30).for_each(|n| assert_eq!(store.append(event(n)).expect("appended"), n));
    is_whole(&store, count + 30);
    drop(store);
    disk.restart(Loss::Everything);
    is_whole(&open(disk).expect("it opens again"), count + 30);
}

#[test]
fn zeroes_after_a_whole_frame_are_a_clean_end() {
    let disk = FaultFileSystem::of(&image(50, false), 0);
    let log = active_log(&disk);
    let bytes = disk.contents(&log).expect("read");
    assert!(bytes.len() > end_of_data(&bytes) + 512, "no space is allocated");
    opens_with(&disk, 50);
}

#[test]
fn the_files_end_after_a_whole_frame_is_a_clean_end() {
    opens_with(&FaultFileSystem::of(&image(50, true), 0), 50);
    let disk = FaultFileSystem::of(&image(50, false), 0);
    let log = active_log(&disk);
    let bytes = disk.contents(&log).expect("read");
    disk.put(&log, &bytes[..end_of_data(&bytes).next_multiple_of(8)]);
    opens_with(&disk, 50);
}

#[test]
fn a_bad_frame_that_nothing_says_was_durable_is_cut_wherever_it_is_torn() {
    let whole = image(50, false);
    let disk = FaultFileSystem::of(&whole, 0);
    let log = active_log(&disk);
    let bytes = disk.contents(&log).expect("read");
    let (start, end) = (*frames(&bytes).last().expect("a frame"), end_of_data(&bytes));
    for cut in start..end {
        let disk = FaultFileSystem::of(&whole, 0);
        let mut torn = bytes.clone();
        if cut % 2 == 0 {
            torn[cut..end].fill(0);
        } else {
            torn[start..=cut].fill(0);
        }
        disk.put(&log, &torn);
        let store = open(&disk).expect("it opens");
        assert_eq!(store.len(), 49, "torn at {cut} of {start}..{end}");
        assert_eq!(store.append(event(49)).expect("appended"), 49);
        if cut % 16 < 2 {
            drop(store);
            opens_with(&disk, 50);
        }
    }
}

#[test]
fn a_whole_frame_behind_a_bad_one_is_cut_too_if_it_does_not_say_that_the_bad_one_was_durable() {
    // With buffered appends, no frame records that the frames before it were durable.
    let whole = image_with(50, false, Durability::Buffered);
    let disk = FaultFileSystem::of(&whole, 0);
    let log = active_log(&disk);
    let frames = frames(&disk.contents(&log).expect("read"));
    assert!(frames.len() > 4);
    let (sealed, bad) = (50 - frames.len() as u64, frames.len() - 4);
    assert!(disk.flip(&log, frames[bad] as u64 + 60, 1));
    opens_with(&disk, sealed + bad as u64);
}

#[test]
fn a_bad_frame_that_a_later_one_says_was_durable_is_damage() {
    let whole = image(50, false);
    let disk = FaultFileSystem::of(&whole, 0);
    let log = active_log(&disk);
    let frames = frames(&disk.contents(&log).expect("read"));
    let first = 50 - frames.len() as u64;
    for (bad, position) in frames[..frames.len() - 1].iter().enumerate() {
        let disk = FaultFileSystem::of(&whole, 0);
        assert!(disk.flip(&log, *position as u64 + 70, 4));
        let offset = first + bad as u64;
        let name = log.file_name().expect("a name").to_string_lossy().into_owned();
        is_refused(&disk, &name, &[&format!("byte {position}"), &format!("offset {offset}")]);
        is_good_up_to(&disk, offset);
    }
    // Also if the frame consists of zeroes.
    let disk = FaultFileSystem::of(&whole, 0);
    let mut bytes = disk.contents(&log).expect("read");
    bytes[frames[1]..frames[2]].fill(0);
    disk.put(&log, &bytes);
    is_refused(
        &disk,
        &log.file_name().expect("a name").to_string_lossy(),
        &[&format!("offset {}", first + 1)],
    );
    is_good_up_to(&disk, first + 1);
}

#[test]
fn an_end_that_was_there_at_the_last_close_and_is_not_is_damage() {
    let whole = image(50, true);
    let disk = FaultFileSystem::of(&whole, 0);
    let log = active_log(&disk);
    let name = log.file_name().expect("a name").to_string_lossy().into_owned();
    let bytes = disk.contents(&log).expect("read");
    let start = *frames(&bytes).last().expect("a frame");
    let cases: [Change<'_>; 4] = [
        &|bytes| bytes[start + 70] ^= 1,
        &|bytes| bytes.truncate(start),
        &|bytes| bytes.truncate(start + 50),
        &|bytes| bytes[start..].fill(0),
    ];
    for harm in cases {
        let disk = FaultFileSystem::of(&whole, 0);
        let mut bytes = bytes.clone();
        harm(&mut bytes);
        disk.put(&log, &bytes);
        is_refused(
            &disk,
            &name,
            &["offset 50", "last close", &format!("byte {start}"), "offset 49"],
        );
        is_good_up_to(&disk, 49);
    }
}

#[test]
fn a_bad_head_is_damage() {
    let whole = image(50, true);
    for log in sealed_logs(&FaultFileSystem::of(&whole, 0))
        .into_iter()
        .chain([active_log(&FaultFileSystem::of(&whole, 0))])
    {
        let name = log.file_name().expect("a name").to_string_lossy().into_owned();
        for position in [0, 8, 12, 16, 32, 40, 48, 63] {
            let disk = FaultFileSystem::of(&whole, 0);
            assert!(disk.flip(&log, position, 1));
            is_refused(&disk, &name, &[]);
        }
    }
}

#[test]
fn a_missing_segment_is_damage() {
    let whole = image(50, true);
    let logs = sealed_logs(&FaultFileSystem::of(&whole, 0));
    assert!(logs.len() >= 2);
    let disk = FaultFileSystem::of(&whole, 0);
    assert!(disk.take_away(&logs[0]));
    is_refused(&disk, "00000000000000000000.log", &["no such file"]);
    let disk = FaultFileSystem::of(&whole, 0);
    assert!(disk.take_away(&logs[1]));
    is_refused(&disk, "00000000000000000000.log", &["where the next segment begins"]);
    let disk = FaultFileSystem::of(&whole, 0);
    let active = active_log(&disk);
    let name = active.file_name().expect("a file").to_string_lossy().into_owned();
    assert!(disk.take_away(&active));
    is_refused(&disk, &name, &["no such file"]);
}

#[test]
fn what_a_crash_left_stays_as_long_as_the_store_is_refused() {
    let whole = image(50, true);
    let disk = FaultFileSystem::of(&whole, 0);
    let (sealed, active) = (sealed_logs(&disk), active_log(&disk));
    let store = on_disk("store");
    let left = ["00000000000000000049.log.new", "closed.json.new", "00000000000000000000.64.flt"];
    for name in left {
        disk.put(store.join(name), b"left behind");
    }
    // Two sealed segments have no index, one of them before the damage.
    for log in &sealed[..2] {
        assert!(disk.take_away(log.with_extension("idx")));
    }
    let name = |log: &Path| log.file_name().expect("a name").to_string_lossy().into_owned();
    let cases: [(&Path, u64); 3] = [(&sealed[1], 20), (&active, 20), (&active, 70)];
    for (log, position) in cases {
        assert!(disk.flip(log, position, 1));
        is_refused(&disk, &name(log), &[]);
        assert!(disk.flip(log, position, 1));
    }
    disk.put(store.join("closed.json"), b"{");
    is_refused(&disk, "closed.json", &[]);
    disk.put(store.join("closed.json"), b"{\"head\":50}");
    // Opening the store repairs all of that.
    is_whole(&open(&disk).expect("it opens"), 50);
    let names = disk.names(&store).expect("listed");
    assert!(left.iter().all(|left| !names.iter().any(|name| name == left)), "{names:?}");
    assert!(
        sealed.iter().all(|log| names.contains(&name(&log.with_extension("idx")))),
        "{names:?}"
    );
}

#[test]
fn segments_in_each_others_places_are_damage() {
    let whole = image(50, true);
    let disk = FaultFileSystem::of(&whole, 0);
    let logs = sealed_logs(&disk);
    let (first, second) =
        (disk.contents(&logs[0]).expect("read"), disk.contents(&logs[1]).expect("read"));
    disk.put(&logs[0], &second);
    disk.put(&logs[1], &first);
    is_refused(&disk, "00000000000000000000.log", &["begins at offset 0"]);
    // A segment under another name.
    let disk = FaultFileSystem::of(&whole, 0);
    disk.put(on_disk("store").join("00000000000000000049.log"), &first);
    assert!(open(&disk).is_err());
}

#[test]
fn a_segment_of_another_store_is_damage() {
    let disk = FaultFileSystem::of(&image(50, true), 0);
    let other = FaultFileSystem::of(&image(50, true), 0);
    let log = sealed_logs(&disk).swap_remove(1);
    disk.put(&log, &other.contents(&log).expect("read"));
    let name = log.file_name().expect("a name").to_string_lossy().into_owned();
    is_refused(&disk, &name, &["a segment of store", "one of store"]);
}

#[test]
fn an_index_that_is_missing_or_bad_is_made_again() {
    let whole = image(50, true);
    let indexes: Vec<_> = sealed_logs(&FaultFileSystem::of(&whole, 0))
        .iter()
        .map(|log| log.with_extension("idx"))
        .collect();
    let harms: [ChangeFile<'_>; 4] = [
        &|disk, index| assert!(disk.take_away(index)),
        &|disk, index| disk.put(index, b""),
        &|disk, index| assert!(disk.flip(index, 20, 1)),
        &|disk, index| {
            let other = indexes.iter().find(|other| *other != index).expect("two");
            disk.put(index, &disk.contents(other).expect("read"));
        },
    ];
    for harm in harms {
        let disk = FaultFileSystem::of(&whole, 0);
        let before: Vec<_> =
            indexes.iter().map(|index| disk.contents(index).expect("read")).collect();
        for index in &indexes {
            harm(&disk, index);
        }
        is_whole(&open(&disk).expect("it opens"), 50);
        let after: Vec<_> =
            indexes.iter().map(|index| disk.contents(index).expect("read")).collect();
        assert!(before == after, "an index was not rebuilt");
    }
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let disk = FaultFileSystem::new(0);
    let path = on_disk("store");
    let options = || JournalSubject::new(Durability::Sync).options(&disk);
    let refused = |words: &[&str]| {
        let error = options().open::<Sample>(&path).expect_err("it opens").to_string();
        says(&error, words);
    };
    let error =
        options().open_read_only::<Sample>(&path).expect_err("nothing is there").to_string();
    assert_eq!(error, "there is no store at /disk/store");
    disk.put(&path, b"a file");
    refused(&["not an annals store", "it is a file"]);
    assert!(disk.take_away(&path));
    let whole = FaultFileSystem::of(&image(3, true), 0);
    let json =
        String::from_utf8(whole.contents(path.join("store.json")).expect("read")).expect("text");
    let disk = whole;
    let options = || JournalSubject::new(Durability::Sync).options(&disk);
    let refused = |content: &str, words: &[&str]| {
        disk.put(path.join("store.json"), content.as_bytes());
        let error = options().open::<Sample>(&path).expect_err("it opens").to_string();
        says(&error, words);
    };
    refused(&json.replace("\"format\":1", "\"format\":2"), &["format 2", "newer"]);
    refused(&json.replace("\"format\":1", "\"format\":0"), &["not an annals store"]);
    refused("{", &["store.json cannot be read"]);
    refused("", &["store.json cannot be read"]);
    disk.put(path.join("store.json"), json.as_bytes());
    is_whole(&open(&disk).expect("it opens"), 3);
    for bytes in [0, 4095, (2 << 30) + 1] {
        let error =
            options().segment_bytes(bytes).open::<Sample>(&path).expect_err("it opens").to_string();
        assert!(error.contains("segment_bytes") && error.contains(&bytes.to_string()), "{error}");
    }
}

#[test]
fn a_directory_of_other_things_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("notes.txt"), "mine").expect("written");
    let error =
        Journal::options().open::<Sample>(directory.path()).expect_err("it opens").to_string();
    assert!(error.contains("not an annals store") && error.contains("other files"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).expect("read").count(), 1, "a file was created");
}

#[test]
fn an_index_that_cannot_be_made_again_on_a_full_disk_keeps_nobody_out() {
    let disk = FaultFileSystem::of(&image(50, true), 0);
    let indexes: Vec<_> = sealed_logs(&disk).iter().map(|log| log.with_extension("idx")).collect();
    for index in &indexes {
        assert!(disk.take_away(index));
    }
    disk.set_room(Some(0));
    is_whole(&open(&disk).expect("it opens"), 50);
    disk.set_room(None);
    is_whole(&open(&disk).expect("it opens again"), 50);
    assert!(indexes.iter().all(|index| disk.contents(index).is_ok()), "an index was not rebuilt");
}

#[test]
fn names_that_a_killed_process_left_are_durable_before_anything_is_acknowledged() {
    // The process ends in each of the calls that create a store and its first segments. The power goes off later.
    for call in 1..120 {
        let disk = FaultFileSystem::new(call);
        disk.cut_power_at(call);
        let mut count = 0;
        if let Ok(store) = open(&disk) {
            while count < 40 && store.append(event(count)).is_ok() {
                count += 1;
            }
        }
        disk.kill();
        let store = open(&disk).unwrap_or_else(|error| panic!("killed in call {call}: {error}"));
        let found = store.len();
        assert!(found == count || found == count + 1, "killed in call {call}: {found} of {count}");
        assert_eq!(store.append(event(found)).expect("appended"), found);
        disk.restart(Loss::Everything);
        drop(store);
        is_whole(&open(&disk).expect("it opens after the power cut"), found + 1);
    }
}
