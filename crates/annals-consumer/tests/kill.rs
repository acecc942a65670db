//! Processes that are killed: at random moments with several workers, and at every step of the recipe for effects that
//! happen exactly once.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use annals::{Durability, EventStore, Journal, JournalStore, Query, RawEvent};
use annals_consumer::{CheckpointStore, Consumers as _, FileCheckpoints};
use common::append;
use tempfile::TempDir;

/// The environment variable that makes this program a child, with the path of its directory.
const CHILD: &str = "ANNALS_CONSUMER_TEST_CHILD";

/// The environment variable with the step at which the child is killed.
const STEP: &str = "ANNALS_CONSUMER_TEST_STEP";

/// Returns a directory in memory, if the system has one. A kill does not lose what a process has written, so these
/// tests need no disk. Hundreds of processes with about 18 syncs each would only wait for one.
fn memory_directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// The bytes that a child writes to its standard error for each delivery, so that its parent waits for one and does not
/// look again and again.
const HANDLED: &[u8] = b".";

fn open(directory: &Path) -> JournalStore<RawEvent> {
    let options = Journal::options().durability(Durability::Buffered);
    EventStore::<RawEvent, _>::on(options.open(directory.join("log.store")).unwrap())
}

fn child(test: &str, directory: &Path, step: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, directory).env(STEP, step);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the end of a child. Returns whether it succeeded; if not, it was killed.
fn succeeds(child: Child) -> bool {
    let output = child.wait_with_output().unwrap();
    let is_fine = output.status.code().is_none_or(|code| code == 0);
    assert!(is_fine, "{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

fn kill_this_process() -> ! {
    use rustix::process::{Signal, getpid, kill_process};
    kill_process(getpid(), Signal::KILL).unwrap();
    unreachable!("the signal has ended the process");
}

/// Handles events in four threads, and writes a line for each delivery. Ends when everything is handled.
fn handle(directory: &Path) {
    let store = open(directory);
    let group = store.group("billing").key("key:").max_attempts(10_000).open().unwrap();
    let head = store.len();
    if group.status().position == head {
        return;
    }
    thread::scope(|scope| {
        for worker in ["a", "b", "c", "d"] {
            let (group, directory) = (&group, directory);
            scope.spawn(move || {
                let file = directory.join("deliveries");
                let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
                for delivery in group.worker(worker) {
                    let delivery = delivery.unwrap();
                    let key = delivery.event.tags().next().unwrap();
                    let line = format!("{key} {} {}\n", delivery.offset, delivery.attempt());
                    file.write_all(line.as_bytes()).unwrap();
                    std::io::stderr().write_all(HANDLED).unwrap();
                    delivery.ack().unwrap();
                    if group.status().position == head {
                        group.stop();
                    }
                }
            });
        }
    });
}

/// A generator of numbers that need not be good.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[test]
fn fifty_kills_lose_nothing_and_keep_the_order_of_each_key() {
    if let Some(directory) = std::env::var_os(CHILD) {
        return handle(Path::new(&directory));
    }
    let directory = memory_directory();
    let (path, mut random) = (directory.path(), Random(7));
    let deliveries = path.join("deliveries");
    let (mut appended, mut kills) = (0, 0);
    while kills < 50 {
        {
            let store = open(path);
            append(&store, appended..appended + 400);
            appended += 400;
        }
        let mut child = child("fifty_kills_lose_nothing_and_keep_the_order_of_each_key", path, "");
        // At a random moment of its work: after some deliveries, and then a moment more.
        let mut handled = Vec::new();
        let mut after = child.stderr.as_mut().unwrap().take(random.below(300));
        after.read_to_end(&mut handled).unwrap();
        let handled = String::from_utf8_lossy(&handled);
        assert!(handled.bytes().all(|byte| [byte] == HANDLED), "{handled}");
        thread::sleep(Duration::from_micros(random.below(500)));
        child.kill().unwrap();
        // One that ended by itself has handled everything: it was not killed.
        kills += u64::from(!succeeds(child));
    }
    let last = child("fifty_kills_lose_nothing_and_keep_the_order_of_each_key", path, "");
    assert!(succeeds(last));

    let text = fs::read_to_string(&deliveries).unwrap();
    let mut keys: BTreeMap<&str, Vec<(u64, u32)>> = BTreeMap::new();
    for line in text.lines() {
        let [key, offset, attempt] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        keys.entry(key).or_default().push((offset.parse().unwrap(), attempt.parse().unwrap()));
    }
    let (mut handled, mut again) = (0, 0);
    for deliveries in keys.values() {
        // In order, and a delivery that comes again is counted: its attempt is higher.
        assert!(deliveries.is_sorted_by(|a, b| a < b), "{deliveries:?}");
        let mut offsets: Vec<u64> = deliveries.iter().map(|(offset, _)| *offset).collect();
        offsets.dedup();
        handled += offsets.len() as u64;
        again += deliveries.len() - offsets.len();
    }
    assert_eq!(handled, appended, "nothing is lost");
    // Four workers, so at most four deliveries of a killed process come again.
    assert!(again <= 4 * 50, "{again}");
    let store = open(path);
    let status = store.group("billing").key("key:").open().unwrap().status();
    assert_eq!((status.position, status.parked, status.in_flight), (appended, 0, 0));
}

/// Positions in files; the process is killed before or after a save.
#[derive(Debug)]
struct Killing {
    inner: FileCheckpoints,
    step: String,
}

impl CheckpointStore for Killing {
    fn load(&self, name: &str) -> std::io::Result<Option<Vec<u8>>> {
        self.inner.load(name)
    }

    fn save(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        if self.step == "before the save" {
            kill_this_process();
        }
        self.inner.save(name, bytes)?;
        if self.step == "after the save" {
            kill_this_process();
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> std::io::Result<()> {
        self.inner.remove(name)
    }

    fn names(&self) -> std::io::Result<Vec<String>> {
        self.inner.names()
    }
}

/// The recipe: the effect has an id that is derived from the event that is handled.
fn ship(store: &JournalStore<RawEvent>, order: u64, at: &dyn Fn(&str)) {
    at("before the effect");
    let shipped = RawEvent::builder("shipped").id(format!("shipped-{order}")).build().unwrap();
    store.append(shipped).unwrap();
    at("after the effect");
}

const STEPS: [&str; 7] = [
    "before the delivery",
    "before the effect",
    "after the effect",
    "before the save",
    "after the save",
    "after the acknowledgement",
    "",
];

/// Handles all orders, by a consumer and by a group, and is killed at a step of the second one.
fn ship_all(directory: &Path, step: &str, by_group: bool) {
    let store = open(directory);
    let orders = Query::event_type("counted");
    let at = |offset: u64| {
        move |here: &str| {
            if offset == 1 && here == step {
                kill_this_process()
            }
        }
    };
    if by_group {
        let group = store.group("shipping").query(orders).max_attempts(100).open().unwrap();
        let mut worker = group.worker("a");
        while group.status().position < 3 {
            let delivery = worker.next().unwrap().unwrap();
            let offset = delivery.offset;
            at(offset)("before the delivery");
            ship(&store, offset, &at(offset));
            delivery.ack().unwrap();
            at(offset)("after the acknowledgement");
        }
    } else {
        let inner = FileCheckpoints::at(directory.join("positions"));
        let storage = Arc::new(Killing { inner, step: step.to_owned() });
        let consumer = store.consumer("shipping").query(orders).save_every(1).checkpoints(storage);
        let mut consumer = consumer.start().unwrap();
        while let Some(delivery) = consumer.try_next() {
            let delivery = delivery.unwrap();
            let offset = delivery.offset;
            at(offset)("before the delivery");
            ship(&store, offset, &at(offset));
            delivery.ack().unwrap();
            at(offset)("after the acknowledgement");
        }
    }
}

fn effects_happen_once(test: &str, by_group: bool) {
    if let (Some(directory), Ok(step)) = (std::env::var_os(CHILD), std::env::var(STEP)) {
        return ship_all(Path::new(&directory), &step, by_group);
    }
    for first in STEPS {
        for second in STEPS {
            let directory = memory_directory();
            append(&open(directory.path()), 0..3);
            for step in [first, second, ""] {
                let succeeded = succeeds(child(test, directory.path(), step));
                assert!(succeeded || !step.is_empty(), "{first:?}, then {second:?}");
            }
            let store = open(directory.path());
            let shipped = store.query(&Query::event_type("shipped"));
            let ids: Vec<String> =
                shipped.map(|event| event.unwrap().event.id().unwrap().to_owned()).collect();
            let expected = ["shipped-0", "shipped-1", "shipped-2"];
            assert_eq!(ids, expected, "killed {first:?}, then {second:?}");
        }
    }
}

#[test]
fn a_consumers_effects_happen_once_wherever_it_is_killed() {
    effects_happen_once("a_consumers_effects_happen_once_wherever_it_is_killed", false);
}

#[test]
fn a_groups_effects_happen_once_wherever_it_is_killed() {
    effects_happen_once("a_groups_effects_happen_once_wherever_it_is_killed", true);
}

#[test]
fn another_process_that_opens_the_group_is_refused() {
    if let Some(directory) = std::env::var_os(CHILD) {
        let store = EventStore::<RawEvent>::open_read_only(Path::new(&directory).join("log.store"));
        let store = store.unwrap();
        let error = store.group("billing").open().unwrap_err();
        assert!(error.to_string().contains("is running in process "), "{error}");
        let error = store.consumer("mailer").start().unwrap_err();
        assert!(error.to_string().contains("is running in process "), "{error}");
        return;
    }
    let directory = memory_directory();
    let store = open(directory.path());
    let _group = store.group("billing").open().unwrap();
    let _mailer = store.consumer("mailer").start().unwrap();
    let test = "another_process_that_opens_the_group_is_refused";
    assert!(succeeds(child(test, directory.path(), "")));
}
