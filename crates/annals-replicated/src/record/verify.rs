//! Reads the whole record, checks its chain, and compares it with a replica.

use std::collections::HashMap;
use std::path::Path;

use annals::Corruption;
use uuid::Uuid;

use super::asking::{PATIENCE, ask, read};
use super::error::InspectError;
use super::files::ReplicaFiles;
use crate::chain::chain::{Chain, Position, Step};
use crate::chain::slot::Slot;
use crate::format::body::Content;
use crate::format::commit::Commit;
use crate::format::hash::CommitHash;
use crate::log::commit_log::{CommitLog, ReadLimit};
use crate::replicated::create::check;

/// The report of [`verify`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The id of the record's store.
    pub store_id: Uuid,
    /// The slot up to which the record was read.
    pub last: Slot,
    /// The number of valid commits, with the genesis.
    pub commits: u64,
    /// The number of events in them.
    pub events: u64,
    /// The number of epochs: decisions of an operator to go on after the record lost commits.
    pub epochs: u64,
    /// The number of void entries, which every reader skips.
    pub voids: u64,
    /// The number of void entries behind the last valid commit. Without a replica, many of them are the only sign that
    /// the record lost or changed a commit before them.
    pub voids_at_end: u64,
    /// The number of events that were compared with the replica; `None` without a replica.
    pub compared: Option<u64>,
    /// How the record and the replica contradict each other. Events that the replica does not have yet are no problem.
    pub problems: Vec<VerifyProblem>,
}

/// How a record and a replica contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyProblem {
    /// The replica belongs to another record. It was not compared.
    #[error("the replica is of the store {replica}, and the record is of the store {record}")]
    OtherRecord {
        /// The store id of the replica.
        replica: Uuid,
        /// The store id of the record.
        record: Uuid,
    },
    /// The record has another event, or the same event with another time. Later events were not compared.
    #[error(
        "the record has another event at offset {offset}, in its entry at slot {slot}, than the replica"
    )]
    Event {
        /// The first offset that differs.
        offset: u64,
        /// The slot of the commit with the event.
        slot: Slot,
    },
    /// The replica has read another commit with this number. The events of both may be the same.
    #[error("the record has another commit {number}, at slot {slot}, than the replica has read")]
    Commit {
        /// The first number that differs.
        number: u64,
        /// The slot of the record's commit.
        slot: Slot,
    },
    /// The record has fewer events than the replica.
    #[error("the record has {head} events, and the replica has {replica}: the record lost commits")]
    Shorter {
        /// The number of events of the record.
        head: u64,
        /// The number of events of the replica.
        replica: u64,
    },
    /// The files of the replica are damaged. The events before the damage were compared.
    #[error("the replica is damaged: {0}")]
    Damaged(Corruption),
}

/// Reads the whole record and checks that its commits form a chain. Compares every event with the replica in the
/// directory `replica`, if there is one. Other processes may append and have the replica open. Changes nothing.
///
/// Calls `watch` with the number of slots that were read, and the number of all slots.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_replicated::sim::{Faults, SimLog};
/// use annals_replicated::{Replicated, verify};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("replica");
/// let log = SimLog::new(Faults::none(), 1); // a test's engine, in memory
/// let store = EventStore::<RawEvent, _>::on(Replicated::open(log.clone(), &path)?);
/// store.append(RawEvent::builder("seat-sold").build()?)?;
///
/// let report = verify(&log, Some(&path), |_, _| {})?;
/// assert_eq!((report.events, report.compared), (1, Some(1)));
/// assert!(report.problems.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`InspectError`]: the engine cannot be trusted, has no record, has lost the record's beginning, or does not answer
/// for 30 seconds; or the files of the replica cannot be read.
pub fn verify(
    log: &dyn CommitLog,
    replica: Option<&Path>,
    mut watch: impl FnMut(u64, u64),
) -> Result<VerifyReport, InspectError> {
    check(log, PATIENCE)?;
    // Read before the record: a replica is never ahead of it.
    let files = replica.map(ReplicaFiles::open).transpose()?.flatten();
    let replica_head = files.as_ref().map_or(0, ReplicaFiles::head);
    let mut scrub = Scrub::new(files);
    let (_, mut last) = ask(|| log.ends())?;
    let mut chain = Chain::new(None);
    loop {
        let page = read(log, chain.read_to(), last, ReadLimit::default())?;
        if page.is_empty() {
            break;
        }
        for (slot, entry) in page {
            match chain.push(slot, &entry) {
                Step::Valid(commit) => {
                    let before = chain.position().map_or(Slot(0), Position::before);
                    scrub.report.voids += before.0 - scrub.last_valid.0;
                    scrub.last_valid = slot;
                    scrub.take(&commit, slot)?;
                }
                Step::Newer(any) => return Err(InspectError::Newer(any)),
                Step::Part | Step::Void(_) => {}
            }
            last = last.max(slot);
            watch(slot.0, last.0);
        }
        // What is appended meanwhile is read only as far as the replica had it.
        if chain.read_to() >= last && chain.tip().is_some_and(|tip| tip.head >= replica_head) {
            break;
        }
    }
    let Some(tip) = chain.tip() else { return Err(InspectError::NoRecord) };
    let (head, last) = (tip.head, chain.read_to());
    Ok(scrub.end(head, replica_head, last))
}

/// The state of a verification.
struct Scrub {
    report: VerifyReport,
    /// The slot of the last valid commit.
    last_valid: Slot,
    files: Option<ReplicaFiles>,
    /// The commits that the replica has read last, by their numbers.
    hashes: HashMap<u64, CommitHash>,
}

impl Scrub {
    fn new(files: Option<ReplicaFiles>) -> Self {
        let positions = files.as_ref().map(ReplicaFiles::positions).unwrap_or_default();
        let hashes = positions.iter().map(|position| (position.tip.number, position.tip.hash));
        let hashes = hashes.collect();
        let compared = files.is_some().then_some(0);
        let report = VerifyReport { compared, ..VerifyReport::default() };
        Self { report, last_valid: Slot(0), files, hashes }
    }

    /// Takes the next valid commit.
    fn take(&mut self, commit: &Commit, slot: Slot) -> Result<(), InspectError> {
        self.report.commits += 1;
        match commit.content() {
            Content::Genesis(_) => self.begin(commit.header().store_id),
            Content::Epoch(_) => self.report.epochs += 1,
            Content::Events(_) | Content::Barrier => {}
        }
        let number = commit.header().number;
        if self.hashes.get(&number).is_some_and(|hash| *hash != commit.hash()) {
            self.report.problems.push(VerifyProblem::Commit { number, slot });
            // The commits behind it differ, too.
            self.hashes.clear();
        }
        let mut offset = commit.header().first_offset;
        for batch in commit.content().batches() {
            self.report.events += batch.events.len() as u64;
            if let Some(files) = &self.files {
                if let Some(offset) = files.first_difference(offset, batch)? {
                    self.report.problems.push(VerifyProblem::Event { offset, slot });
                    self.files = None;
                } else if let Some(compared) = &mut self.report.compared {
                    let end = offset + batch.events.len() as u64;
                    *compared += end.min(files.head()).saturating_sub(offset);
                }
            }
            offset += batch.events.len() as u64;
        }
        Ok(())
    }

    /// Takes the id of the record. A replica of another record is not compared.
    fn begin(&mut self, record: Uuid) {
        self.report.store_id = record;
        let replica = self.files.as_ref().map(|files| files.store_id);
        if let Some(replica) = replica.filter(|&replica| replica != record) {
            self.report.problems.push(VerifyProblem::OtherRecord { replica, record });
            self.hashes.clear();
            self.files = None;
        }
    }

    fn end(mut self, head: u64, replica: u64, last: Slot) -> VerifyReport {
        let report = &mut self.report;
        report.last = last;
        report.voids_at_end = last.0 - self.last_valid.0;
        report.voids += report.voids_at_end;
        let is_other =
            |problem: &VerifyProblem| matches!(problem, VerifyProblem::OtherRecord { .. });
        if head < replica && !report.problems.iter().any(is_other) {
            report.problems.push(VerifyProblem::Shorter { head, replica });
        }
        if let Some(damage) = self.files.as_ref().and_then(ReplicaFiles::damage) {
            report.problems.push(VerifyProblem::Damaged(damage.clone()));
        }
        self.report
    }
}
