//! Processes, an engine and the way between them, in simulated time. Everything follows from a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use annals_replicated::history::{History, Observation, Operation, Told};
use annals_replicated::sim::{Faults, Random, SimRecord};
use annals_replicated::{
    Chain, Commit, Core, CoreSettings, Divergence, Input, NewBatch, Now, Output, Position,
    ReadKind, ReadLimit, Refusal, RequestId, Slot, Start,
};
use bytes::Bytes;
use uuid::Uuid;

use crate::defect::Defect;
use crate::event::{Event, Sender};
use crate::operator::Repairs;
use crate::plan::Plan;
use crate::replica::MemoryReplica;
use crate::workload::Workload;

/// A process that runs, or ran.
pub(crate) struct Process {
    /// The number of this run of the process, its own among all.
    pub(crate) life: u64,
    core: Option<Core>,
    pub(crate) replica: MemoryReplica,
    /// Commits that are to be applied, in order.
    applies: VecDeque<(Arc<Commit>, Position)>,
    paused_until: u64,
    open: BTreeMap<RequestId, Open>,
    pub(crate) divergence: Option<Divergence>,
    /// Whether it had diverged when it ended.
    has_diverged: bool,
}

struct Open {
    batch: NewBatch,
    began: u64,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    pub(crate) now: u64,
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    /// The events by their number, with the process that they are for.
    details: HashMap<u64, Event>,
    event_count: u64,
    lives: u64,
    requests: u64,
    pub(crate) record: SimRecord,
    pub(crate) store_id: Uuid,
    /// Follows the record, to know its head.
    reader: Chain,
    was_ahead: bool,
    pub(crate) processes: Vec<Process>,
    workload: Workload,
    pub(crate) history: History,
    healed: bool,
    pub(crate) repairs: Repairs,
    /// When the engine will break a promise, and when it did.
    break_at: Option<u64>,
    broken: Option<Break>,
}

/// When an engine broke a promise, and the record that it had before.
pub(crate) struct Break {
    pub(crate) time: u64,
    pub(crate) before: SimRecord,
}

/// The result of a run.
pub(crate) struct Outcome {
    pub(crate) history: History,
    pub(crate) record: SimRecord,
    pub(crate) divergences: Vec<Option<Divergence>>,
    /// The replicas at the end.
    pub(crate) replicas: Vec<MemoryReplica>,
    /// Whether all callers were answered and all processes caught up.
    pub(crate) settled: bool,
    pub(crate) repairs: Repairs,
    pub(crate) broken: Option<Break>,
    /// Whether a replica had an event before the record had it. Not known if the engine broke a promise.
    pub(crate) was_ahead: bool,
}

impl World {
    pub(crate) fn new(plan: Plan, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let store_id = Uuid::from_u128(u128::from(random.number()));
        let workload = Workload::new(plan.payload);
        let mut world = Self {
            random,
            now: 0,
            events: BinaryHeap::new(),
            details: HashMap::new(),
            event_count: 0,
            lives: 0,
            requests: 0,
            record: SimRecord::new(store_id),
            store_id,
            reader: Chain::new(Some(store_id)),
            was_ahead: false,
            processes: Vec::new(),
            workload,
            history: History::default(),
            healed: false,
            repairs: Repairs::default(),
            break_at: None,
            broken: None,
            plan,
        };
        for process in 0..world.plan.processes {
            world.processes.push(Process {
                life: 0,
                core: None,
                replica: MemoryReplica::default(),
                applies: VecDeque::new(),
                paused_until: 0,
                open: BTreeMap::new(),
                divergence: None,
                has_diverged: false,
            });
            world.later(process, 0, Event::Start);
            world.later(process, 1, Event::Tick);
        }
        world.schedule();
        world
    }

    /// Spreads the appends and the faults that come by themselves over the run.
    fn schedule(&mut self) {
        let span = 200 + 40 * self.plan.appends as u64;
        for _ in 0..self.plan.appends {
            let (process, at) = (self.random.index(self.plan.processes), self.random.below(span));
            self.later(process, at, Event::Submit);
        }
        for process in 0..self.plan.processes {
            for _ in 0..self.plan.appends / 12 {
                let at = self.random.below(span);
                if self.plan.ends && self.random.chance(50) {
                    self.later(process, at, Event::End);
                }
                if self.plan.pauses && self.random.chance(50) {
                    self.later(process, at, Event::Pause);
                }
            }
        }
        for _ in 0..self.plan.appends as u64 * self.plan.faults.strangers / 100 {
            let at = self.random.below(span);
            self.later(0, at, Event::Stranger);
        }
        if let Some(broken) = self.plan.broken {
            self.break_at = Some(span / 2);
            self.later(0, span / 2, Event::Break(broken));
        }
        if self.plan.operator.is_some() {
            let at = span / 2 + self.random.below(3_000);
            self.later(0, at, Event::Operate);
        }
    }

    pub(crate) fn later(&mut self, process: usize, delay: u64, event: Event) {
        self.event_count += 1;
        self.details.insert(self.event_count, event);
        self.events.push(Reverse((self.now + delay, self.event_count, process)));
    }

    /// Runs until everything is settled, or until it should have been long ago.
    pub(crate) fn run(mut self) -> Outcome {
        let span = 200 + 40 * self.plan.appends as u64;
        let mut settled = false;
        while let Some(Reverse((time, number, process))) = self.events.pop() {
            assert!(time >= self.now);
            self.now = time;
            if !self.healed && self.now > span {
                // From here on nothing goes wrong any more: every doubt must end.
                self.healed = true;
                self.plan.faults = Faults::none();
            }
            if self.healed && self.now > span + 100_000 {
                break;
            }
            let event = self.details.remove(&number).expect("an event");
            let paused_until = self.processes[process].paused_until;
            let is_engine = matches!(
                event,
                Event::Arrive { .. } | Event::Break(_) | Event::Stranger | Event::Operate
            );
            if self.now < paused_until && !is_engine && !matches!(event, Event::End) {
                self.later(process, paused_until - self.now, event);
                continue;
            }
            let is_tick = matches!(event, Event::Tick);
            self.handle(process, event);
            if is_tick && self.healed && self.is_settled() {
                settled = true;
                break;
            }
        }
        self.finish(settled)
    }

    fn is_settled(&self) -> bool {
        let is_repaired = self.plan.operator.is_none() || self.repairs.quiet_looks > 3;
        is_repaired
            && self.processes.iter().all(|process| {
                let caught_up = process.core.as_ref().is_some_and(|core| {
                    let at_end = core.position().is_some_and(|position| {
                        process.replica.position() == Some(*position) && self.is_last(position.slot)
                    });
                    let has_ended = core.divergence().is_some() && self.plan.operator.is_none();
                    has_ended || (core.doubts() == 0 && at_end && core.is_caught_up())
                });
                caught_up && process.open.is_empty()
            })
    }

    /// Returns whether the engine does not answer.
    pub(crate) fn is_away(&self) -> bool {
        let is_away = |at: u64| (at - self.plan.away_ms..at).contains(&self.now);
        self.break_at.is_some_and(is_away)
    }

    /// Returns whether no valid commit is behind `slot`.
    fn is_last(&self, slot: Slot) -> bool {
        let mut chain = Chain::new(Some(self.store_id));
        for (entry, at) in self.record.entries().iter().zip(1..) {
            chain.push(Slot(at), entry);
        }
        chain.position().is_none_or(|position| position.slot <= slot)
    }

    fn finish(mut self, settled: bool) -> Outcome {
        for process in 0..self.processes.len() {
            self.forget_open(process);
        }
        let divergences = self.processes.iter().map(|process| process.divergence).collect();
        let replicas = self.processes.into_iter().map(|process| process.replica).collect();
        let Self { history, record, repairs, broken, was_ahead, .. } = self;
        Outcome { history, record, divergences, replicas, settled, repairs, broken, was_ahead }
    }

    fn handle(&mut self, process: usize, event: Event) {
        let life = self.processes[process].life;
        match event {
            // So that some processes have nothing under way when the engine is back.
            Event::Submit if self.is_away() => {}
            Event::Submit => self.submit(process),
            Event::SubmitAgain { life: of, batch } if of == life => {
                self.submit_batch(process, batch);
            }
            Event::Arrive { from, after, entry, answers } => {
                self.arrive(process, from, after, &entry, answers);
            }
            Event::Answer { to, outcome } if to.life == life => {
                self.input(process, Input::Answered { send: to.send, outcome, time_ms: None });
            }
            Event::Read { life: of, kind, after } if of == life => {
                let entries = self.read(after, ReadLimit { entries: 5, bytes: 1 << 20 });
                let delay = self.random.below(4);
                self.later(process, delay, Event::Entries { life, kind, after, entries });
            }
            Event::Entries { life: of, kind, after, entries } if of == life => {
                self.input(process, Input::Entries { kind, after, entries, time_ms: None });
            }
            Event::Anchor { life: of, after, count, asked } if of == life => {
                let limit = ReadLimit { entries: count, bytes: 1 << 20 };
                let entries = self.read(after, limit);
                let delay = self.random.below(4);
                self.later(process, delay, Event::Anchored { life, after, count, asked, entries });
            }
            Event::Anchored { life: of, after, count, asked, entries } if of == life => {
                self.input(process, Input::Anchored { after, count, asked, entries });
            }
            Event::Apply { life: of } if of == life => self.apply(process),
            Event::Hinted { life: of } if of == life => self.input(process, Input::Hinted),
            Event::Reconnected => self.input(process, Input::Reconnected),
            Event::Tick => {
                self.later(process, 10, Event::Tick);
                self.input(process, Input::Ticked);
            }
            Event::End => self.end(process),
            Event::Start => self.start(process),
            Event::Pause => {
                self.processes[process].paused_until = self.now + self.random.below(3_000);
            }
            Event::Stranger => {
                let stranger = Bytes::copy_from_slice(&self.random.number().to_le_bytes());
                self.record.arrive(self.record.last(), &stranger, true);
            }
            Event::Operate => self.operate(),
            // A record without its beginning cannot be repaired.
            Event::Break(_) if self.plan.operator.is_some() && self.record.last() < Slot(2) => {}
            Event::Break(broken) => {
                self.broken = Some(Break { time: self.now, before: self.record.clone() });
                self.record.break_promise(broken, &mut self.random);
                for process in 0..self.processes.len() {
                    if self.random.chance(50) {
                        self.later(process, 0, Event::Reconnected);
                    }
                }
            }
            // Of a process that has ended.
            _ => {}
        }
    }

    /// Lets a replica take the next commit.
    fn apply(&mut self, process: usize) {
        let running = &mut self.processes[process];
        let Some((commit, position)) = running.applies.pop_front() else { return };
        let input = if running.replica.apply(&commit, position) {
            Input::Applied { number: position.tip.number }
        } else {
            // Nothing behind it is applied either.
            running.applies.clear();
            Input::ApplyDiffers { slot: position.slot }
        };
        self.observe(process);
        self.input(process, input);
    }

    fn submit(&mut self, process: usize) {
        let running = &self.processes[process];
        if running.core.is_none() || running.divergence.is_some() {
            return;
        }
        let batch = self.workload.batch(&mut self.random, &running.replica);
        self.submit_batch(process, batch);
    }

    fn submit_batch(&mut self, process: usize, batch: NewBatch) {
        self.requests += 1;
        let request = RequestId(self.requests);
        let open = Open { batch: batch.clone(), began: self.now };
        self.processes[process].open.insert(request, open);
        let batch = Defect::submitted(self.plan.defect, batch);
        self.input(process, Input::Submitted { request, batch, deadline_ms: None });
    }

    /// Passes an input to the core of a process, and carries out its outputs.
    fn input(&mut self, process: usize, input: Input) {
        let now = Now { steady_ms: self.now, wall_ms: 1_000_000 + self.now };
        let running = &mut self.processes[process];
        let Some(core) = &mut running.core else { return };
        let input = Defect::input(self.plan.defect, core, input);
        let outputs = core.step(now, input, &running.replica);
        for output in outputs {
            self.output(process, output);
        }
    }

    fn output(&mut self, process: usize, output: Output) {
        let life = self.processes[process].life;
        match output {
            Output::Append { send, after, entry } => {
                self.send(process, Sender { life, send }, after, entry);
            }
            Output::Read { kind, after } => {
                let wait = if kind == ReadKind::Watch { 15 } else { 0 };
                let delay = wait + self.random.below(4);
                self.later(process, delay, Event::Read { life, kind, after });
            }
            Output::Anchor { after, count, asked, .. } => {
                let delay = self.random.below(4);
                self.later(process, delay, Event::Anchor { life, after, count, asked });
            }
            Output::Apply { commit, position } => {
                self.processes[process].applies.push_back((commit, position));
                let delay = 1 + self.random.below(3);
                self.later(process, delay, Event::Apply { life });
            }
            Output::Answer { request, reply } => self.answer(process, request, reply),
            Output::Hint => {
                for other in (0..self.processes.len()).filter(|&other| other != process) {
                    let life = self.processes[other].life;
                    self.later(other, 1, Event::Hinted { life });
                }
            }
            Output::Diverged(divergence) => self.processes[process].divergence = Some(divergence),
        }
    }

    fn answer(
        &mut self,
        process: usize,
        request: RequestId,
        reply: Result<annals::Appended, Refusal>,
    ) {
        let told = match Defect::reply(self.plan.defect, reply) {
            Ok(appended) => Told::Appended(appended),
            Err(Refusal::Append(annals::AppendError::Conflict { offset, condition })) => {
                Told::Conflict { offset, condition }
            }
            Err(Refusal::InDoubt | Refusal::ReplicaFailed) => Told::InDoubt,
            Err(_) => Told::Absent,
        };
        let running = &mut self.processes[process];
        let open = running.open.remove(&request).expect("each request is answered once");
        let has_ids = open.batch.events.iter().all(|event| event.id().is_some());
        let again = told == Told::InDoubt && has_ids && !open.batch.events.is_empty();
        // A batch without ids is appended again only by chance: it is another one then.
        self.record_operation(process, open, told);
        let batch = self.workload.again(&mut self.random);
        if again && let Some(batch) = batch {
            let life = self.processes[process].life;
            self.later(process, 0, Event::SubmitAgain { life, batch });
        }
    }

    fn record_operation(&mut self, process: usize, open: Open, told: Told) {
        if open.batch.events.iter().all(|event| event.id().is_some()) {
            self.workload.remember(&open.batch);
        }
        self.history.operations.push(Operation {
            process: self.processes[process].life,
            events: open.batch.events,
            conditions: open.batch.conditions,
            began: open.began,
            ended: self.now,
            told,
        });
    }

    fn observe(&mut self, process: usize) {
        let head = self.record_head();
        let running = &self.processes[process];
        self.was_ahead |= running.replica.events.len() as u64 > head;
        self.history.observations.push(Observation {
            process: running.life,
            time: self.now,
            head: running.replica.events.len() as u64,
            digest: running.replica.digest(),
        });
    }

    /// Returns the number of events that the record has, as long as the engine has lost nothing.
    fn record_head(&mut self) -> u64 {
        let from = usize::try_from(self.reader.read_to().0).expect("in memory");
        for entry in self.record.entries().iter().skip(from) {
            self.reader.push(self.reader.read_to().next(), entry);
        }
        self.reader.tip().map_or(0, |tip| tip.head)
    }

    /// Ends a process. Its callers are not told anything, and its replica may lose its end.
    fn end(&mut self, process: usize) {
        let lost = self.random.index(4);
        self.stop(process, lost);
    }

    /// Ends a process, and starts it again a moment later. Its replica loses the last commits.
    pub(crate) fn stop(&mut self, process: usize, lost: usize) {
        if self.processes[process].core.take().is_none() {
            return;
        }
        self.forget_open(process);
        self.lives += 1;
        let ended = &mut self.processes[process];
        // What is on its way to it comes too late.
        ended.life = self.lives;
        ended.applies.clear();
        ended.replica.lose(lost);
        ended.has_diverged = ended.divergence.take().is_some();
        let delay = self.random.below(500);
        self.later(process, delay, Event::Start);
    }

    fn forget_open(&mut self, process: usize) {
        let open = std::mem::take(&mut self.processes[process].open);
        for (_, open) in open {
            self.record_operation(process, open, Told::InDoubt);
        }
    }

    fn start(&mut self, process: usize) {
        self.lives += 1;
        let writer_id = Uuid::from_u128(u128::from(self.random.number()) << 32 | 1);
        let mut settings = CoreSettings::new(writer_id, self.plan.limits);
        settings.append_timeout_ms = 3_000;
        settings.answer_timeout_ms = 1_000;
        settings.absence_limit_ms = 2_000;
        if self.plan.defect == Some(Defect::TakesUnchecked) {
            settings.confirm_ms = None;
        }
        // The core believes in larger entries than the engine takes, at times.
        settings.limits.entry_bytes *= 1 + self.random.index(2);
        let now = Now { steady_ms: self.now, wall_ms: 1_000_000 + self.now };
        let running = &mut self.processes[process];
        running.life = self.lives;
        let start = Start {
            store_id: Some(self.store_id),
            positions: running.replica.positions.clone(),
            replica_head: running.replica.events.len() as u64,
            compare_all: running.has_diverged,
            last: self.random.chance(50).then(|| self.record.last()),
        };
        running.core = Some(Core::new(settings, start, now));
        self.input(process, Input::Ticked);
    }
}
