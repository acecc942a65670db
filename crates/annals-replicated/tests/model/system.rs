//! Two processes and an engine, as a model checker sees them.

use std::hash::{Hash, Hasher};

use annals_replicated::sim::SimRecord;
use annals_replicated::{AppendOutcome, Asked, Cause, Core, Input, ReadKind, ReadLimit, Slot};
use stateright::{Model, Property};

use crate::engine::{Message, STORE, events, has_copy};
use crate::process::{Events, Process, Told};

/// How often the time passes in each process, at most.
const WAKEUPS: u8 = 1;

/// A defect of the cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// A lost answer is taken for success.
    BelievesLostAnswers,
    /// Conditions are not checked.
    IgnoresConditions,
}

impl Defect {
    pub(crate) fn input(defect: Option<Self>, core: &Core, input: Input) -> Input {
        match input {
            Input::Answered { send, outcome: AppendOutcome::Unknown(_), time_ms }
                if defect == Some(Self::BelievesLostAnswers) =>
            {
                let slot = core.position().map_or(1, |position| position.slot.0 + 1);
                Input::Answered { send, outcome: AppendOutcome::At(Slot(slot)), time_ms }
            }
            input => input,
        }
    }
}

/// The model.
#[derive(Debug, Clone)]
pub(crate) struct System {
    pub(crate) defect: Option<Defect>,
    /// Whether the engine stores an entry also if it is not behind the last slot.
    pub(crate) accepts_everything: bool,
    /// Whether a process may crash.
    pub(crate) crashes: bool,
}

/// A step of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Submit(usize),
    /// Delivers a message.
    Deliver(usize),
    /// Loses a message: the outcome is unknown.
    Lose(usize),
    /// An entry arrives, and a copy of it stays under way.
    Double(usize),
    Read(usize, bool, Slot),
    Anchor(usize, Slot, usize, Asked),
    Wake(usize),
    /// Ends a process and starts it again. Its replica loses its last commit.
    Crash(usize),
}

/// A state of the model.
#[derive(Debug, Clone)]
pub(crate) struct State {
    record: SimRecord,
    processes: [Process; 2],
    submitted: [bool; 2],
    crashed: Option<usize>,
    messages: Vec<Message>,
    has_lost: bool,
    has_doubled: bool,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for entry in self.record.entries() {
            entry[..].hash(hasher);
        }
        for process in &self.processes {
            process.core.fingerprint().hash(hasher);
            (process.life, process.wakeups, &process.reads, &process.anchors).hash(hasher);
            (process.told, process.has_diverged, process.replica.numbers()).hash(hasher);
            process.replica.positions.hash(hasher);
        }
        (self.submitted, self.crashed, self.has_lost, self.has_doubled).hash(hasher);
        let mut keys: Vec<_> = self.messages.iter().map(Message::key).collect();
        keys.sort_unstable();
        keys.hash(hasher);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        let hash = |state: &Self| {
            let mut hasher = std::hash::DefaultHasher::new();
            state.hash(&mut hasher);
            hasher.finish()
        };
        hash(self) == hash(other)
    }
}

impl State {
    fn send(&mut self, messages: Vec<Message>) {
        self.messages.extend(messages);
        // The order of messages means nothing.
        self.messages.sort_by_key(Message::key);
    }

    /// Returns the process that a message belongs to, if it still runs.
    fn process(&self, life: u8) -> Option<usize> {
        self.processes.iter().position(|process| process.life == life)
    }

    /// Lets an entry arrive, or an answer.
    fn deliver(&mut self, message: Message, system: &System) {
        match message {
            Message::Append { life, send, after, entry, is_copy } => {
                let outcome = self.record.arrive(after, &entry.bytes, system.accepts_everything);
                if !is_copy && self.process(life).is_some() {
                    self.send(vec![Message::Answer { life, send, outcome }]);
                }
            }
            Message::Answer { life, send, outcome } => {
                let Some(process) = self.process(life) else { return };
                let input = Input::Answered { send, outcome, time_ms: None };
                let messages = self.processes[process].input(input, system.defect);
                self.send(messages);
            }
        }
    }

    fn told(&self, told: impl Fn(Told) -> bool) -> bool {
        self.processes.iter().any(|process| process.told.is_some_and(&told))
    }
}

impl System {
    /// Does an action that changes the state.
    fn act(&self, state: &mut State, action: Action) {
        let defect = self.defect;
        let messages = match action {
            Action::Submit(process) => {
                state.submitted[process] = true;
                let number = u8::try_from(process).expect("two processes");
                state.processes[process].submit(number, defect)
            }
            Action::Deliver(at) => {
                let message = state.messages.remove(at);
                return state.deliver(message, self);
            }
            Action::Double(at) => {
                state.has_doubled = true;
                let message = state.messages.remove(at);
                if let Message::Append { life, send, after, entry, .. } = message.clone() {
                    state.send(vec![Message::Append { life, send, after, entry, is_copy: true }]);
                }
                return state.deliver(message, self);
            }
            Action::Lose(at) => {
                state.has_lost = true;
                let (Message::Append { life, send, .. } | Message::Answer { life, send, .. }) =
                    state.messages.remove(at);
                let outcome = AppendOutcome::Unknown(Cause::new("lost"));
                vec![Message::Answer { life, send, outcome }]
            }
            Action::Read(process, is_now, after) => {
                let kind = if is_now { ReadKind::Now } else { ReadKind::Watch };
                let entries = state.record.read(after, ReadLimit::default(), 0);
                let process = &mut state.processes[process];
                process.reads.remove(&(is_now, after));
                process.input(Input::Entries { kind, after, entries, time_ms: None }, defect)
            }
            Action::Anchor(process, after, count, asked) => {
                let limit = ReadLimit { entries: count, ..ReadLimit::default() };
                let entries = state.record.read(after, limit, 0);
                let process = &mut state.processes[process];
                process.anchors.remove(&(after, count, asked));
                process.input(Input::Anchored { after, count, asked, entries }, defect)
            }
            Action::Wake(process) => state.processes[process].wake(defect),
            Action::Crash(process) => {
                state.crashed = Some(process);
                let number = u8::try_from(process).expect("two processes");
                let mut replica = state.processes[process].replica.clone();
                replica.positions.pop();
                let head = replica.positions.last().map_or(0, |position| position.tip.head);
                replica.events.truncate(usize::try_from(head).expect("in memory"));
                state.processes[process] = Process::new(number + 2, replica);
                // The core does not wait for its answers.
                state.messages.retain(
                    |message| !matches!(message, Message::Answer { life, .. } if *life == number),
                );
                Vec::new()
            }
        };
        state.send(messages);
    }
}

impl Model for System {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let record = SimRecord::new(STORE);
        let processes = [0, 1].map(|number| {
            let mut process = Process::new(number, Events::default());
            process.catch_up(&record);
            process
        });
        vec![State {
            record,
            processes,
            submitted: [false; 2],
            crashed: None,
            messages: Vec::new(),
            has_lost: false,
            has_doubled: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, message) in state.messages.iter().enumerate() {
            actions.push(Action::Deliver(at));
            let is_unknown =
                matches!(message, Message::Answer { outcome: AppendOutcome::Unknown(_), .. });
            let is_copy = matches!(message, Message::Append { is_copy: true, .. });
            if !state.has_lost && !is_unknown && !is_copy {
                actions.push(Action::Lose(at));
            }
            if !state.has_doubled && matches!(message, Message::Append { is_copy: false, .. }) {
                actions.push(Action::Double(at));
            }
        }
        for (at, process) in state.processes.iter().enumerate() {
            if !state.submitted[at] {
                actions.push(Action::Submit(at));
            }
            for &(is_now, after) in &process.reads {
                actions.push(Action::Read(at, is_now, after));
            }
            actions.extend(
                (process.anchors.iter())
                    .map(|&(after, count, asked)| Action::Anchor(at, after, count, asked)),
            );
            if process.wakeups < WAKEUPS && process.core.next_wakeup().is_some() {
                actions.push(Action::Wake(at));
            }
            if self.crashes && state.crashed.is_none() && state.submitted[at] {
                actions.push(Action::Crash(at));
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.act(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every replica has a prefix of the log", |_, state: &State| {
                let log = events(&state.record);
                state.processes.iter().all(|process| log.starts_with(&process.replica.numbers()))
            }),
            Property::always("what was acknowledged is there", |_, state: &State| {
                let log = events(&state.record);
                let mut processes = state.processes.iter().zip(0..);
                processes.all(|(process, number)| match process.told {
                    Some(Told::At(offset)) => {
                        usize::try_from(offset).is_ok_and(|at| log.get(at) == Some(&number))
                    }
                    _ => true,
                })
            }),
            Property::always("what was refused is absent", |_, state: &State| {
                let log = events(&state.record);
                let mut processes = state.processes.iter().zip(0_u8..);
                processes.all(|(process, number)| match process.told {
                    Some(Told::Conflict | Told::Absent) => !log.contains(&number),
                    _ => true,
                })
            }),
            Property::always("conditions hold", |_, state: &State| events(&state.record).len() < 2),
            Property::always("nothing diverges", |_, state: &State| {
                state.processes.iter().all(|process| !process.has_diverged)
            }),
            Property::always("every caller is answered", |system: &System, state: &State| {
                let mut actions = Vec::new();
                system.actions(state, &mut actions);
                let waits = |process: &Process| process.told.is_none() && process.wakeups < WAKEUPS;
                let mut processes = state.processes.iter().enumerate();
                let stuck =
                    processes.any(|(at, process)| waits(process) && state.crashed != Some(at));
                !(actions.is_empty() && stuck)
            }),
            Property::sometimes("a batch is refused", |_, state: &State| {
                state.told(|told| told == Told::Conflict)
            }),
            Property::sometimes("a copy is void", |_, state: &State| has_copy(&state.record)),
            Property::sometimes("a crash is survived", |_, state: &State| {
                state.crashed.is_some() && state.told(|told| matches!(told, Told::At(_)))
            }),
            Property::sometimes("a loss is survived", |_, state: &State| {
                state.has_lost && state.told(|told| matches!(told, Told::At(_)))
            }),
        ]
    }
}
