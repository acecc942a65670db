//! A process that was forked from the one that opened a store, and a process that must not write large files. Both are
//! tested in processes of their own, which run one test of this file.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use annals::{
    AppendError, Durability, EventStore, Journal, LockHolder, OpenError, Projection, Query,
    RawEvent, Recorded,
};

/// The environment variable with the directory of a test that runs in a process of its own.
const PLACE: &str = "ANNALS_TEST_FORKED";

fn event(event_type: &str) -> RawEvent {
    RawEvent::builder(event_type).build().unwrap()
}

/// Runs a test of this file in a process of its own, with a shell command that ends with `exec "$0" "$@"`.
fn run(test: &str, directory: &Path, command: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).arg(std::env::current_exe().unwrap());
    shell.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(PLACE, directory);
    shell.output().unwrap()
}

fn directory() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

/// The names of the files in a directory, with their sizes.
fn sizes(path: &Path) -> BTreeMap<PathBuf, u64> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.path(), entry.metadata().unwrap().len())).collect()
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

/// Forks; returns whether this is the child.
fn fork() -> Option<libc::pid_t> {
    // SAFETY: the child only uses the store, which refuses, and ends.
    match unsafe { libc::fork() } {
        0 => None,
        child => Some(child),
    }
}

/// Ends a forked process without running anything else of the test.
fn end(code: i32) -> ! {
    // SAFETY: `_exit` may be called in any state of the process.
    unsafe { libc::_exit(code) }
}

fn wait_for(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is valid for writes.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "{status}");
    libc::WEXITSTATUS(status)
}

#[test]
fn forks() {
    let Some(directory) = directory() else { return };
    let path = directory.join("st");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    store.append(event("before")).unwrap();
    let reader = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    let live = reader.reconstruct(Count).live().unwrap();
    let other_reader = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    let Some(child) = fork() else {
        let before = sizes(&path);
        // The child does not have the threads of the parent, so nothing waits for them.
        drop((live, reader, other_reader));
        let refused = |result| matches!(result, Err(AppendError::Forked { .. }));
        let mut all = refused(store.append(event("child")).map(drop));
        all &= refused(store.append_batch((0..3).map(|_| event("child"))).map(drop));
        all &= refused(store.sync());
        all &= refused(store.close());
        // Dropping the store in the child leaves the lock and the files to the process that opened the store.
        drop(store);
        all &= sizes(&path) == before;
        end(if all { 7 } else { 1 })
    };
    assert_eq!(wait_for(child), 7);
    let locked = Journal::options().open::<RawEvent>(&path);
    assert!(matches!(locked, Err(OpenError::Locked { holder: LockHolder::ThisProcess, .. })));
    store.append(event("after")).unwrap();
    drop(store);
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    let types: Vec<_> =
        store.read(..).map(|read| read.unwrap().event.event_type().to_owned()).collect();
    assert_eq!(types, ["before", "after"]);
    drop(store);

    // While a forked process still has the lock, no other process can write.
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    let (mut ends, started) = std::os::unix::net::UnixStream::pair().unwrap();
    let Some(child) = fork() else {
        use std::io::Read as _;
        drop(ends);
        let _ = (&started).read(&mut [0]);
        end(0)
    };
    drop(started);
    drop(store);
    let refused = Journal::options().open::<RawEvent>(&path).unwrap_err();
    assert!(
        matches!(refused, OpenError::Locked { holder: LockHolder::Inherited, .. }),
        "{refused:?}"
    );
    std::io::Write::write_all(&mut ends, &[1]).unwrap();
    assert_eq!(wait_for(child), 0);
    assert_eq!(EventStore::<RawEvent>::open(&path).unwrap().len(), 2);
}

#[test]
fn a_forked_process_neither_writes_nor_unlocks() {
    let directory = tempfile::tempdir().unwrap();
    let output = run("forks", directory.path(), r#"exec "$0" "$@""#);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn is_limited() {
    let Some(directory) = directory() else { return };
    // The limit of 8 MiB is below what one commit may take.
    let refused =
        Journal::options().segment_bytes(4 << 10).open::<RawEvent>(directory.join("small"));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("ulimit -f") && refused.contains("8388608 bytes"), "{refused}");
}

#[test]
fn is_limited_later() {
    let Some(directory) = directory() else { return };
    // There is room for several segments, each with its last commit.
    let options = Journal::options().segment_bytes(32 << 20).durability(Durability::Buffered);
    let store = EventStore::<RawEvent, _>::on(options.open(directory.join("st")).unwrap());
    let data = vec![b'0'; 1 << 20];
    for n in 0..200 {
        let event = RawEvent::builder("e").tag(format!("n:{n}")).data(data.clone());
        store.append(event.build().unwrap()).unwrap();
    }
    assert_eq!(store.len(), 200);
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_not_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    // The unit is 512 bytes, or 1,024 in some shells. With either, the limit is less than the test needs.
    for (test, kib) in [("is_limited", 8 << 10), ("is_limited_later", 128 << 10)] {
        let limit = format!(r#"ulimit -f {}; exec "$0" "$@""#, kib * 2);
        let output = run(test, directory.path(), &limit);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{:?}: {said}", output.status);
    }
}
