//! A process that is killed while it appends: every append that it acknowledged is in the log.
//!
//! This program starts itself again as the process to be killed, which writes its acknowledged appends to a pipe.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use annals::{
    AppendError, Batch, Condition, Durability, EventStore, Journal, LockHolder, OpenError, Query,
};
use annals_conformance::{Random, Sample};

const PATH: &str = "ANNALS_KILL_PATH";
const SEED: &str = "ANNALS_KILL_SEED";
const ROUNDS: u64 = 50;

type Store = EventStore<Sample, Journal<Sample>>;

fn open(path: &Path, durability: Durability) -> Result<Store, OpenError> {
    let options = Journal::options().segment_bytes(8 << 10).durability(durability);
    options.open(path).map(EventStore::on)
}

fn batch(number: u64, count: u64) -> Vec<Sample> {
    let event = |index| {
        let event = Sample::new("killed").tag(format!("batch:{number}"));
        let event =
            if number.is_multiple_of(3) { event.id(format!("id-{number}-{index}")) } else { event };
        event.data(format!(
            "{number} {index} {count} {}",
            "x".repeat(usize::try_from(number % 300).unwrap_or(0))
        ))
    };
    (0..count).map(event).collect()
}

/// Appends `enough` batches in each of three threads, with numbers from `first` on, and reports each acknowledged batch
/// to `tell`.
fn append(
    store: &Store,
    first: u64,
    seed: u64,
    tell: &(dyn Fn(u64, Range<u64>) + Sync),
    enough: u64,
) -> Result<(), AppendError> {
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|thread| {
                scope.spawn(move || {
                    let mut random = Random::new(seed * 3 + thread);
                    for n in 0..enough {
                        let number = first + n * 3 + thread;
                        let events = batch(number, 1 + random.below(5));
                        let condition = random
                            .once_in(3)
                            .then(|| Condition::fail_if(Query::tag(format!("batch:{number}"))));
                        tell(
                            number,
                            store.append_as(Batch::new(events).conditions(condition))?.offsets,
                        );
                    }
                    Ok(())
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("no panic"))
    })
}

/// Returns the first batch number of a round.
fn first_of(round: u64) -> u64 {
    round * 1_000_000
}

/// Appends until it is killed, in the child process. Run as a test, it appends a few batches and checks them.
#[test]
fn appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(PATH) else {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(&directory.path().join("store"), Durability::Buffered).expect("it opens");
        let acknowledged: Mutex<BTreeMap<u64, Range<u64>>> = Mutex::default();
        let tell = |number, range| {
            acknowledged.lock().expect("not poisoned").insert(number, range);
        };
        append(&store, 0, 1, &tell, 20).expect("appended");
        check(&store, &acknowledged.into_inner().expect("not poisoned"));
        return;
    };
    let round: u64 = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).expect("a seed");
    let durability = if round.is_multiple_of(2) { Durability::Sync } else { Durability::Buffered };
    let store = open(Path::new(&path), durability).expect("it opens");
    let tell = |number: u64, range: Range<u64>| {
        // One write per line, so that only the end of the process can cut a line.
        let line = format!("\nack {number} {} {}\n", range.start, range.end);
        std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent listens");
    };
    append(&store, first_of(round), round, &tell, 300_000).expect("appended");
}

fn start(path: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "appends_until_it_is_killed", "--nocapture"])
        .env(PATH, path)
        .env(SEED, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started")
}

/// Reads `count` acknowledgements, kills the process, and reads the acknowledgements that it wrote before it ended.
fn kill_after(mut child: Child, count: u64) -> BTreeMap<u64, Range<u64>> {
    let mut acknowledged = BTreeMap::new();
    let mut read = |line: &str| {
        let numbers: Vec<u64> = line
            .trim()
            .strip_prefix("ack ")
            .into_iter()
            .flat_map(|rest| rest.split(' '))
            .filter_map(|number| number.parse().ok())
            .collect();
        if let &[number, start, end] = &numbers[..] {
            acknowledged.insert(number, start..end);
        }
        acknowledged.len() as u64
    };
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while lines.read_line(&mut line).expect("read") > 0 {
        let known = read(&line);
        line.clear();
        if known >= count {
            break;
        }
    }
    child.kill().expect("killed");
    assert!(!child.wait().expect("ended").success(), "the process ended by itself");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("read");
    // The last line may be cut.
    for line in rest.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        read(line);
    }
    acknowledged
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("store");
    let mut random = Random::new(50);
    let mut acknowledged = BTreeMap::new();
    let mut head = 0;
    for round in 0..ROUNDS {
        let more = kill_after(start(&path, round), random.below(60));
        acknowledged.extend(more);
        if round % 3 == 0 {
            // The next process opens the state that this one left.
            let store = EventStore::<Sample>::open_read_only(&path).expect("it opens");
            let known = acknowledged.values().map(|range| range.end).max().unwrap_or(0);
            let mut cursor = store.subscription(Query::all(), 0);
            while cursor.position() < known {
                cursor.next().expect("the log is not closed").expect("read");
            }
            continue;
        }
        let Ok(store) = open(&path, Durability::Sync) else {
            panic!("round {round}: the store does not open")
        };
        assert!(
            store.len() >= head,
            "round {round}: {} events where {head} were before",
            store.len()
        );
        check(&store, &acknowledged);
        head = store.len();
        if round % 2 == 0 {
            let own = batch(first_of(round) + 999_999, 2);
            head = store.append_batch(own).expect("it can be appended to").end;
        }
        drop(store);
        let report = annals::verify(&path).expect("verified");
        assert_eq!(
            (report.events, &report.problems[..], &report.notes[..]),
            (head, &[][..], &[][..]),
            "round {round}"
        );
    }
    assert!(
        acknowledged.len() as u64 > 5 * ROUNDS,
        "only {} batches in all rounds",
        acknowledged.len()
    );
}

#[test]
fn a_second_process_that_wants_to_write_is_refused_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("store");
    let mut child = start(&path, 1);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("read").starts_with("ack ")));
    let error = open(&path, Durability::Sync).expect_err("two processes write");
    assert!(
        matches!(&error, OpenError::Locked { holder, .. } if *holder == LockHolder::Process(child.id())),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(
        message.contains(&format!("open for writing in process {}", child.id()))
            && message.contains("read-only"),
        "{message}"
    );
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(!open(&path, Durability::Sync).expect("it opens").is_empty());
}

/// Checks that every acknowledged batch is at its offsets, and that the log consists of whole batches, each once.
fn check(store: &Store, acknowledged: &BTreeMap<u64, Range<u64>>) {
    let mut found: BTreeMap<u64, Range<u64>> = BTreeMap::new();
    let mut rest = 0..0;
    let mut number = 0;
    for (at, event) in (0..).zip(store.read(..)) {
        let event = event.expect("read");
        assert_eq!(event.offset, at);
        let text = String::from_utf8_lossy(event.event.payload()).into_owned();
        let numbers: Vec<u64> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
        let &[of, index, count] = &numbers[..] else { panic!("at {at}: {text}") };
        if rest.is_empty() {
            assert_eq!(index, 0, "at {at}: a batch without its beginning");
            (number, rest) = (of, at..at + count);
            assert!(found.insert(of, rest.clone()).is_none(), "batch {of} is there twice");
        }
        assert_eq!(
            (of, index),
            (number, count - (rest.end - at)),
            "at {at}: not the next of its batch"
        );
        assert_eq!(event.event, batch(of, count)[usize::try_from(index).expect("small")]);
        rest.start += 1;
    }
    assert!(rest.is_empty(), "the last batch is not whole");
    for (number, range) in acknowledged {
        assert_eq!(found.get(number), Some(range), "batch {number} was acknowledged");
    }
}
