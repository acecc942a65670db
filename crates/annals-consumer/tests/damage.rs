//! Groups whose state is damaged, cut short or removed: refused, listed with what is wrong, and deleted.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use annals::{EventStore, JournalStore, RawEvent};
use annals_consumer::{ConsumerAdmin, ConsumerError, ConsumerInfo, ConsumerKind, Consumers as _};
use common::{append, copy_directory};

/// Makes a store with ten events and a group that has acknowledged five of them. Returns the paths of the store as the
/// process left it, and as it was when the process was killed.
fn stores(directory: &Path) -> [PathBuf; 2] {
    let [path, killed] = ["log.store", "killed.store"].map(|name| directory.join(name));
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    append(&store, 0..10);
    let group = store.group("billing").key("key:").open().unwrap();
    for _ in 0..5 {
        group.pull("a", 1, None).unwrap().remove(0).ack().unwrap();
    }
    copy_directory(&path, &killed);
    [path, killed]
}

/// Changes one byte of the state log: in the first or the last occurrence of `text`.
fn damage(path: &Path, text: &str, last: bool) {
    let log = path.join("consumers/billing.group/00000001");
    let mut found = false;
    for entry in fs::read_dir(log).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let mut bytes = fs::read(&file).unwrap();
        let mut places =
            bytes.windows(text.len()).enumerate().filter(|(_, it)| *it == text.as_bytes());
        let place = if last { places.next_back() } else { places.next() }.map(|(at, _)| at);
        if let Some(place) = place {
            bytes[place] ^= 1;
            fs::write(&file, bytes).unwrap();
            found = true;
        }
    }
    assert!(found, "{text} is in the state log");
}

fn info(store: &JournalStore<RawEvent>) -> ConsumerInfo {
    ConsumerAdmin::of(store).unwrap().get("billing").unwrap()
}

/// Checks that the group is refused and listed with this problem, and that it works again when it was deleted.
fn is_refused(path: &Path, is_expected: impl Fn(&ConsumerError) -> bool) {
    let store = EventStore::<RawEvent>::open(path).unwrap();
    for _ in 0..2 {
        let info = info(&store);
        assert_eq!(info.kind, ConsumerKind::Group);
        let problem = info.problem.unwrap();
        assert!(is_expected(&problem), "{problem}");
        let error = store.group("billing").key("key:").open().unwrap_err();
        assert!(is_expected(&error), "{error}");
        assert!(error.to_string().contains("delete the group and open it with `from`"), "{error}");
        let admin = ConsumerAdmin::of(&store).unwrap();
        assert!(is_expected(&admin.parked("billing", 0, 9).unwrap_err()));
        assert!(is_expected(&admin.reset("billing", 0).unwrap_err()));
    }
    let admin = ConsumerAdmin::of(&store).unwrap();
    admin.delete("billing").unwrap();
    assert!(admin.list().unwrap().is_empty());
    let group = store.group("billing").key("key:").from(5).open().unwrap();
    assert_eq!(group.pull("a", 1, None).unwrap()[0].offset, 5);
}

#[test]
fn a_state_log_that_is_damaged_at_its_start_is_an_error_and_is_not_thrown_away() {
    for at in 0..2 {
        let directory = tempfile::tempdir().unwrap();
        let path = &stores(directory.path())[at];
        damage(path, "group-configured", false);
        is_refused(path, |error| matches!(error, ConsumerError::DamagedState { offset: 0, .. }));
    }
}

#[test]
fn a_state_log_that_is_damaged_later_is_listed_with_the_damage() {
    let directory = tempfile::tempdir().unwrap();
    let [path, _] = stores(directory.path());
    damage(&path, "events-acked", false);
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    assert_eq!(info(&store).position, 0, "what it was before the damage");
    drop(store);
    is_refused(&path, |error| matches!(error, ConsumerError::DamagedState { offset: 4.., .. }));
}

#[test]
fn a_state_log_without_its_end_is_an_error_if_that_was_closed() {
    let directory = tempfile::tempdir().unwrap();
    let [path, killed] = stores(directory.path());
    damage(&path, "events-acked", true);
    is_refused(&path, |error| matches!(error, ConsumerError::DamagedState { .. }));
    // The last append before a kill may be cut short. That costs a redelivery, as a loss of power does.
    damage(&killed, "events-acked", true);
    let store = EventStore::<RawEvent>::open(&killed).unwrap();
    let group = store.group("billing").key("key:").open().unwrap();
    assert_eq!(group.status().position, 4);
}

#[test]
fn a_state_that_was_removed_is_an_error_and_does_not_begin_at_zero() {
    let directory = tempfile::tempdir().unwrap();
    let is_removed = |error: &ConsumerError| matches!(error, ConsumerError::StateRemoved { .. });
    for (at, removed) in ["billing.group", "billing.group/00000001"].into_iter().enumerate() {
        let directory = directory.path().join(at.to_string());
        fs::create_dir(&directory).unwrap();
        let [path, _] = stores(&directory);
        fs::remove_dir_all(path.join("consumers").join(removed)).unwrap();
        is_refused(&path, is_removed);
    }
}

#[test]
fn a_begin_that_was_interrupted_does_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let [path, _] = stores(directory.path());
    let group = path.join("consumers/billing.group");
    copy_directory(&group.join("00000001"), &group.join("00000002.new"));
    damage_free_position(&path, 5);
    // The first begin: the group was never created.
    fs::rename(group.join("00000001"), group.join("00000001.new")).unwrap();
    fs::remove_file(path.join("consumers/billing.lock")).unwrap();
    damage_free_position(&path, 0);
}

fn damage_free_position(path: &Path, expected: u64) {
    let store = EventStore::<RawEvent>::open(path).unwrap();
    assert_eq!(store.group("billing").key("key:").open().unwrap().status().position, expected);
    assert!(info(&store).problem.is_none());
}
