//! A process that was forked from the one that opened a store, and processes that cannot lock a store. Each case runs
//! in its own process, which runs one test of this file.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use annals::{AppendError, Backend, EventStore, LockHolder, OpenError, RawEvent};
use annals_rocksdb::{RocksDb, verify};

type Store = EventStore<RawEvent, RocksDb<RawEvent>>;

/// The environment variable with the directory of a test that runs in its own process.
const DIRECTORY: &str = "ANNALS_TEST_FORKED";

fn event(event_type: &str) -> RawEvent {
    RawEvent::builder(event_type).build().unwrap()
}

fn open(path: &Path) -> Store {
    EventStore::on(RocksDb::open(path).unwrap())
}

/// Runs a test of this file in its own process.
fn run(test: &str, directory: &Path) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(DIRECTORY, directory);
    // A follower creates a directory there.
    command.env("TMPDIR", directory);
    command.output().unwrap()
}

fn assert_runs(test: &str, directory: &Path) {
    let output = run(test, directory);
    let printed = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&printed));
}

fn own_directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// Forks. Returns the id of the child, or `None` in the child.
fn fork() -> Option<libc::pid_t> {
    // SAFETY: the child only uses the store, which refuses its calls, and then exits.
    match unsafe { libc::fork() } {
        0 => None,
        child => Some(child),
    }
}

/// Exits a forked process without running the rest of the test.
fn end(code: i32) -> ! {
    // SAFETY: it exits this process in any state.
    unsafe { libc::_exit(code) }
}

fn wait_for(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is valid for writing.
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
    let Some(directory) = own_directory() else { return };
    let refused = RocksDb::<RawEvent>::open(directory.join("st")).unwrap_err();
    let OpenError::Locked { holder, .. } = refused else { panic!("{refused:?}") };
    // The process is unknown on file systems whose device numbers differ from those of the list of locks.
    assert!(
        [LockHolder::Process(parent_id()), LockHolder::Unknown].contains(&holder),
        "{holder:?}"
    );
}

#[test]
fn forks() {
    let Some(directory) = own_directory() else { return };
    let path = directory.join("st");
    let store = open(&path);
    store.append(event("before")).unwrap();
    let reader: Store = EventStore::on(RocksDb::open_read_only(&path).unwrap());
    // RocksDB's destructor would remove this file, which it does not know.
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
        all &= store.backend().checkpoint(directory.join("checkpoint")).is_err();
        let holder = LockHolder::Process(parent_id());
        all &= matches!(RocksDb::<RawEvent>::open(&path), Err(OpenError::Locked { holder: is, .. }) if is == holder);
        // Dropping the store must not touch the lock or the database of the process that opened it, or wait for a
        // thread.
        drop((snapshots, store, reader));
        all &= files(&path) == before;
        end(if all { 7 } else { 1 })
    };
    assert_eq!(wait_for(child), 7);
    fs::remove_file(&unknown).unwrap();
    let is_of_follower = |entry: io::Result<fs::DirEntry>| {
        entry.unwrap().file_name().to_string_lossy().starts_with("annals-follow-")
    };
    assert_eq!(fs::read_dir(&directory).unwrap().map(is_of_follower).filter(|is| *is).count(), 1);
    assert_runs("is_locked", &directory);
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
    let directory = tempfile::tempdir().unwrap();
    assert_runs("forks", directory.path());
}

/// Limits the number of open files of this process.
fn limit_files(most: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writing, and then for reading.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = most;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
}

#[test]
fn has_few_files() {
    let Some(directory) = own_directory() else { return };
    let path = directory.join("st");
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
    let directory = tempfile::tempdir().unwrap();
    assert_runs("has_few_files", directory.path());
}

#[test]
fn a_lock_that_cannot_be_opened_is_not_another_writer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
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
