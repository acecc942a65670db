//! A store whose directory or files are moved, removed or replaced while a program has it open.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use annals::{
    AppendError, Backend, Durability, EventStore, FollowError, LockHolder, OpenError, Query,
    RawEvent,
};
use annals_rocksdb::{RocksDb, verify};

type Store = EventStore<RawEvent, RocksDb<RawEvent>>;

const FAMILIES: [&str; 5] = ["default", "events", "ids", "index", "snapshots"];

fn event(event_type: &str) -> RawEvent {
    RawEvent::builder(event_type).data(vec![b'0'; 500]).build().unwrap()
}

fn open(path: &Path, durability: Durability) -> Store {
    let options = RocksDb::options().memtable_bytes(1 << 20).durability(durability);
    EventStore::on(options.open(path).unwrap())
}

fn follow(path: &Path) -> Store {
    EventStore::on(RocksDb::open_read_only(path).unwrap())
}

fn types_of(store: &Store) -> Vec<String> {
    store.read(..).map(|event| event.unwrap().event.event_type().to_owned()).collect()
}

/// Creates a store with these events, and closes it.
fn make(path: &Path, events: &[&str]) {
    let store = open(path, Durability::Sync);
    for name in events {
        store.append(event(name)).unwrap();
    }
}

/// Appends until there are three events.
fn append_old(store: &Store) {
    while store.len() < 3 {
        store.append(event("old")).unwrap();
    }
}

fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// Checks that every call that would make RocksDB write is refused, and that reads succeed.
fn shows_refusals(store: &Store, directory: &Path, said: &str) {
    let refused = store.append(event("lost")).unwrap_err();
    assert!(matches!(refused, AppendError::Failed { .. }), "{refused:?}");
    assert!(refused.to_string().contains(said), "{refused}");
    assert!(matches!(store.append(event("lost")), Err(AppendError::Poisoned { .. })));
    assert!(store.sync().is_err());
    let snapshots = store.backend().snapshots().unwrap();
    assert!(snapshots.save("series", 1, b"lost").unwrap_err().to_string().contains(said));
    assert!(snapshots.remove("series", 1).is_err());
    assert!(store.backend().checkpoint(directory.join("checkpoint")).is_err());
    assert!(!directory.join("checkpoint").exists());
    assert!(store.close().is_err());
    assert_eq!(types_of(store), ["old"; 3], "what was read stays readable");
    assert_eq!(store.query(&Query::event_type("old")).count(), 3);
}

#[test]
fn a_store_that_was_moved_leaves_another_at_its_path_alone() {
    for durability in [Durability::Sync, Durability::Buffered] {
        for (asked, flushed) in [(true, false), (true, true), (false, false), (false, true)] {
            let directory = tempfile::tempdir().unwrap();
            let [path, moved, other] =
                ["st", "st.1", "other"].map(|name| directory.path().join(name));
            make(&other, &["new", "new"]);
            if flushed {
                // Closing writes all events to table files.
                make(&path, &["old"]);
            }
            let old = open(&path, durability);
            append_old(&old);
            fs::rename(&path, &moved).unwrap();
            fs::rename(&other, &path).unwrap();
            let before = files(&path);
            if asked {
                shows_refusals(&old, directory.path(), "was moved");
            }
            drop(old);
            assert!(files(&path) == before, "the other store is not changed");
            assert_eq!(verify(&path).unwrap().problems, []);
            assert_eq!(types_of(&follow(&path)), ["new"; 2]);
            assert_eq!(types_of(&follow(&moved)), ["old"; 3]);
            assert_eq!(verify(&moved).unwrap().problems, []);
            // Its handle was leaked on purpose, and its lock with it.
            let refused = RocksDb::<RawEvent>::open(&moved).unwrap_err();
            assert!(
                matches!(refused, OpenError::Locked { holder: LockHolder::ThisProcess, .. }),
                "{refused:?}"
            );
        }
    }
}

#[test]
fn a_store_that_was_removed_takes_no_more_appends_and_is_not_made_again() {
    for durability in [Durability::Sync, Durability::Buffered] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("st");
        let store = open(&path, durability);
        append_old(&store);
        fs::remove_dir_all(&path).unwrap();
        shows_refusals(&store, directory.path(), "removed");
        drop(store);
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
fn each_call_that_writes_looks_where_the_store_is() {
    type Refused = fn(&Store, &Path) -> String;
    let calls: [Refused; 3] = [
        |store, _| store.sync().unwrap_err().to_string(),
        |store, _| store.close().unwrap_err().to_string(),
        |store, place| {
            store.backend().checkpoint(place.join("checkpoint")).unwrap_err().to_string()
        },
    ];
    for refused in calls {
        let place = tempfile::tempdir().unwrap();
        let [path, moved, other] = ["st", "st.1", "other"].map(|name| place.path().join(name));
        make(&other, &["new"]);
        let store = open(&path, Durability::Sync);
        append_old(&store);
        fs::rename(&path, &moved).unwrap();
        fs::rename(&other, &path).unwrap();
        let before = files(&path);
        let said = refused(&store, place.path());
        assert!(said.contains("was moved"), "{said}");
        drop(store);
        assert!(files(&path) == before, "nothing of the other store has changed");
    }
}

#[test]
fn a_store_whose_files_were_replaced_leaves_the_new_ones_alone() {
    let directory = tempfile::tempdir().unwrap();
    let [path, other] = ["st", "other"].map(|name| directory.path().join(name));
    make(&other, &["new"]);
    let store = open(&path, Durability::Sync);
    append_old(&store);
    for name in files(&path).keys() {
        fs::remove_file(path.join(name)).unwrap();
    }
    for name in files(&other).keys() {
        fs::rename(other.join(name), path.join(name)).unwrap();
    }
    let before = files(&path);
    shows_refusals(&store, directory.path(), "replaced");
    drop(store);
    assert!(files(&path) == before, "the other store is not changed");
    assert_eq!(types_of(&follow(&path)), ["new"]);
}

#[test]
fn a_store_that_was_moved_back_can_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let [path, moved] = ["st", "st.1"].map(|name| directory.path().join(name));
    let store = open(&path, Durability::Sync);
    append_old(&store);
    fs::rename(&path, &moved).unwrap();
    shows_refusals(&store, directory.path(), "was moved");
    fs::rename(&moved, &path).unwrap();
    drop(store);
    let store = open(&path, Durability::Sync);
    store.append(event("more")).unwrap();
    assert_eq!(types_of(&store), ["old", "old", "old", "more"]);
    drop(store);
    assert_eq!(verify(&path).unwrap().problems, []);
}

#[test]
fn a_process_does_not_open_a_store_twice_by_two_paths() {
    let directory = tempfile::tempdir().unwrap();
    let [path, link, moved] = ["st", "link", "st.1"].map(|name| directory.path().join(name));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let store = open(&path, Durability::Sync);
    let refused = |path: &Path| {
        let refused = RocksDb::<RawEvent>::open(path).unwrap_err();
        assert!(
            matches!(refused, OpenError::Locked { holder: LockHolder::ThisProcess, .. }),
            "{refused:?}"
        );
    };
    refused(&path);
    refused(&link);
    fs::rename(&path, &moved).unwrap();
    refused(&moved);
    fs::rename(&moved, &path).unwrap();
    store.append(event("there")).unwrap();
    drop(store);
    assert_eq!(types_of(&open(&link, Durability::Sync)), ["there"]);
}

/// Returns the types of all events of a cursor until it ends.
fn follow_to_the_end(store: &Store) -> Vec<String> {
    let events = store.subscription(Query::all(), 0);
    events.map(|event| event.unwrap().event.event_type().to_owned()).collect()
}

#[test]
fn a_follower_of_a_store_that_is_not_there_any_more_ends_and_reports_it() {
    for how in ["removed", "moved", "another"] {
        let directory = tempfile::tempdir().unwrap();
        let [path, moved, other] = ["st", "st.1", "other"].map(|name| directory.path().join(name));
        make(&path, &["there"]);
        make(&other, &["new", "new", "new"]);
        let reader = follow(&path);
        assert!(reader.backend().follow_error().is_none());
        match how {
            "removed" => fs::remove_dir_all(&path).unwrap(),
            _ => fs::rename(&path, &moved).unwrap(),
        }
        if how == "another" {
            fs::rename(&other, &path).unwrap();
        }
        assert_eq!(follow_to_the_end(&reader), ["there"], "{how}");
        let error = reader.backend().follow_error();
        assert!(matches!(error, Some(FollowError::Replaced { .. })), "{how}: {error:?}");
        assert!(error.unwrap().to_string().contains("open the store again"));
    }
}

#[test]
fn a_follower_of_a_store_whose_files_were_replaced_ends_and_reports_it() {
    let directory = tempfile::tempdir().unwrap();
    let [path, backup] = ["st", "backup"].map(|name| directory.path().join(name));
    make(&path, &["common"]);
    fs::create_dir(&backup).unwrap();
    for (name, bytes) in files(&path) {
        fs::write(backup.join(name), bytes).unwrap();
    }
    // The manifest has the same name in both.
    let reader = follow(&path);
    for name in files(&path).keys() {
        fs::rename(backup.join(name), path.join(name)).unwrap();
    }
    assert_eq!(follow_to_the_end(&reader), ["common"]);
    let error = reader.backend().follow_error();
    assert!(matches!(error, Some(FollowError::Replaced { .. })), "{error:?}");
}

#[test]
fn a_follower_of_a_directory_that_has_another_store_now_ends_and_reports_it() {
    let directory = tempfile::tempdir().unwrap();
    let [path, other] = ["st", "other"].map(|name| directory.path().join(name));
    make(&path, &["there"]);
    // Each opening gives its manifest another number, which the first store's manifest never had.
    for _ in 0..5 {
        make(&other, &["new"]);
    }
    let reader = follow(&path);
    let (old, new) = (files(&path), files(&other));
    // `CURRENT` comes last, since it names the manifest.
    for name in new.keys().filter(|name| *name != "CURRENT").chain([&"CURRENT".to_owned()]) {
        fs::rename(other.join(name), path.join(name)).unwrap();
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        fs::remove_file(path.join(name)).unwrap();
    }
    assert_eq!(reader.subscription(Query::all(), 1).count(), 0);
    let error = reader.backend().follow_error();
    let Some(FollowError::Replaced { found, .. }) = error else { panic!("{error:?}") };
    assert_eq!(found, "another store is at the path now");
}

/// Changes the blocks of a store's events directly, as the rollback of a commit does.
fn change(path: &Path, change: impl FnOnce(&rocksdb::DB, &mut rocksdb::WriteBatch)) {
    let db = rocksdb::DB::open_cf(&rocksdb::Options::default(), path, FAMILIES).unwrap();
    let mut batch = rocksdb::WriteBatch::default();
    change(&db, &mut batch);
    db.write(batch).unwrap();
}

fn block(db: &rocksdb::DB, offset: u64) -> Vec<u8> {
    db.get_cf(db.cf_handle("events").unwrap(), offset.to_be_bytes()).unwrap().unwrap()
}

#[test]
fn a_follower_that_saw_a_rolled_back_event_ends_and_reports_it() {
    for goes_on in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("st");
        make(&path, &["first", "rolled back"]);
        let reader = follow(&path);
        assert_eq!(reader.len(), 2);
        change(&path, |db, batch| {
            let events = db.cf_handle("events").unwrap();
            if goes_on {
                // Other events get its offset and the next one before the follower reads.
                let other = block(db, 0);
                batch.put_cf(events, 1_u64.to_be_bytes(), &other);
                batch.put_cf(events, 2_u64.to_be_bytes(), &other);
            } else {
                batch.delete_cf(events, 1_u64.to_be_bytes());
            }
        });
        // The event that it saw does not exist any more.
        assert_eq!(reader.subscription(Query::all(), 2).count(), 0);
        let error = reader.backend().follow_error();
        assert!(matches!(error, Some(FollowError::TakenBack { offset: 1, .. })), "{error:?}");
    }
}

#[test]
fn a_follower_that_cannot_read_an_event_ends_and_reports_it() {
    for is_last in [true, false] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("st");
        make(&path, &["first"]);
        let reader = follow(&path);
        change(&path, |db, batch| {
            let events = db.cf_handle("events").unwrap();
            batch.put_cf(events, 1_u64.to_be_bytes(), b"not a block");
            if !is_last {
                batch.put_cf(events, 2_u64.to_be_bytes(), block(db, 0));
            }
        });
        assert_eq!(follow_to_the_end(&reader), ["first"]);
        let error = reader.backend().follow_error();
        let Some(FollowError::Damaged(damage)) = error else { panic!("{error:?}") };
        assert_eq!(damage.offset, 1);
    }
}
