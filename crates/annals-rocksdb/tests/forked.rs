//! A process that was forked from the one that opened a store, and processes that cannot lock one. They are tried in
//! processes of their own, which run one test of this file.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::io;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use annals::{AppendError, Backend, EventStore, LockHolder, OpenError, RawEvent};
use annals_rocksdb::{RocksDb, verify};

type Store = EventStore<RawEvent, RocksDb<RawEvent>>;

/// Names the directory of a test that runs in a process of its own.
const PLACE: &str = "ANNALS_TEST_FORKED";

fn event(event_type: &str) -> RawEvent {
    RawEvent::builder(event_type).build().unwrap()
}

fn open(path: &Path) -> Store {
    EventStore::on(RocksDb::open(path).unwrap())
}

/// Runs a test of this file in a process of its own.
fn run(test: &str, place: &Path) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(PLACE, place);
    // A follower makes a directory there.
    command.env("TMPDIR", place);
    command.output().unwrap()
}

fn assert_runs(test: &str, place: &Path) {
    let output = run(test, place);
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

fn place() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

/// Forks; returns the child, or `None` in it.
fn fork() -> Option<libc::pid_t> {
    // SAFETY: the child only uses the store, which refuses, and ends.
    match unsafe { libc::fork() } {
        0 => None,
        child => Some(child),
    }
}

/// Ends a forked process without running anything else of the test.
fn end(code: i32) -> ! {
    // SAFETY: it ends this process, whatever state that is in.
    unsafe { libc::_exit(code) }
}

fn wait_for(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is there to be written to.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "{status}");
    libc::WEXITSTATUS(status)
}

fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(&file).unwrap())).collect()
}

#[test]
fn is_locked() {
    let Some(place) = place() else { return };
    let refused = RocksDb::<RawEvent>::open(place.join("st")).unwrap_err();
    let OpenError::Locked { holder, .. } = refused else { panic!("{refused:?}") };
    // The process is not named where the file system shows other numbers of devices than locks do.
    assert!(
        [LockHolder::Process(parent_id()), LockHolder::Unknown].contains(&holder),
        "{holder:?}"
    );
}

#[test]
fn forks() {
    let Some(place) = place() else { return };
    let path = place.join("st");
    let store = open(&path);
    store.append(event("before")).unwrap();
    let reader: Store = EventStore::on(RocksDb::open_read_only(&path).unwrap());
    // RocksDB's end removes such a file, which it does not know.
    let unknown = path.join("000001.sst");
    fs::write(&unknown, "").unwrap();
    let Some(child) = fork() else {
        let before = files(&path);
        let refused = |result| matches!(result, Err(AppendError::Forked { .. }));
        let mut all = refused(store.append(event("child")).map(drop));
        all &= refused(store.append_batch((0..3).map(|_| event("child"))).map(drop));
        all &= refused(store.sync());
        all &= refused(store.close());
        let snapshots = store.backend().snapshots().unwrap();
        all &= snapshots.save("series", 1, b"child").is_err();
        all &= store.backend().checkpoint(place.join("checkpoint")).is_err();
        let holder = LockHolder::Process(parent_id());
        all &= matches!(RocksDb::<RawEvent>::open(&path), Err(OpenError::Locked { holder: is, .. }) if is == holder);
        // Dropped, it leaves the lock and the database to the process that opened the store, and waits for no thread.
        drop((snapshots, store, reader));
        all &= files(&path) == before;
        end(if all { 7 } else { 1 })
    };
    assert_eq!(wait_for(child), 7);
    fs::remove_file(&unknown).unwrap();
    let is_of_follower = |entry: io::Result<fs::DirEntry>| {
        entry.unwrap().file_name().to_string_lossy().starts_with("annals-follow-")
    };
    assert_eq!(fs::read_dir(&place).unwrap().map(is_of_follower).filter(|is| *is).count(), 1);
    assert_runs("is_locked", &place);
    store.append(event("after")).unwrap();
    let read: Vec<_> = reader.subscription(annals::Query::all(), 0).take(2).collect();
    assert!(read.iter().all(Result::is_ok));
    drop((store, reader));
    let types: Vec<_> =
        open(&path).read(..).map(|read| read.unwrap().event.event_type().to_owned()).collect();
    assert_eq!(types, ["before", "after"]);
    assert_eq!(verify(&path).unwrap().problems, []);
}

#[test]
fn a_forked_process_neither_writes_nor_unlocks() {
    let place = tempfile::tempdir().unwrap();
    assert_runs("forks", place.path());
}

/// Sets how many files this process may have open.
fn limit_files(most: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is there to be written to, and is read then.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = most;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
}

#[test]
fn has_few_files() {
    let Some(place) = place() else { return };
    let path = place.join("st");
    open(&path).append(event("there")).unwrap();
    let mut at_the_lock = 0;
    for most in 3..64 {
        limit_files(most);
        let opened = RocksDb::<RawEvent>::open(&path);
        limit_files(512);
        match opened {
            Ok(_) => {}
            Err(OpenError::Io { action, path: file, source }) => {
                assert!(source.to_string().contains("Too many open files"), "{most}: {source}");
                at_the_lock += usize::from(action == "lock" && file == path.join("LOCK"));
            }
            Err(other) => panic!("{most}: {other:?}"),
        }
    }
    assert!(at_the_lock > 0, "none of the limits met the lock");
    assert_eq!(open(&path).len(), 1);
}

#[test]
fn too_many_open_files_are_not_another_writer() {
    let place = tempfile::tempdir().unwrap();
    assert_runs("has_few_files", place.path());
}

#[test]
fn a_lock_that_cannot_be_opened_is_not_another_writer() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    open(&path).append(event("there")).unwrap();
    fs::remove_file(path.join("LOCK")).unwrap();
    fs::create_dir(path.join("LOCK")).unwrap();
    let refused = RocksDb::<RawEvent>::open(&path).unwrap_err();
    let OpenError::Io { action, path: file, source } = refused else { panic!("{refused:?}") };
    assert_eq!((action, file), ("lock", path.join("LOCK")));
    assert_eq!(source.kind(), io::ErrorKind::IsADirectory);
    fs::remove_dir(path.join("LOCK")).unwrap();
    assert_eq!(open(&path).len(), 1);
}
