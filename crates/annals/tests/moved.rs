//! A store whose directory or files are moved, removed or replaced while a program has it open.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::path::Path;

use annals::{
    AppendError, Batch, Durability, EventStore, FollowError, Journal, LockHolder, OpenError,
    Projection, Query, RawEvent, Recorded, SnapshotPolicy, verify,
};

type Store = EventStore<RawEvent, Journal<RawEvent>>;

fn event(event_type: &str) -> RawEvent {
    RawEvent::builder(event_type).data(vec![b'0'; 500]).build().unwrap()
}

/// Opens a store with segments that are full after a few events.
fn open(path: &Path, durability: Durability) -> Store {
    let options = Journal::options().segment_bytes(4 << 10).durability(durability);
    EventStore::on(options.open(path).unwrap())
}

fn types(path: &Path) -> Vec<String> {
    let store = EventStore::<RawEvent>::open(path).unwrap();
    store.read(..).map(|event| event.unwrap().event.event_type().to_owned()).collect()
}

struct Count;

impl Projection for Count {
    type Event = RawEvent;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) {
        *count += 1;
    }
}

#[test]
fn a_writer_follows_its_directory_and_leaves_a_new_store_alone() {
    for durability in [Durability::Sync, Durability::Buffered] {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("st"), directory.path().join("st.1"));
        let old = open(&path, durability);
        old.append(event("old")).unwrap();
        fs::rename(&path, &moved).unwrap();
        let new = open(&path, Durability::Sync);
        new.append(event("new")).unwrap();
        // Writes many segments with their indexes and filters, and snapshots.
        for _ in 0..99 {
            old.append(event("old")).unwrap();
        }
        let policy = SnapshotPolicy::every(10);
        assert_eq!(*old.reconstruct(Count).snapshots(policy).now().unwrap(), 100);
        old.close().unwrap();
        drop((old, new));
        assert_eq!(types(&path), ["new"]);
        assert_eq!(types(&moved), ["old"; 100]);
        assert!(!path.join("snapshots").exists() && moved.join("snapshots").exists());
        for store in [&path, &moved] {
            assert_eq!(verify(store).unwrap().problems, []);
            assert_eq!(verify(store).unwrap().notes, [""; 0]);
        }
    }
}

#[test]
fn a_store_that_was_removed_takes_no_more_appends() {
    for durability in [Durability::Sync, Durability::Buffered] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("st");
        let store = open(&path, durability);
        store.append(event("there")).unwrap();
        fs::remove_dir_all(&path).unwrap();
        // Without syncs, the store checks its directory once in a millisecond.
        let refused = loop {
            let appended = store.append(event("gone"));
            if durability == Durability::Sync || appended.is_err() {
                break appended;
            }
        };
        assert!(matches!(refused, Err(AppendError::Failed { .. })), "{refused:?}");
        assert!(refused.unwrap_err().to_string().contains("was removed"));
        assert!(store.append(event("gone")).is_err());
        assert!(store.close().is_err());
        assert!(store.get(0).unwrap().is_some(), "what was read stays readable");
        assert!(!path.exists());
    }
}

#[test]
fn a_store_that_was_removed_is_not_closed_as_if_it_were_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    let store = open(&path, Durability::Sync);
    store.append(event("there")).unwrap();
    fs::remove_dir_all(&path).unwrap();
    assert!(store.close().is_err());
}

#[test]
fn a_store_whose_files_were_replaced_is_not_closed_over_them() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    let store = open(&path, Durability::Sync);
    store.append(event("there")).unwrap();
    let name = path.join("00000000000000000000.log");
    fs::copy(&name, path.join("copy")).unwrap();
    store.append(event("lost")).unwrap();
    fs::rename(path.join("copy"), &name).unwrap();
    assert!(store.sync().is_err());
    assert!(store.close().is_err());
    drop(store);
    // Nothing says that there were more events at the last close.
    assert_eq!(types(&path), ["there"]);
}

#[test]
fn a_replaced_segment_takes_no_more_appends_even_if_a_backup_links_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    let store = open(&path, Durability::Sync);
    store.append(event("there")).unwrap();
    let (name, backup) = (path.join("00000000000000000000.log"), directory.path().join("backup"));
    fs::hard_link(&name, &backup).unwrap();
    fs::copy(&name, path.join("copy")).unwrap();
    fs::rename(path.join("copy"), &name).unwrap();
    let before = fs::read(&backup).unwrap();
    assert!(matches!(store.append(event("lost")), Err(AppendError::Failed { .. })));
    assert!(fs::read(&backup).unwrap() == before, "what was written to the backup was taken back");
    drop(store);
    assert_eq!(types(&path), ["there"]);
}

#[test]
fn a_store_that_was_removed_is_noticed_without_a_sync_and_without_a_new_segment() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    let options = Journal::options().durability(Durability::Buffered);
    let store = EventStore::<RawEvent, _>::on(options.open(&path).unwrap());
    store.append(event("there")).unwrap();
    fs::remove_dir_all(&path).unwrap();
    // The writer looks once for each millisecond that events have.
    let next = store.get(0).unwrap().unwrap().time_ms + 1;
    let refused = store.append_as(Batch::new(vec![event("gone")]).time_ms(next)).unwrap_err();
    assert!(matches!(refused, AppendError::Failed { .. }), "{refused:?}");
    assert!(refused.to_string().contains("was removed"), "{refused}");
}

#[test]
fn no_segment_is_begun_behind_one_that_was_replaced() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    let store = open(&path, Durability::Buffered);
    store.append(event("there")).unwrap();
    let time_ms = store.get(0).unwrap().unwrap().time_ms;
    let name = path.join("00000000000000000000.log");
    fs::copy(&name, path.join("copy")).unwrap();
    fs::rename(path.join("copy"), &name).unwrap();
    // In the same millisecond the writer does not look, until the segment is full.
    let same = || Batch::new(vec![event("lost")]).time_ms(time_ms);
    let refused = (0..20).find_map(|_| store.append_as(same()).err()).unwrap();
    assert!(refused.to_string().contains("replaced by another file"), "{refused}");
    let names = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(names.filter(|name| name.extension().is_some_and(|kind| kind == "log")).count(), 1);
}

#[test]
fn a_second_writer_is_refused_even_if_the_lock_was_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    let store = open(&path, Durability::Sync);
    for round in 0..3 {
        store.append(event("first")).unwrap();
        fs::remove_file(path.join("LOCK")).unwrap();
        let refused = Journal::options().open::<RawEvent>(&path);
        assert!(matches!(refused, Err(OpenError::Locked { .. })), "{round}: {refused:?}");
    }
    drop(store);
    assert_eq!(types(&path), ["first"; 3]);
}

#[test]
fn the_holder_of_the_lock_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    let store = open(&path, Durability::Sync);
    let refused = Journal::options().open::<RawEvent>(&path).unwrap_err();
    assert!(
        matches!(refused, OpenError::Locked { holder: LockHolder::ThisProcess, .. }),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("in this process; use a clone"), "{refused}");
    // As a process in another container writes it.
    fs::write(path.join("LOCK"), "1 pid:[1]\n").unwrap();
    let refused = Journal::options().open::<RawEvent>(&path).unwrap_err();
    assert!(refused.to_string().contains("in another container (as process 1 there)"), "{refused}");
    drop(store);
    assert_eq!(types(&path), [""; 0]);
}

/// Replaces the files of a directory one by one with copies of the files of `new`.
fn replace_files(path: &Path, new: &Path) {
    for entry in fs::read_dir(new).unwrap() {
        let name = entry.unwrap().file_name();
        fs::copy(new.join(&name), path.join("copying")).unwrap();
        fs::rename(path.join("copying"), path.join(&name)).unwrap();
    }
}

/// Returns the types of all events of a cursor until it ends.
fn follow_to_the_end(store: &Store) -> Vec<String> {
    let events = store.subscription(Query::all(), 0);
    events.map(|event| event.unwrap().event.event_type().to_owned()).collect()
}

#[test]
fn a_follower_follows_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (path, moved) = (directory.path().join("st"), directory.path().join("st.1"));
    let writer = open(&path, Durability::Sync);
    writer.append(event("old")).unwrap();
    let reader = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    fs::rename(&path, &moved).unwrap();
    let new = open(&path, Durability::Sync);
    new.append(event("new")).unwrap();
    for _ in 0..50 {
        writer.append(event("old")).unwrap();
    }
    let seen: Vec<String> = reader
        .subscription(Query::all(), 0)
        .take(51)
        .map(|event| event.unwrap().event.event_type().to_owned())
        .collect();
    assert_eq!(seen, ["old"; 51]);
    assert!(reader.backend().follow_error().is_none());
}

#[test]
fn a_follower_of_a_removed_store_ends_and_reports_it() {
    for events in [0, 1, 30] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("st");
        let writer = open(&path, Durability::Sync);
        writer.append_batch((0..events).map(|_| event("there"))).unwrap();
        let reader = EventStore::<RawEvent>::open_read_only(&path).unwrap();
        fs::remove_dir_all(&path).unwrap();
        assert_eq!(follow_to_the_end(&reader).len(), events);
        let error = reader.backend().follow_error();
        assert!(matches!(error, Some(FollowError::Replaced { .. })), "{error:?}");
    }
}

#[test]
fn a_follower_of_a_store_with_replaced_files_ends_and_reports_it() {
    // The files are replaced one by one with those of an older copy of the log that got other events.
    let directory = tempfile::tempdir().unwrap();
    let (path, backup) = (directory.path().join("st"), directory.path().join("backup"));
    EventStore::<RawEvent>::open(&path).unwrap().append(event("common")).unwrap();
    fs::create_dir(&backup).unwrap();
    replace_files(&backup, &path);
    EventStore::<RawEvent>::open(&backup).unwrap().append(event("restored")).unwrap();
    EventStore::<RawEvent>::open(&path).unwrap().append(event("followed")).unwrap();
    let reader = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    assert_eq!(reader.len(), 2);
    replace_files(&path, &backup);
    assert_eq!(follow_to_the_end(&reader), ["common", "followed"]);
    let error = reader.backend().follow_error();
    assert!(matches!(error, Some(FollowError::Replaced { .. })), "{error:?}");
    assert!(error.unwrap().to_string().contains("open the store again"));
    assert!(reader.backend().damage().is_none(), "the log is not damaged");
    // What it has read stays what it was, and nothing of the other files is read.
    let again: Vec<String> =
        reader.read(..).map(|event| event.unwrap().event.event_type().to_owned()).collect();
    assert_eq!(again, ["common", "followed"]);
}

/// Returns the names of the segments in a directory, in order.
fn segments(path: &Path) -> Vec<String> {
    let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let logs = files.filter(|file| file.extension().is_some_and(|kind| kind == "log"));
    let mut names: Vec<_> =
        logs.map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_follower_does_not_go_on_in_a_segment_of_another_history() {
    for all_files in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let (path, backup) = (directory.path().join("st"), directory.path().join("backup"));
        open(&path, Durability::Sync).append(event("common")).unwrap();
        fs::create_dir(&backup).unwrap();
        replace_files(&backup, &path);
        let other = open(&backup, Durability::Sync);
        while segments(&backup).len() < 2 {
            other.append(event("differing")).unwrap();
        }
        // Its first segment gets as many events, of the same sizes.
        let count = other.len() - 1;
        drop(other);
        let writer = open(&path, Durability::Sync);
        for _ in 1..count {
            writer.append(event("different")).unwrap();
        }
        drop(writer);
        assert_eq!(segments(&path).len(), 1);
        let reader: Store = EventStore::on(Journal::options().open_read_only(&path).unwrap());
        if all_files {
            replace_files(&path, &backup);
        } else {
            let next = &segments(&backup)[1];
            fs::copy(backup.join(next), path.join("copying")).unwrap();
            fs::rename(path.join("copying"), path.join(next)).unwrap();
        }
        // A follower that goes on would return one more event.
        let events = reader.subscription(Query::all(), 0).take(usize::try_from(count).unwrap() + 1);
        assert_eq!(events.map(Result::unwrap).count() as u64, count);
        let error = reader.backend().follow_error();
        if all_files {
            assert!(matches!(error, Some(FollowError::Replaced { .. })), "{error:?}");
        } else {
            let Some(FollowError::Damaged(damage)) = error else { panic!("{error:?}") };
            assert!(damage.found.contains("other frames, with the checksum"), "{damage}");
        }
    }
}

#[test]
fn a_follower_goes_on_if_its_file_is_replaced_by_a_copy() {
    // An overlay file system does that when a file of a lower layer is first written to.
    for events in [0, 1, 3] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("st");
        let writer = open(&path, Durability::Sync);
        writer.append_batch((0..events).map(|_| event("image"))).unwrap();
        drop(writer);
        let reader = EventStore::<RawEvent>::open_read_only(&path).unwrap();
        let segment = path.join("00000000000000000000.log");
        fs::copy(&segment, path.join("copy")).unwrap();
        fs::rename(path.join("copy"), &segment).unwrap();
        let writer = open(&path, Durability::Sync);
        writer.append(event("new")).unwrap();
        writer.append(event("new")).unwrap();
        let seen: Vec<String> = reader
            .subscription(Query::event_type("new"), 0)
            .take(2)
            .map(|event| event.unwrap().event.event_type().to_owned())
            .collect();
        assert_eq!(seen, ["new", "new"]);
        assert_eq!(reader.len(), events + 2);
        for event in reader.read(..) {
            assert!(event.unwrap().event.event_type().len() > 2);
        }
        assert!(reader.backend().follow_error().is_none());
    }
}

#[test]
fn a_store_is_created_at_a_mount_point() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("lost+found")).unwrap();
    let store = EventStore::<RawEvent>::open(directory.path()).unwrap();
    store.append(event("mounted")).unwrap();
    drop(store);
    assert_eq!(types(directory.path()), ["mounted"]);
    assert!(directory.path().join("lost+found").is_dir());
    assert_eq!(verify(directory.path()).unwrap().problems, []);
}

#[test]
fn a_closed_json_that_is_damaged_is_refused_for_writing_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    open(&path, Durability::Sync).append(event("there")).unwrap();
    fs::write(path.join("closed.json"), "").unwrap();
    let refused = Journal::options().open::<RawEvent>(&path).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, OpenError::Corrupt(_)), "{text}");
    assert!(text.contains("remove it, and the store opens") && !text.contains("backup"), "{text}");
    // A reader reads the whole log, and follows it.
    let reader = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    assert_eq!((reader.len(), reader.backend().damage()), (1, None));
    fs::remove_file(path.join("closed.json")).unwrap();
    let writer = open(&path, Durability::Sync);
    writer.append(event("more")).unwrap();
    assert_eq!(reader.subscription(Query::all(), 1).next().unwrap().unwrap().offset, 1);
}
