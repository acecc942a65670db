//! A process of the model: a core, its replica, and what it waits for.

use std::collections::BTreeSet;

use annals::{Condition, Query, RawEvent, ReadError};
use annals_replicated::sim::SimRecord;
use annals_replicated::{
    Asked, Commit, Core, CoreSettings, Input, LogLimits, NewBatch, Now, Output, Position, ReadKind,
    ReadLimit, Refusal, Replica, RequestId, Slot, Start,
};
use uuid::Uuid;

use crate::engine::{Message, STORE};
use crate::system::Defect;

/// The events and the positions of a replica.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events {
    pub(crate) events: Vec<RawEvent>,
    pub(crate) positions: Vec<Position>,
}

impl Events {
    fn apply(&mut self, commit: &Commit, position: Position) {
        assert_eq!(commit.header().first_offset, self.events.len() as u64, "in order");
        let batches = commit.content().batches().iter();
        self.events.extend(batches.flat_map(|batch| batch.events.iter().cloned()));
        self.positions.push(position);
    }

    /// Returns the payloads, each a number.
    pub(crate) fn numbers(&self) -> Vec<u8> {
        self.events.iter().map(|event| event.data_bytes()[0]).collect()
    }
}

impl Replica for Events {
    fn head(&self) -> u64 {
        self.events.len() as u64
    }

    fn conflict(&self, condition: &Condition) -> Result<Option<u64>, ReadError> {
        let from = usize::try_from(condition.head()).expect("in memory");
        let matches =
            |event: &RawEvent| condition.query().matches(event.event_type(), event.tags());
        let found = self.events.iter().enumerate().skip(from).find(|(_, event)| matches(event));
        Ok(found.map(|(offset, _)| offset as u64))
    }

    fn find_id(&self, id: &str) -> Result<Option<u64>, ReadError> {
        let found = self.events.iter().position(|event| event.id() == Some(id));
        Ok(found.map(|offset| offset as u64))
    }

    fn event_type(&self, offset: u64) -> Result<String, ReadError> {
        Ok(self.events[usize::try_from(offset).expect("in memory")].event_type().to_owned())
    }
}

/// The result that a caller got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    At(u64),
    Conflict,
    InDoubt,
    Absent,
}

#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// The number of the process and of its run: a message to an earlier run is not delivered.
    pub(crate) life: u8,
    pub(crate) core: Core,
    pub(crate) replica: Events,
    now_ms: u64,
    pub(crate) wakeups: u8,
    pub(crate) reads: BTreeSet<(bool, Slot)>,
    pub(crate) anchors: BTreeSet<(Slot, usize, Asked)>,
    pub(crate) told: Option<Told>,
    pub(crate) has_diverged: bool,
}

/// Returns the batch of a process: an event that may be in the log only once.
fn batch(process: u8) -> NewBatch {
    let event = RawEvent::builder("taken").data(vec![process]).build().expect("an event");
    let conditions = vec![Condition::fail_if(Query::event_type("taken"))];
    NewBatch { events: vec![event], conditions, ..NewBatch::default() }
}

impl Process {
    pub(crate) fn new(life: u8, replica: Events) -> Self {
        let limits = LogLimits { entry_bytes: 1 << 20, under_way: 1 };
        let settings = CoreSettings::new(Uuid::from_u128(u128::from(life) << 32 | 1), limits);
        let start = Start {
            store_id: Some(STORE),
            positions: replica.positions.clone(),
            replica_head: replica.events.len() as u64,
            compare_all: false,
            last: None,
        };
        let core = Core::new(settings, start, Now::default());
        let mut process = Self {
            life,
            core,
            replica,
            now_ms: 0,
            wakeups: 0,
            reads: BTreeSet::new(),
            anchors: BTreeSet::new(),
            told: None,
            has_diverged: false,
        };
        let started = process.input(Input::Ticked, None);
        assert!(started.is_empty(), "nothing was submitted");
        process
    }

    /// Reads the record to its end.
    pub(crate) fn catch_up(&mut self, record: &SimRecord) {
        while let Some((_, after)) = self.reads.pop_first() {
            let entries = record.read(after, ReadLimit::default(), 0);
            let kind = ReadKind::Now;
            self.input(Input::Entries { kind, after, entries, time_ms: None }, None);
        }
    }

    /// Submits the batch of a process.
    pub(crate) fn submit(&mut self, number: u8, defect: Option<Defect>) -> Vec<Message> {
        let mut batch = batch(number);
        if defect == Some(Defect::IgnoresConditions) {
            batch.conditions.clear();
        }
        let request = RequestId(1);
        self.input(Input::Submitted { request, batch, deadline_ms: None }, defect)
    }

    /// Lets the time pass until the core wants to do something.
    pub(crate) fn wake(&mut self, defect: Option<Defect>) -> Vec<Message> {
        self.wakeups += 1;
        self.now_ms = self.core.next_wakeup().unwrap_or(self.now_ms);
        self.input(Input::Ticked, defect)
    }

    /// Passes an input to the core, and does what it asks for. Commits are applied at once.
    pub(crate) fn input(&mut self, input: Input, defect: Option<Defect>) -> Vec<Message> {
        let now = Now { steady_ms: self.now_ms, wall_ms: 1_000 };
        let mut inputs = vec![Defect::input(defect, &self.core, input)];
        let mut messages = Vec::new();
        while let Some(input) = inputs.pop() {
            for output in self.core.step(now, input, &self.replica) {
                self.output(output, &mut inputs, &mut messages);
            }
        }
        messages
    }

    fn output(&mut self, output: Output, inputs: &mut Vec<Input>, messages: &mut Vec<Message>) {
        match output {
            Output::Append { send, after, entry } => {
                messages.push(Message::Append {
                    life: self.life,
                    send,
                    after,
                    entry,
                    is_copy: false,
                });
            }
            Output::Read { kind: ReadKind::Now, after } => drop(self.reads.insert((true, after))),
            Output::Anchor { after, count, asked, .. } => {
                self.anchors.insert((after, count, asked));
            }
            Output::Apply { commit, position } => {
                self.replica.apply(&commit, position);
                inputs.insert(0, Input::Applied { number: position.tip.number });
            }
            Output::Answer { reply, .. } => {
                assert!(self.told.is_none(), "a request is answered once");
                self.told = Some(match reply {
                    Ok(appended) => Told::At(appended.offsets.start),
                    Err(Refusal::Append(annals::AppendError::Conflict { .. })) => Told::Conflict,
                    Err(Refusal::InDoubt) => Told::InDoubt,
                    Err(_) => Told::Absent,
                });
            }
            // Without reads that wait for other writers, a process reads when it has a reason.
            Output::Read { kind: ReadKind::Watch, .. } | Output::Hint => {}
            Output::Diverged(_) => self.has_diverged = true,
        }
    }
}
