//! The suite that an engine must pass: what [`CommitLog`] promises, as checks that the author of an engine runs.
//!
//! ```
//! use annals_replicated::sim::{Faults, SimLog};
//! use annals_replicated::suite::{self, LogSubject};
//!
//! struct Simulated;
//!
//! impl LogSubject for Simulated {
//!     type Log = SimLog;
//!     fn create(&self) -> SimLog {
//!         SimLog::new(Faults { lost_answers: 20, doubled: 20, ..Faults::none() }, 7)
//!     }
//!     fn connect(&self, log: &SimLog) -> SimLog {
//!         log.clone()
//!     }
//! }
//!
//! let violations = suite::run(&Simulated);
//! assert_eq!(violations, []);
//! ```
//! The checks also hold for an engine that loses answers, stores entries twice and refuses wrongly. An engine's author
//! runs them once as it is, and once through a proxy that drops answers. They assert no times.

use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use annals::RawEvent;
use bytes::Bytes;
use uuid::Uuid;

use crate::chain::chain::{Chain, Step};
use crate::chain::slot::Slot;
use crate::format::body::{CommitBatch, Content};
use crate::format::commit::Commit;
use crate::format::header::HEADER_BYTES;
use crate::log::commit_log::{AppendOutcome, CommitLog, NewEntry, ReadLimit};

/// An engine, as the suite meets it.
pub trait LogSubject: Sync {
    /// A connection.
    type Log: CommitLog;

    /// Makes a new record that has only its genesis, and connects to it.
    fn create(&self) -> Self::Log;

    /// Returns another connection to the same record.
    fn connect(&self, log: &Self::Log) -> Self::Log;
}

/// A promise that an engine broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The name of the check.
    pub check: &'static str,
    /// A description of the behaviour that broke it.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.found)
    }
}

type Found = Result<(), String>;

/// The name of a check, and the check.
type Check<S> = (&'static str, fn(&S) -> Found);

/// How often the same entry is sent, and how often a read is tried, until the check counts as failed.
const TRIES: u32 = 500;
/// After this time without an answer, an engine counts as hanging, on any machine.
const HANGS: Duration = Duration::from_secs(120);

/// Runs all checks, each on a record of its own. Returns the promises that were broken; none if all is well.
pub fn run<S: LogSubject>(subject: &S) -> Vec<Violation> {
    let checks: [Check<S>; 7] = [
        ("a_record_begins_with_its_genesis", begins_with_genesis),
        ("what_is_acknowledged_is_read_by_all", acknowledged_is_read),
        ("writers_that_race_make_one_chain", writers_race),
        ("the_largest_entry_is_stored", largest_entry),
        ("reads_keep_their_limits", read_limits),
        ("waiting_ends_with_an_entry", waiting_ends),
        ("a_clock_is_shown_without_entries_too", clock_is_shown),
    ];
    let failed = checks.into_iter().filter_map(|(check, run)| {
        let found = run(subject).err()?;
        Some(Violation { check, found })
    });
    failed.collect()
}

fn begins_with_genesis<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    log.check().map_err(|error| error.to_string())?;
    let reader = Reader::new(&log).catch_up()?;
    let Some(position) = reader.chain.position() else {
        return Err("the record has no genesis entry".into());
    };
    let (first, last) = try_ends(&log)?;
    let tip = position.tip;
    if tip.number != 0 || first != Slot(1) || last < first {
        return Err(format!("commit {}, slots {first} to {last}", tip.number));
    }
    Ok(())
}

fn acknowledged_is_read<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let mut writer = Writer::new(&log);
    for size in 0..30 {
        writer.put(size * 40)?;
    }
    let here = writer.reader.catch_up()?;
    let other = subject.connect(&log);
    let there = Reader::new(&other).at_least(here.chain.read_to())?;
    here.compare(&there)?;
    let again = Reader::new(&log).at_least(here.chain.read_to())?;
    here.compare(&again)?;
    match here.chain.tip().map(|tip| tip.number) {
        Some(30) => Ok(()),
        number => Err(format!("30 commits were appended, and the last one is {number:?}")),
    }
}

fn writers_race<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let logs = [subject.connect(&log), subject.connect(&log), subject.connect(&log)];
    let commits = thread::scope(|scope| {
        let run = |log| {
            let mut writer = Writer::new(log);
            (0..10).map(|_| writer.put(10)).collect::<Result<Vec<Commit>, String>>()
        };
        let threads: Vec<_> = logs.iter().map(|log| scope.spawn(move || run(log))).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(commits) => commits,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<Vec<Vec<Commit>>, String>>()
    })?;
    let read = Reader::new(&log).until(30)?;
    for commit in commits.iter().flatten() {
        let number = usize::try_from(commit.header().number).map_err(|error| error.to_string())?;
        if read.commits.get(number) != Some(commit) {
            return Err(format!("commit {number} was appended, and another one is there"));
        }
    }
    for other in &logs {
        read.compare(&Reader::new(other).at_least(read.chain.read_to())?)?;
    }
    Ok(())
}

fn largest_entry<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    // A batch's head, a record's head, an event's fields and name, and padding.
    let beside = HEADER_BYTES + 64;
    let size = log.limits().entry_bytes.min(16 << 20) - beside;
    let mut writer = Writer::new(&log);
    writer.put(size)?;
    writer.put(1)?;
    let read = Reader::new(&log).until(2)?;
    writer.reader.catch_up()?.compare(&read)
}

fn read_limits<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let mut writer = Writer::new(&log);
    for _ in 0..5 {
        writer.put(100)?;
    }
    let all = writer.reader.catch_up()?.entries;
    for limit in [ReadLimit { entries: 1, bytes: 1 << 20 }, ReadLimit { entries: 100, bytes: 1 }] {
        for after in 0..all.len() {
            let page = try_read(&log, Slot(after as u64), limit)?;
            if page != all[after..=after] {
                return Err(format!("{} entries behind slot {after} for {limit:?}", page.len()));
            }
        }
    }
    let end = Slot(all.len() as u64 + 100);
    match log.read(end, ReadLimit::default()) {
        Ok(page) if !page.entries.is_empty() => Err("there are entries far behind the end".into()),
        _ => Ok(()),
    }
}

fn waiting_ends<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    log.wait(Slot(0), Instant::now() + HANGS);
    let last = Reader::new(&log).catch_up()?.chain.read_to();
    let other = subject.connect(&log);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait(last, Instant::now() + HANGS));
        let put = Writer::new(&other).put(1).map(drop);
        if let Err(panic) = waiting.join() {
            std::panic::resume_unwind(panic);
        }
        put
    })?;
    // A wait whose time has passed returns at once, whatever is there.
    log.wait(Slot(u64::MAX - 1), Instant::now());
    Ok(())
}

/// A process that has read everything gets no other pages, and must learn that its clock was corrected.
fn clock_is_shown<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let last = Reader::new(&log).catch_up()?.chain.read_to();
    let has_clock = |after: Slot| {
        for _ in 0..TRIES {
            if let Ok(page) = log.read(after, ReadLimit::default())
                && page.entries.is_empty() == (after == last)
            {
                return Ok(page.time_ms.is_some());
            }
            log.wait(Slot(u64::MAX - 1), Instant::now() + Duration::from_millis(10));
        }
        Err(format!("no page behind slot {after}"))
    };
    if has_clock(Slot(0))? && !has_clock(last)? {
        return Err("a page with entries has the engine's clock, and one without has none".into());
    }
    Ok(())
}

/// Returns the first and the last slot, trying again while the engine does not answer.
fn try_ends(log: &impl CommitLog) -> Result<(Slot, Slot), String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match log.ends() {
            Ok(ends) => return Ok(ends),
            Err(error) => last = error.to_string(),
        }
        log.wait(Slot(u64::MAX - 1), Instant::now() + Duration::from_millis(10));
    }
    Err(last)
}

/// Reads entries behind `after`, trying again while there are none or the engine does not answer.
fn try_read(log: &impl CommitLog, after: Slot, limit: ReadLimit) -> Result<Vec<Bytes>, String> {
    let mut last = String::from("no entries");
    for _ in 0..TRIES {
        match read(log, after, limit) {
            Ok(entries) if !entries.is_empty() => return Ok(entries),
            Ok(_) => {}
            Err(Failed::Broken(found)) => return Err(found),
            Err(Failed::Unavailable(found)) => last = found,
        }
        log.wait(after, Instant::now() + Duration::from_millis(10));
    }
    Err(format!("nothing behind slot {after}: {last}"))
}

enum Failed {
    Broken(String),
    Unavailable(String),
}

/// Reads entries, and checks that their slots have no gap.
fn read(log: &impl CommitLog, after: Slot, limit: ReadLimit) -> Result<Vec<Bytes>, Failed> {
    let page = log.read(after, limit).map_err(|error| Failed::Unavailable(error.to_string()))?;
    let mut entries = Vec::new();
    for ((slot, entry), expected) in page.entries.into_iter().zip(after.0 + 1..) {
        if slot != Slot(expected) {
            return Err(Failed::Broken(format!("slot {slot} stands where {expected} should be")));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// A reader of a record, and the commits that it has read.
struct Reader<'a, L> {
    log: &'a L,
    chain: Chain,
    entries: Vec<Bytes>,
    commits: Vec<Commit>,
}

impl<L> Clone for Reader<'_, L> {
    fn clone(&self) -> Self {
        let (chain, entries) = (self.chain.clone(), self.entries.clone());
        Self { log: self.log, chain, entries, commits: self.commits.clone() }
    }
}

impl<'a, L: CommitLog> Reader<'a, L> {
    fn new(log: &'a L) -> Self {
        Self { log, chain: Chain::new(None), entries: Vec::new(), commits: Vec::new() }
    }

    fn push(&mut self, entry: Bytes) {
        if let Step::Valid(commit) = self.chain.push(self.chain.read_to().next(), &entry) {
            self.commits.push(commit);
        }
        self.entries.push(entry);
    }

    /// Reads what the engine shows at present.
    fn read_on(&mut self) -> Found {
        loop {
            match read(self.log, self.chain.read_to(), ReadLimit::default()) {
                Ok(entries) if entries.is_empty() => return Ok(()),
                Ok(entries) => entries.into_iter().for_each(|entry| self.push(entry)),
                Err(Failed::Broken(found)) => return Err(found),
                Err(Failed::Unavailable(_)) => return Ok(()),
            }
        }
    }

    /// Reads until `is_there` holds.
    fn read_until(&mut self, is_there: impl Fn(&Self) -> bool) -> Found {
        for _ in 0..TRIES {
            self.read_on()?;
            if is_there(self) {
                return Ok(());
            }
            self.log.wait(self.chain.read_to(), Instant::now() + Duration::from_millis(10));
        }
        Err(format!("the record ends at slot {}, too early", self.chain.read_to()))
    }

    fn catch_up(&self) -> Result<Self, String> {
        let mut reader = self.clone();
        reader.read_until(|reader| reader.chain.tip().is_some())?;
        Ok(reader)
    }

    fn at_least(mut self, slot: Slot) -> Result<Self, String> {
        self.read_until(|reader| reader.chain.read_to() >= slot)?;
        Ok(self)
    }

    fn until(mut self, number: u64) -> Result<Self, String> {
        self.read_until(|reader| reader.chain.tip().is_some_and(|tip| tip.number >= number))?;
        Ok(self)
    }

    /// Checks that two readers saw the same entries, as far as both have read.
    fn compare(&self, other: &Self) -> Found {
        let differ = |(one, two): (&Bytes, &Bytes)| one != two;
        match self.entries.iter().zip(&other.entries).position(differ) {
            Some(at) => Err(format!("two readers saw different entries at slot {}", at + 1)),
            None => Ok(()),
        }
    }
}

/// Appends commits one after the other, by the chain rule.
struct Writer<'a, L> {
    log: &'a L,
    reader: Reader<'a, L>,
    id: Uuid,
    count: u64,
}

impl<'a, L: CommitLog> Writer<'a, L> {
    fn new(log: &'a L) -> Self {
        Self { log, reader: Reader::new(log), id: Uuid::new_v4(), count: 0 }
    }

    /// Appends a commit of one event of about this size, and returns it once the record shows it.
    fn put(&mut self, bytes: usize) -> Result<Commit, String> {
        self.count += 1;
        let event = RawEvent::builder("e").data(vec![7; bytes]).build();
        let event = event.map_err(|error| error.to_string())?;
        for _ in 0..TRIES {
            self.reader.read_until(|reader| reader.chain.tip().is_some())?;
            let Some(tip) = self.reader.chain.tip() else { continue };
            let batch = CommitBatch { time_ms: tip.time_ms + 1, events: vec![event.clone()] };
            let commit = tip.next(self.id, Content::Events(vec![batch]));
            if self.settle(&commit)? {
                return Ok(commit);
            }
        }
        Err("a writer lost every race".into())
    }

    /// Sends a commit until it has landed, or another one has. Returns whether it has.
    fn settle(&mut self, commit: &Commit) -> Result<bool, String> {
        let number = usize::try_from(commit.header().number).map_err(|error| error.to_string())?;
        for _ in 0..TRIES {
            let after = self.reader.chain.read_to();
            let outcome = self.send(after, commit)?;
            if let AppendOutcome::At(slot) = &outcome
                && *slot == after.next()
            {
                // The engine says that it is stored there: then every read shows it there, now or soon.
                self.reader.read_until(|reader| reader.chain.read_to() >= *slot)?;
                let there =
                    usize::try_from(after.0).ok().and_then(|at| self.reader.entries.get(at));
                if there != commit.entries(usize::MAX).first() {
                    return Err(format!("slot {slot} was acknowledged and has another entry"));
                }
            }
            if let AppendOutcome::TooLarge = outcome {
                return Err(format!("an entry of {} bytes is too large", commit.body_bytes()));
            }
            self.reader.read_on()?;
            if let Some(landed) = self.reader.commits.get(number) {
                return Ok(landed == commit);
            }
            self.log.wait(self.reader.chain.read_to(), Instant::now() + Duration::from_millis(1));
        }
        Err("an entry was sent again and again, and is not there".into())
    }

    fn send(&self, after: Slot, commit: &Commit) -> Result<AppendOutcome, String> {
        let entry = NewEntry::whole(commit);
        let (sender, answers) = mpsc::channel();
        self.log.append(after, entry, Box::new(move |answer| drop(sender.send(answer))));
        let answer = answers.recv_timeout(HANGS);
        answer.map(|answer| answer.outcome).map_err(|_| "an append was never answered".into())
    }
}
