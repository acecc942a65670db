//! The machine against a model: one status for each event, and every question answered by looking at all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::answer::{Answer, Nack, ParkedEvents};
use super::entry::Status;
use super::event::GroupEvent;
use super::lease_id::LeaseId;
use super::machine::Machine;
use super::schedule::Keys;
use super::settings::GroupSettings;
use super::state::GroupState;

const WORKERS: [&str; 3] = ["a", "b", "c"];
const DEADLINE_MS: u64 = 100;

#[derive(Debug, Clone)]
enum Step {
    Read(u64),
    Pull { worker: usize, max: u32 },
    Answer { lease: usize, with: Option<Nack> },
    Return(usize),
    Extend { lease: usize, by_ms: u64 },
    Wait(u64),
    Replay(Option<usize>),
    Drop(usize),
    Reset(u64),
    Restart { keeps_leases: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let nack = prop_oneof![Just(Nack::Retry), Just(Nack::Park), Just(Nack::Skip)];
    let step = prop_oneof![
        4 => (1..6_u64).prop_map(Step::Read),
        8 => (0..WORKERS.len(), 1..4_u32).prop_map(|(worker, max)| Step::Pull { worker, max }),
        8 => (0..40_usize).prop_map(|lease| Step::Answer { lease, with: None }),
        5 => (0..40_usize, nack)
            .prop_map(|(lease, nack)| Step::Answer { lease, with: Some(nack) }),
        2 => (0..40_usize).prop_map(Step::Return),
        1 => (0..40_usize, 0..200_u64).prop_map(|(lease, by_ms)| Step::Extend { lease, by_ms }),
        4 => (0..120_u64).prop_map(Step::Wait),
        2 => proptest::option::of(0..5_usize).prop_map(Step::Replay),
        1 => (0..5_usize).prop_map(Step::Drop),
        1 => (0..40_u64).prop_map(Step::Reset),
        1 => any::<bool>().prop_map(|keeps_leases| Step::Restart { keeps_leases }),
    ];
    proptest::collection::vec(step, 1..80)
}

/// The state of an event that was read and is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    Waiting,
    Leased { worker: usize, deadline: u64 },
    Pausing(u64),
    Parked,
}

#[derive(Debug, Clone)]
struct Event {
    known: Known,
    attempts: u32,
    pull: Option<Uuid>,
    replayed: bool,
}

#[derive(Debug, Default)]
struct Model {
    events: BTreeMap<u64, Event>,
    read: u64,
}

impl Model {
    fn open(&self) -> impl Iterator<Item = (u64, &Event)> {
        let open = self.events.iter().filter(|(_, event)| event.known != Known::Parked);
        open.map(|(&offset, event)| (offset, event))
    }

    /// The events that may be delivered: no other event of their keys is with a worker, and none before is open.
    fn ready(&self, keys: &[BTreeSet<u8>]) -> Vec<u64> {
        let shares = |a: u64, b: u64| !of(keys, a).is_disjoint(of(keys, b));
        let is_ready = |offset: u64| {
            self.open().all(|(other, event)| {
                other == offset
                    || !shares(other, offset)
                    || (other > offset && !matches!(event.known, Known::Leased { .. }))
            })
        };
        let waiting = self.open().filter(|(_, event)| event.known == Known::Waiting);
        waiting.map(|(offset, _)| offset).filter(|&offset| is_ready(offset)).collect()
    }

    fn fail(&mut self, offset: u64, until: u64, most: u32, keys: &[BTreeSet<u8>], parks_key: bool) {
        let event = self.events.get_mut(&offset).unwrap();
        if event.attempts < most {
            event.known = Known::Pausing(until);
        } else {
            self.park(offset, keys, parks_key);
        }
    }

    fn park(&mut self, offset: u64, keys: &[BTreeSet<u8>], parks_key: bool) {
        let mut list = vec![offset];
        while let Some(parked) = list.pop() {
            self.events.get_mut(&parked).unwrap().known = Known::Parked;
            self.events.get_mut(&parked).unwrap().replayed = false;
            if parks_key {
                let behind = self.open().filter(|(other, event)| {
                    *other > parked
                        && !matches!(event.known, Known::Leased { .. })
                        && !of(keys, *other).is_disjoint(of(keys, parked))
                });
                list.extend(behind.map(|(other, _)| other).collect::<Vec<_>>());
            }
        }
    }

    fn position(&self) -> u64 {
        let window = self.open().filter(|(_, event)| !event.replayed);
        window.map(|(offset, _)| offset).min().unwrap_or(self.read)
    }
}

fn of(keys: &[BTreeSet<u8>], offset: u64) -> &BTreeSet<u8> {
    &keys[usize::try_from(offset).unwrap() % keys.len()]
}

fn keys_of(keys: &[BTreeSet<u8>], offset: u64) -> Keys {
    of(keys, offset).iter().map(|key| Arc::from(format!("k:{key}"))).collect()
}

/// The machine, its log, and the model beside it.
struct World<'k> {
    keys: &'k [BTreeSet<u8>],
    machine: Machine,
    log: Vec<GroupEvent>,
    model: Model,
    leases: Vec<LeaseId>,
    now: u64,
    pulls: u128,
}

impl World<'_> {
    fn commit(&mut self, events: Vec<GroupEvent>) {
        let keys: Vec<_> = events
            .iter()
            .flat_map(|event| event.offsets().to_vec())
            .map(|offset| (offset, keys_of(self.keys, offset)))
            .collect();
        let opens = |event: &GroupEvent| {
            matches!(
                event,
                GroupEvent::EventsAdmitted { .. }
                    | GroupEvent::ParkedReplayed { .. }
                    | GroupEvent::ParkedDropped { .. }
            )
        };
        let keys = if events.iter().any(opens) { keys } else { Vec::new() };
        self.machine.apply(&events, &mut keys.into_iter().collect()).unwrap();
        self.log.extend(events);
    }

    fn tick(&mut self) {
        let events = self.machine.expire(self.now);
        self.commit(events);
        self.machine.promote(self.now);
        let settings = self.machine.state().settings.clone();
        let expired = |event: &Event| matches!(event.known, Known::Leased { deadline, .. } if deadline <= self.now);
        let due: Vec<u64> =
            self.model.events.iter().filter(|(_, event)| expired(event)).map(|(&o, _)| o).collect();
        for offset in due {
            let until = self.now + settings.pause_ms(self.model.events[&offset].attempts);
            self.model.fail(offset, until, settings.max_attempts, self.keys, settings.parks_key);
        }
        for event in self.model.events.values_mut() {
            if matches!(event.known, Known::Pausing(until) if until <= self.now) {
                event.known = Known::Waiting;
            }
        }
    }

    fn step(&mut self, step: &Step) {
        let settings = self.machine.state().settings.clone();
        match step {
            Step::Read(count) => {
                let read = self.model.read;
                let found: Vec<_> =
                    (read..read + count).map(|at| (at, keys_of(self.keys, at))).collect();
                let events = self.machine.admit(read + count, None, &found, self.now);
                self.commit(events);
                for offset in read..read + count {
                    let blocked = settings.parks_key
                        && self.model.events.iter().any(|(&other, event)| {
                            event.known == Known::Parked
                                && !of(self.keys, other).is_disjoint(of(self.keys, offset))
                        });
                    let known = if blocked { Known::Parked } else { Known::Waiting };
                    let event = Event { known, attempts: 0, pull: None, replayed: false };
                    self.model.events.insert(offset, event);
                }
                self.model.read += count;
            }
            Step::Pull { worker, max } => self.pull(*worker, *max, settings.max_in_flight),
            Step::Answer { lease, with } => self.answer(*lease, *with, &settings),
            Step::Return(lease) => {
                let Some(&lease) = self.leases.get(*lease) else { return };
                let (events, _) = self.machine.settle(&[lease], Answer::Return, self.now);
                let event = self.model.events.get_mut(&lease.offset);
                let held = event.filter(|event| {
                    lease.epoch == self.machine.state().epoch
                        && event.pull == Some(lease.pull)
                        && matches!(event.known, Known::Leased { .. })
                });
                assert_eq!(events.len(), usize::from(held.is_some()));
                if let Some(event) = held {
                    (event.known, event.pull) = (Known::Waiting, None);
                    event.attempts -= 1;
                }
                self.commit(events);
            }
            Step::Extend { lease, by_ms } => {
                let Some(&lease) = self.leases.get(*lease) else { return };
                let deadline = self.now + by_ms;
                let event = self.machine.extend(lease, deadline);
                let known = self.model.events.get_mut(&lease.offset);
                let held = known.filter(|event| {
                    lease.epoch == self.machine.state().epoch
                        && event.pull == Some(lease.pull)
                        && matches!(event.known, Known::Leased { .. })
                });
                assert_eq!(event.is_some(), held.is_some());
                if let Some(Known::Leased { deadline: at, .. }) = held.map(|event| &mut event.known)
                {
                    *at = deadline;
                }
                self.commit(event.into_iter().collect());
            }
            Step::Wait(by_ms) => self.now += by_ms,
            Step::Replay(which) => self.unpark(*which, true),
            Step::Drop(which) => self.unpark(Some(*which), false),
            Step::Reset(to) => {
                let to = *to.min(&self.model.read);
                self.commit(vec![GroupEvent::PositionReset { to, before: None }]);
                self.model.read = to;
                self.model.events.retain(|&o, event| o < to && event.known == Known::Parked);
            }
            Step::Restart { keeps_leases } => self.restart(*keeps_leases, &settings),
        }
    }

    fn pull(&mut self, worker: usize, max: u32, most: u32) {
        self.pulls += 1;
        let (pull, deadline) = (Uuid::from_u128(self.pulls), self.now + DEADLINE_MS);
        let events = self.machine.pull(WORKERS[worker], pull, max, deadline);
        let got: Vec<u64> = events.iter().flat_map(|event| event.offsets().to_vec()).collect();
        let holds = |event: &&Event| matches!(event.known, Known::Leased { worker: by, .. } if by == worker);
        let held = self.model.events.values().filter(holds).count();
        let room = (max as usize).min((most as usize).saturating_sub(held));
        let expected: Vec<u64> = self.model.ready(self.keys).into_iter().take(room).collect();
        assert_eq!(got, expected, "the lowest ready events are delivered");
        self.commit(events);
        let epoch = self.machine.state().epoch;
        for offset in got {
            let event = self.model.events.get_mut(&offset).unwrap();
            event.attempts += 1;
            event.pull = Some(pull);
            event.known = Known::Leased { worker, deadline };
            self.leases.push(LeaseId { epoch, pull, offset });
        }
    }

    fn answer(&mut self, lease: usize, with: Option<Nack>, settings: &GroupSettings) {
        let Some(&lease) = self.leases.get(lease) else { return };
        let answer = with.map_or(Answer::Ack, |nack| Answer::Nack(nack, "no"));
        let (events, settled) = self.machine.settle(&[lease, lease], answer, self.now);
        let is_done = !settled.done.is_empty();
        assert_eq!(settled.done.len() + settled.lost.len(), 2);
        let is_current = lease.epoch == self.machine.state().epoch;
        let offset = lease.offset;
        let event = self.model.events.get(&offset);
        let held = event.is_some_and(|event| {
            is_current && event.pull == Some(lease.pull) && event.known != Known::Parked
        });
        let finished = is_current && event.is_none() && offset < self.model.read;
        assert_eq!(is_done, held || finished);
        assert!(held || events.is_empty(), "an answer without a lease changes nothing");
        let leased = event.is_some_and(|event| matches!(event.known, Known::Leased { .. }));
        self.commit(events);
        if !held {
            return;
        }
        match with {
            None | Some(Nack::Skip) => drop(self.model.events.remove(&offset)),
            Some(Nack::Park) => self.model.park(offset, self.keys, settings.parks_key),
            Some(Nack::Retry) if leased => {
                let until = self.now + settings.pause_ms(self.model.events[&offset].attempts);
                self.model.fail(
                    offset,
                    until,
                    settings.max_attempts,
                    self.keys,
                    settings.parks_key,
                );
            }
            Some(Nack::Retry) => {}
        }
    }

    fn unpark(&mut self, which: Option<usize>, replays: bool) {
        let parked: Vec<u64> = self.machine.state().parked.keys().copied().collect();
        let chosen: Vec<u64> = match which {
            None => parked.clone(),
            Some(at) => parked.get(at).copied().into_iter().collect(),
        };
        let selection = if which.is_none() { ParkedEvents::All } else { ParkedEvents::At(&chosen) };
        let offsets = self.machine.selected(selection).unwrap();
        assert_eq!(offsets, chosen);
        if offsets.is_empty() {
            return;
        }
        for offset in &offsets {
            if replays {
                let event = self.model.events.get_mut(offset).unwrap();
                *event = Event { known: Known::Waiting, attempts: 0, pull: None, replayed: true };
            } else {
                self.model.events.remove(offset);
            }
        }
        self.commit(vec![if replays {
            GroupEvent::ParkedReplayed { offsets }
        } else {
            GroupEvent::ParkedDropped { offsets }
        }]);
    }

    /// Computes the state again: from all events of the log, or from the state as it is carried to a new log.
    fn restart(&mut self, keeps_leases: bool, settings: &GroupSettings) {
        let mut state = GroupState::default();
        self.log.iter().for_each(|event| state.apply(event).unwrap());
        let mut carried = GroupState::default();
        state.carried().iter().for_each(|event| carried.apply(event).unwrap());
        assert_eq!(carried, state);
        self.log = state.carried();
        self.machine = Machine::new(state, false, |offset| keys_of(self.keys, offset));
        self.machine.promote(self.now);
        if keeps_leases {
            return;
        }
        let events = self.machine.release(self.now);
        self.commit(events);
        self.machine.promote(self.now);
        let leased = |event: &Event| matches!(event.known, Known::Leased { .. });
        let all: Vec<u64> =
            self.model.events.iter().filter(|(_, event)| leased(event)).map(|(&o, _)| o).collect();
        for offset in all {
            let now = self.now;
            self.model.fail(offset, now, settings.max_attempts, self.keys, settings.parks_key);
        }
        for event in self.model.events.values_mut() {
            if matches!(event.known, Known::Pausing(until) if until <= self.now) {
                event.known = Known::Waiting;
            }
        }
    }

    fn compare(&self) {
        let state = self.machine.state();
        assert_eq!(state.read, self.model.read);
        assert_eq!(state.position(), self.model.position());
        let known = |(offset, entry): (u64, &super::entry::Entry)| {
            let known = match &entry.status {
                Status::Waiting => Known::Waiting,
                Status::Pausing { until_ms } => Known::Pausing(*until_ms),
                Status::Leased { worker, deadline_ms } => Known::Leased {
                    worker: WORKERS.iter().position(|name| **name == **worker).unwrap(),
                    deadline: *deadline_ms,
                },
            };
            (offset, (known, entry.attempts))
        };
        let machine: BTreeMap<u64, _> = state.entries().map(known).collect();
        let model: BTreeMap<u64, _> = self
            .model
            .open()
            .map(|(offset, event)| (offset, (event.known.clone(), event.attempts)))
            .collect();
        assert_eq!(machine, model);
        let parked = self.model.events.iter().filter(|(_, event)| event.known == Known::Parked);
        let parked: Vec<u64> = parked.map(|(&offset, _)| offset).collect();
        assert_eq!(state.parked.keys().copied().collect::<Vec<_>>(), parked);
        assert_eq!(self.machine.ready_count(), self.model.ready(self.keys).len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_machine_does_what_the_model_says(
        keys in proptest::collection::vec(proptest::collection::btree_set(0..4_u8, 0..3), 1..12),
        parks_key in any::<bool>(),
        steps in steps(),
    ) {
        let settings = GroupSettings {
            key: Some("k:".into()),
            max_in_flight: 3,
            max_attempts: 3,
            first_pause_ms: 10,
            parks_key,
            ..GroupSettings::default()
        };
        let state = GroupState { settings, complete: true, ..GroupState::default() };
        let log = state.carried();
        let machine = Machine::new(state, false, |_| Keys::default());
        let (model, leases) = (Model::default(), Vec::new());
        let mut world = World { keys: &keys, machine, log, model, leases, now: 1_000, pulls: 0 };
        for step in &steps {
            world.tick();
            world.step(step);
            world.tick();
            world.compare();
        }
    }
}
