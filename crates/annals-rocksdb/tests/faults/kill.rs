//! A process that is killed while it appends, and one that reads beside it: every acknowledged append is in the log.
//!
//! This program starts itself again as the process to be killed, which writes its acknowledged appends to a pipe.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use annals::{AppendError, Batch, Condition, Durability, EventStore, LockHolder, OpenError, Query};
use annals_conformance::{Random, Sample};
use annals_rocksdb::{RocksDb, verify};

use crate::schedule::{Store, verify_is_clean};

const PATH: &str = "ANNALS_KILL_PATH";
const SEED: &str = "ANNALS_KILL_SEED";
const ROUNDS: u64 = 20;

fn open(path: &Path, durability: Durability) -> Result<Store, OpenError> {
    let options = RocksDb::options().memtable_bytes(1 << 20).durability(durability);
    options.open(path).map(EventStore::on)
}

fn batch(number: u64, count: u64) -> Vec<Sample> {
    let event = |index| {
        let event = Sample::new("killed").tag(format!("batch:{number}"));
        let named = number.is_multiple_of(3);
        let event = if named { event.id(format!("id-{number}-{index}")) } else { event };
        let size = usize::try_from(number * 7919 % 3000).unwrap_or(0);
        event.data(format!("{number} {index} {count} {}", "x".repeat(size)))
    };
    (0..count).map(event).collect()
}

/// Returns the first batch number of a round.
fn first_of(round: u64) -> u64 {
    round * 1_000_000
}

/// Appends `enough` batches in each of three threads, and reports each acknowledged batch to `tell`.
fn append(
    store: &Store,
    round: u64,
    tell: &(dyn Fn(u64, Range<u64>) + Sync),
    enough: u64,
) -> Result<(), AppendError> {
    let write = |thread: u64| {
        let mut random = Random::new(round * 3 + thread);
        for n in 0..enough {
            let number = first_of(round) + n * 3 + thread;
            let unless = Condition::fail_if(Query::tag(format!("batch:{number}")));
            let condition = random.once_in(3).then_some(unless);
            let events = batch(number, 1 + random.below(5));
            tell(number, store.append_as(Batch::new(events).conditions(condition))?.offsets);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3).map(|thread| scope.spawn(move || write(thread))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("no panic"))
    })
}

/// Appends until it is killed, in the child process. Run as a test, it appends a few batches and checks them.
#[test]
fn appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(PATH) else {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("rocks"), Durability::Buffered).unwrap();
        let acknowledged = parking_lot::Mutex::new(BTreeMap::new());
        let tell = |number, range| {
            acknowledged.lock().insert(number, range);
        };
        append(&store, 0, &tell, 20).unwrap();
        check(&store, &acknowledged.into_inner());
        return;
    };
    let round: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    let durability = if round.is_multiple_of(2) { Durability::Sync } else { Durability::Buffered };
    let store = open(Path::new(&path), durability).unwrap();
    let tell = |number: u64, range: Range<u64>| {
        // One write per line, so that only the end of the process can cut a line.
        let line = format!("\nack {number} {} {}\n", range.start, range.end);
        std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent listens");
    };
    append(&store, round, &tell, 300_000).unwrap();
}

/// The process to be killed, and the batches that it acknowledged.
struct Writer {
    child: Child,
    lines: BufReader<ChildStdout>,
    acknowledged: BTreeMap<u64, Range<u64>>,
}

impl Writer {
    fn start(path: &Path, round: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::appends_until_it_is_killed", "--nocapture"])
            .env(PATH, path)
            .env(SEED, round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, acknowledged: BTreeMap::new() }
    }

    fn read_line(&mut self, line: &str) {
        let numbers = line.trim().strip_prefix("ack ").into_iter().flat_map(|rest| rest.split(' '));
        let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
        if let &[number, start, end] = &numbers[..] {
            self.acknowledged.insert(number, start..end);
        }
    }

    /// Reads until `count` batches are acknowledged in all, and returns the head that is known then.
    fn read_until(&mut self, count: u64) -> u64 {
        while (self.acknowledged.len() as u64) < count {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the process ended by itself");
            self.read_line(&line);
        }
        self.acknowledged.values().map(|range| range.end).max().unwrap_or(0)
    }

    /// Kills the process, and returns all batches that it acknowledged.
    fn kill(mut self) -> BTreeMap<u64, Range<u64>> {
        self.child.kill().unwrap();
        assert!(!self.child.wait().unwrap().success(), "the process ended by itself");
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        // The last line may be cut.
        for line in rest.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            self.read_line(line);
        }
        self.acknowledged
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rocks");
    let mut random = Random::new(50);
    let mut acknowledged = BTreeMap::new();
    let mut head = 0;
    for round in 0..ROUNDS {
        let mut writer = Writer::start(&path, round);
        writer.read_until(random.below(400));
        acknowledged.extend(writer.kill());
        if round % 3 == 0 {
            // The next process opens the state that this one left.
            continue;
        }
        let store =
            open(&path, Durability::Sync).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(store.len() >= head, "round {round}: {} events of {head}", store.len());
        check(&store, &acknowledged);
        head = store.len();
        check_conditions(&store, &acknowledged, &mut random);
        if round % 2 == 0 {
            head = store.append_batch(batch(first_of(round) + 999_999, 2)).unwrap().end;
        }
        drop(store);
        verify_is_clean(&path, head, &format!("round {round}"));
    }
    let count = acknowledged.len() as u64;
    assert!(count > 50 * ROUNDS, "only {count} batches in all rounds");
}

#[test]
fn a_reader_beside_a_writer_sees_a_prefix_and_catches_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rocks");
    let mut writer = Writer::start(&path, 1);
    writer.read_until(5);
    let reader = EventStore::<Sample, _>::on(RocksDb::open_read_only(&path).unwrap());
    let mut cursor = reader.subscription(Query::all(), 0);
    let mut next = 0;
    for step in 1..8 {
        let known = writer.read_until(step * 150);
        while next < known {
            let event = cursor.next().expect("the log is not closed").unwrap();
            assert_eq!(event.offset, next);
            next += 1;
        }
        // Another reader that opens the store meanwhile finds it whole, although files are created and removed.
        for _ in 0..10 {
            let other = EventStore::<Sample, _>::on(RocksDb::open_read_only(&path).unwrap());
            check(&other, &BTreeMap::new());
            let report = verify(&path).unwrap();
            assert_eq!(report.problems, [], "beside a writer");
            assert!(report.events >= known, "{} events of {known}", report.events);
        }
        for range in writer.acknowledged.values() {
            let first = reader.get(range.start).unwrap().expect("acknowledged");
            let of = String::from_utf8_lossy(first.event.payload()).into_owned();
            assert_eq!(
                writer.acknowledged[&of.split(' ').next().unwrap().parse().unwrap()],
                *range
            );
        }
    }
    // The reader goes on when the writer ends.
    let acknowledged = writer.kill();
    check(&reader, &acknowledged);
    let store = open(&path, Durability::Sync).unwrap();
    assert!(store.len() >= reader.len());
    let end = store.append(Sample::new("killed").data("7 0 1 ")).unwrap();
    while cursor.next().expect("the log is not closed").unwrap().offset < end {}
    assert_eq!(reader.len(), end + 1);
}

#[test]
fn a_second_process_that_wants_to_write_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rocks");
    let mut writer = Writer::start(&path, 1);
    writer.read_until(1);
    let error = open(&path, Durability::Sync).expect_err("two processes write");
    // The process is unknown on file systems whose device numbers differ from those of the list of locks.
    let known = [LockHolder::Process(writer.child.id()), LockHolder::Unknown];
    assert!(
        matches!(&error, OpenError::Locked { holder, .. } if known.contains(holder)),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(message.contains("open for writing in ") && message.contains("read-only"), "{message}");
    writer.kill();
    assert!(!open(&path, Durability::Sync).unwrap().is_empty());
}

/// Checks that ids and conditions match the acknowledged batches, and no others.
fn check_conditions(store: &Store, acknowledged: &BTreeMap<u64, Range<u64>>, random: &mut Random) {
    let all: Vec<_> = acknowledged.iter().collect();
    for _ in 0..20 {
        let (&number, range) = all[random.index(all.len())];
        let count = range.end - range.start;
        let unless = Condition::fail_if(Query::tag(format!("batch:{number}")));
        if number.is_multiple_of(3) {
            assert_eq!(store.append_batch(batch(number, count)).unwrap(), *range, "the ids");
        }
        match store.append_if([Sample::new("killed")], &unless) {
            Err(AppendError::Conflict { offset, .. }) => assert_eq!(offset, range.start),
            other => panic!("batch {number} at {range:?}: {other:?}"),
        }
        let never = Condition::fail_if(Query::tag(format!("no-batch:{number}")));
        let nothing = store.append_as(Batch::new(Vec::new()).condition(never));
        assert_eq!(nothing.unwrap().offsets, store.len()..store.len());
    }
}

/// Checks that every acknowledged batch is at its offsets, and that the log consists of whole batches, each once.
fn check(store: &Store, acknowledged: &BTreeMap<u64, Range<u64>>) {
    let mut found: BTreeMap<u64, Range<u64>> = BTreeMap::new();
    let mut at = 0;
    let mut events = store.read(..);
    while let Some(event) = events.next().transpose().unwrap() {
        assert_eq!(event.offset, at);
        let text = String::from_utf8_lossy(event.event.payload()).into_owned();
        let numbers: Vec<u64> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
        let &[number, 0, count] = &numbers[..] else { panic!("at {at}: {text}") };
        let expected = batch(number, count);
        assert_eq!(event.event, expected[0], "at {at}");
        for event_of_batch in &expected[1..] {
            let next = events.next().transpose().unwrap().expect("the whole batch");
            assert_eq!(next.event, *event_of_batch, "a batch that begins at {at}");
        }
        assert!(found.insert(number, at..at + count).is_none(), "batch {number} is there twice");
        at += count;
    }
    for (number, range) in acknowledged {
        assert_eq!(found.get(number), Some(range), "batch {number} was acknowledged");
    }
}
