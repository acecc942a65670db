//! Room that a thread beside the log makes while commits are written, on a disk that stops this thread.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use annals::{EventStore, Journal};
use annals_conformance::Sample;
use annals_conformance::fault::{Call, FaultFileSystem, Hold};

type Store = EventStore<Sample, Journal<Sample>>;

const PATIENCE: Duration = Duration::from_secs(60);
/// The time in which a thread that wrongly does not wait would be done. A thread that waits needs more.
const A_WHILE: Duration = Duration::from_millis(200);
/// The number of events of a page that fill half of the room that is made at a time.
const HALF: u64 = 40;

fn open(disk: &FaultFileSystem) -> Store {
    let opened = Journal::options().file_system(Arc::new(disk.process())).open("/disk/store");
    EventStore::on(opened.expect("it opens"))
}

fn append(store: &Store, count: u64) {
    for _ in 0..count {
        let offset = store.len();
        let event = Sample::new("noted").data(format!("{offset:4000}"));
        assert_eq!(store.append(event).expect("appended"), offset);
    }
}

fn check(store: &Store, count: u64) {
    assert_eq!(store.len(), count);
    for (event, offset) in store.read(..).zip(0_u64..) {
        let event = event.expect("read");
        assert_eq!(event.event.payload(), format!("{offset:4000}").as_bytes());
    }
}

/// Returns a store whose thread is stopped in the call that allocates more room.
fn stopped(disk: &FaultFileSystem) -> (Store, Hold) {
    disk.fill_beside();
    let store = open(disk);
    append(&store, 1);
    let hold = disk.hold(Call::Allocate);
    append(&store, HALF - 1);
    assert!(hold.wait(PATIENCE), "the thread makes room");
    (store, hold)
}

/// Runs `work` in a thread, and releases the hold after a while, or earlier if the work is done wrongly early.
fn run_into(hold: Hold, work: impl FnOnce() + Send) {
    let (done, is_done) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            work();
            let _ = done.send(());
        });
        let _ = is_done.recv_timeout(A_WHILE);
        hold.release();
    });
}

#[test]
fn commits_go_on_while_room_is_made() {
    let disk = FaultFileSystem::new(0);
    let (store, hold) = stopped(&disk);
    append(&store, 10);
    hold.release();
    append(&store, 10 * HALF);
    check(&store, 11 * HALF + 10);
}

#[test]
fn a_commit_that_needs_the_room_waits_until_it_is_made() {
    let disk = FaultFileSystem::new(0);
    let (store, hold) = stopped(&disk);
    run_into(hold, || append(&store, 3 * HALF));
    check(&store, 4 * HALF);
    drop(store);
    check(&open(&disk), 4 * HALF);
}

#[test]
fn a_segment_whose_store_is_closed_keeps_no_room() {
    let disk = FaultFileSystem::new(0);
    let (store, hold) = stopped(&disk);
    let end = usize::try_from(store.stats().event_bytes).expect("small");
    run_into(hold, || store.close().expect("closes"));
    let names = disk.names("/disk/store").expect("the store is there");
    let path = |name: &String| Path::new("/disk/store").join(name);
    let segment = names.iter().map(path).find(|path| path.extension() == Some("log".as_ref()));
    let size = disk.contents(segment.expect("a segment")).expect("it is there").len();
    assert_eq!(size, end);
    drop(store);
    check(&open(&disk), HALF);
}

#[test]
fn nothing_is_written_after_the_store_was_let_go() {
    let disk = FaultFileSystem::new(0);
    let (store, hold) = stopped(&disk);
    disk.fail(Call::Sync, 1, ErrorKind::Other);
    store.append(Sample::new("failed")).expect_err("its sync fails");
    // The store is poisoned, so it is let go without being closed.
    run_into(hold, || drop(store));
    let store = open(&disk);
    append(&store, 4 * HALF);
    check(&store, 5 * HALF);
}

#[test]
fn room_that_cannot_be_made_ahead_fails_no_commit() {
    let disk = FaultFileSystem::new(0);
    let (store, hold) = stopped(&disk);
    // The call that is stopped is counted when it goes on.
    disk.set_room(Some(0));
    hold.release();
    append(&store, 5);
    disk.set_room(None);
    append(&store, 10 * HALF);
    check(&store, 10 * HALF + 5 + HALF);
    // Its write fails, and the store closes after that.
    let disk = FaultFileSystem::new(0);
    let (store, hold) = stopped(&disk);
    disk.fail(Call::Write, 1, ErrorKind::Other);
    hold.release();
    store.close().expect("the first write is not the store's");
    drop(store);
    check(&open(&disk), HALF);
}
