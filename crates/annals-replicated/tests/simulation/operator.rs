//! The operator of a record that lost its end: heals it, or appends an epoch and makes the replicas beyond it anew.

use std::time::Duration;

use annals_replicated::repair::{Held, Patience, RepairError, append_epoch, compare, heal};
use annals_replicated::sim::{Faults, SimLog};
use annals_replicated::{Cause, Commit, CommitHash, Position};
use uuid::Uuid;

use crate::event::Event;
use crate::replica::MemoryReplica;
use crate::world::World;

/// The operator's way with processes before the record is repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    /// Ends all of them first, as the documentation says.
    StopsAll,
    /// Lets them run.
    StopsNone,
}

/// The actions of the operator.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Repairs {
    /// The number of times that the operator looked, and of the last of them at which there was nothing to do.
    pub(crate) looks: u64,
    pub(crate) quiet_looks: u64,
    /// The number of commits that were appended again.
    pub(crate) healed: u64,
    /// The number of epochs.
    pub(crate) epochs: u64,
    /// The number of replicas that were made anew.
    pub(crate) set_aside: u64,
    /// The time of the last replica that was made anew, or of the first look.
    pub(crate) time: u64,
}

/// How often a repair is tried: the engine may fail each time.
const ATTEMPTS: usize = 100_000;
/// A repair does not wait in a simulation.
const PATIENCE: Patience = Patience { unavailable: Duration::ZERO, end: Duration::ZERO };

impl World {
    /// Does what an operator does, and comes back later.
    pub(crate) fn operate(&mut self) {
        let is_first = self.repairs.looks == 0;
        if is_first {
            self.repairs.time = self.now;
        }
        let stops = is_first && self.plan.operator == Some(Operator::StopsAll);
        // A process that neither appends nor reads a new entry does not notice anything: it is started again at the
        // end.
        let restarts = self.repairs.quiet_looks == 2;
        self.repairs.looks += 1;
        self.repairs.quiet_looks += 1;
        for process in 0..self.processes.len() {
            let has_diverged = self.processes[process].divergence.is_some();
            if has_diverged {
                self.repairs.quiet_looks = 0;
            }
            if stops || restarts || has_diverged {
                self.stop(process, 0);
            }
        }
        for process in 0..self.processes.len() {
            self.repair(process);
        }
        self.later(0, 1_000, Event::Operate);
    }

    /// Repairs the record with the replica of a process.
    fn repair(&mut self, process: usize) {
        // An old read would show a loss where there is none, since this operator does not wait.
        let faults = Faults { stale_reads: 0, ..self.plan.faults };
        let log = SimLog::with_record(self.record.clone(), faults, self.random.number());
        let log = log.with_limits(self.plan.limits);
        let replica = &mut self.processes[process].replica;
        let mut held = HeldReplica { replica, store_id: self.store_id };
        let is_cut = match again(|| heal(&log, &mut held, PATIENCE, false)) {
            Ok(healed) => {
                self.repairs.healed += healed.appended;
                false
            }
            Err(RepairError::Overtaken(_)) => {
                let reason = "another process went on";
                let made = again(|| append_epoch(&log, &held, reason, PATIENCE, false));
                self.repairs.epochs += u64::from(!made.expect("an epoch").is_old);
                let standing = again(|| compare(&log, &held, PATIENCE)).expect("a comparison");
                assert!(standing.epoch.is_some(), "{standing:?}");
                true
            }
            Err(error) => panic!("{error:?}"),
        };
        let record = log.change(|record| record.clone());
        if record.last() != self.record.last() {
            self.repairs.quiet_looks = 0;
        }
        self.record = record;
        if is_cut {
            self.stop(process, 0);
            self.processes[process].replica = MemoryReplica::default();
            self.repairs.set_aside += 1;
            self.repairs.time = self.now;
        }
    }
}

/// Repeats a repair that failed because of the engine.
fn again<T>(mut repair: impl FnMut() -> Result<T, RepairError>) -> Result<T, RepairError> {
    for _ in 0..ATTEMPTS {
        match repair() {
            Err(RepairError::Unavailable(_) | RepairError::NotStored { .. }) => {}
            done => return done,
        }
    }
    panic!("the engine never answers")
}

/// A replica in memory, for a repair.
struct HeldReplica<'a> {
    replica: &'a mut MemoryReplica,
    store_id: Uuid,
}

impl Held for HeldReplica<'_> {
    fn store_id(&self) -> Uuid {
        self.store_id
    }

    fn positions(&self) -> &[Position] {
        &self.replica.positions
    }

    fn head(&self) -> u64 {
        self.replica.events.len() as u64
    }

    fn agrees(&self, commit: &Commit) -> Result<bool, Cause> {
        let first = usize::try_from(commit.header().first_offset).expect("in memory");
        let events = commit.content().batches().iter().flat_map(|batch| &batch.events);
        let own = self.replica.events.iter().skip(first);
        Ok(events.zip(own).all(|(event, own)| event == own))
    }

    fn commit(&self, number: u64, previous: CommitHash) -> Result<Commit, Cause> {
        let index = usize::try_from(number).expect("in memory");
        let commit = self.replica.commits.get(index);
        let commit = commit.ok_or_else(|| Cause::new("it is not in memory"))?;
        assert_eq!(commit.header().previous, previous, "the lost commits follow each other");
        Ok((**commit).clone())
    }

    fn moved(&mut self, commit: &Commit, position: Position) {
        let index = usize::try_from(position.tip.number).expect("in memory");
        assert_eq!(self.replica.commits[index].hash(), commit.hash());
        self.replica.positions[index] = position;
    }
}
