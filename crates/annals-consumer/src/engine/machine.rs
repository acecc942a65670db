//! The decisions of a group, as a state machine without clock, input or output. The time, the ids of pulls, and the
//! events that were read are arguments. A decision returns events for the state log; [`Machine::apply`] applies them
//! once they are in the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::answer::{Answer, Nack, ParkedEvents, Settled};
use super::entry::Status;
use super::event::GroupEvent;
use super::lease_id::LeaseId;
use super::schedule::{Keys, Schedule};
use super::state::{GroupState, Misfit};

/// The longest reason that is stored, in bytes.
const MAX_REASON_BYTES: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Machine {
    state: GroupState,
    schedule: Schedule,
}

impl Machine {
    /// Returns the machine with this state. `keys` returns the keys of the events at the given offsets.
    pub(crate) fn new(
        state: GroupState,
        in_log_order: bool,
        mut keys: impl FnMut(u64) -> Keys,
    ) -> Self {
        let mut schedule = Schedule::new(in_log_order);
        for (offset, entry) in state.entries() {
            schedule.learn(offset, keys(offset));
            schedule.enter(offset, entry);
        }
        for (offset, _) in state.entries() {
            schedule.settle(offset, &state);
        }
        if state.settings.parks_key {
            for &offset in state.parked.keys() {
                schedule.learn_parked(offset, &keys(offset));
            }
        }
        Self { state, schedule }
    }

    pub(crate) fn state(&self) -> &GroupState {
        &self.state
    }

    /// Notes that no event of the query is between `state.read` and `to`. The state log learns it later.
    pub(crate) fn pass(&mut self, to: u64) {
        self.state.read = self.state.read.max(to);
    }

    /// Returns the number of events that could be delivered now.
    pub(crate) fn ready_count(&self) -> usize {
        self.schedule.ready_count()
    }

    /// Returns the event that is delivered next.
    pub(crate) fn first_ready(&self) -> Option<u64> {
        self.schedule.ready().next()
    }

    /// Leases a ready event to the one worker of a consumer, which has no deadline and no record. Returns how often the
    /// event was delivered.
    pub(crate) fn lease_one(&mut self, offset: u64, pull: Uuid) -> u32 {
        let entry = self.state.entry_mut(offset).expect("a ready event is open");
        self.schedule.leave(offset, entry);
        entry.lease(Arc::default(), pull, u64::MAX);
        self.schedule.enter(offset, entry);
        entry.attempts
    }

    /// Acknowledges a delivery of a consumer, which has no record. Returns whether the event was open, or `None` if the
    /// lease is lost.
    pub(crate) fn ack_one(&mut self, lease: LeaseId) -> Option<bool> {
        match self.standing(lease) {
            Standing::Lost => return None,
            Standing::Finished => return Some(false),
            Standing::Held { .. } => {}
        }
        let offset = lease.offset;
        let entry = self.state.finish(offset).expect("the event of a held lease is open");
        self.schedule.leave(offset, &entry);
        self.schedule.close(offset, &self.state);
        Some(true)
    }

    /// Returns whether every open event is with a worker.
    pub(crate) fn is_all_leased(&self) -> bool {
        self.held() == (self.state.window.len() + self.state.replays.len()) as u64
    }

    /// Returns the number of events that are with workers.
    pub(crate) fn held(&self) -> u64 {
        self.schedule.all_held()
    }

    /// Returns the number of events that a worker may still get.
    pub(crate) fn room(&self, worker: &str) -> u32 {
        self.state.settings.max_in_flight.saturating_sub(self.schedule.held(worker))
    }

    /// Returns the number of events that may still be read ahead.
    pub(crate) fn room_ahead(&self) -> usize {
        let open = self.state.window.len() + self.state.replays.len();
        (self.state.settings.read_ahead as usize).saturating_sub(open)
    }

    /// Returns the next time at which [`expire`](Self::expire) or [`promote`](Self::promote) has something to do.
    pub(crate) fn next_time(&self) -> Option<u64> {
        self.schedule.first_timer().map(|(time, _)| time)
    }

    /// Applies events that a decision returned. `keys` has the keys of events that are opened.
    ///
    /// # Errors
    /// [`Misfit`] if an event does not fit the state, which no decision returns.
    pub(crate) fn apply(
        &mut self,
        events: &[GroupEvent],
        keys: &mut HashMap<u64, Keys>,
    ) -> Result<(), Misfit> {
        for event in events {
            if let GroupEvent::PositionReset { to, .. } = event {
                self.schedule.reset(*to);
            }
            for &offset in event.offsets() {
                if let Some(entry) = self.state.entry(offset) {
                    self.schedule.leave(offset, entry);
                    continue;
                }
                // A map without entries is not worth a hash.
                let Some(keys) = (if keys.is_empty() { None } else { keys.remove(&offset) }) else {
                    continue;
                };
                if self.state.parked.contains_key(&offset) {
                    self.schedule.unpark(offset, &keys);
                }
                if !matches!(event, GroupEvent::ParkedDropped { .. }) {
                    self.schedule.learn(offset, keys);
                }
            }
            self.state.apply(event)?;
            let changed = event.offsets().iter().copied();
            for offset in changed.clone() {
                match self.state.entry(offset) {
                    Some(entry) => self.schedule.enter(offset, entry),
                    None => self.schedule.close(offset, &self.state),
                }
            }
            for offset in changed.filter(|&offset| self.state.entry(offset).is_some()) {
                self.schedule.settle(offset, &self.state);
            }
        }
        Ok(())
    }

    /// Makes events ready whose pause has ended. The state log does not have this: it follows from the time.
    pub(crate) fn promote(&mut self, now_ms: u64) {
        let due: Vec<u64> = self.schedule.due(now_ms).collect();
        for offset in due {
            let Some(entry) = self.state.entry_mut(offset) else { continue };
            if matches!(entry.status, Status::Pausing { .. }) {
                self.schedule.leave(offset, entry);
                entry.status = Status::Waiting;
                self.schedule.enter(offset, entry);
                self.schedule.settle(offset, &self.state);
            }
        }
    }

    /// Decides on leases whose deadline has passed.
    pub(crate) fn expire(&self, now_ms: u64) -> Vec<GroupEvent> {
        let mut decision = Decision::new(self, now_ms);
        for offset in self.schedule.due(now_ms) {
            if self.state.entry(offset).is_some_and(|entry| is_leased(&entry.status)) {
                decision.retry(offset, None, "the deadline passed");
            }
        }
        decision.events
    }

    /// Decides on every lease of a process that has ended: its events are delivered again at once.
    pub(crate) fn release(&self, now_ms: u64) -> Vec<GroupEvent> {
        let mut decision = Decision::new(self, now_ms);
        for (offset, entry) in self.state.entries() {
            if is_leased(&entry.status) {
                decision.retry(offset, Some(now_ms), "the process ended during the delivery");
            }
        }
        decision.events
    }

    /// Decides on pauses that end later than a pause can: the system's clock has gone back since, or the settings have
    /// shorter pauses now.
    pub(crate) fn shorten(&self, now_ms: u64) -> Vec<GroupEvent> {
        let settings = &self.state.settings;
        let latest_ms = now_ms.saturating_add(settings.max_pause_ms);
        let mut events = Vec::new();
        for (offset, entry) in self.state.entries() {
            if matches!(entry.status, Status::Pausing { until_ms } if until_ms > latest_ms) {
                let until_ms = now_ms.saturating_add(settings.pause_ms(entry.attempts));
                let reason = "the pause was longer than the settings allow".to_owned();
                events.push(GroupEvent::EventRetried { offset, until_ms, reason });
            }
        }
        events
    }

    /// Decides on events that were read: all events of the query from `state.read` to `to`.
    pub(crate) fn admit(
        &self,
        to: u64,
        before: Option<String>,
        found: &[(u64, Keys)],
        now_ms: u64,
    ) -> Vec<GroupEvent> {
        let offsets = found.iter().map(|(offset, _)| *offset).collect();
        let mut events = vec![GroupEvent::EventsAdmitted { to, before, offsets }];
        if !self.state.settings.parks_key {
            return events;
        }
        let mut parked: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for (offset, keys) in found {
            let first = |key: &Arc<str>| {
                self.schedule.first_parked(key).or_else(|| parked.get(key).copied())
            };
            let Some(first) = keys.iter().find_map(first) else { continue };
            events.push(parked_behind(*offset, first, now_ms));
            parked.extend(keys.iter().map(|key| (Arc::clone(key), first)));
        }
        events
    }

    /// Decides on the events that a worker gets: ready ones, the lowest offsets first.
    pub(crate) fn pull(
        &self,
        worker: &str,
        pull: Uuid,
        max: u32,
        deadline_ms: u64,
    ) -> Vec<GroupEvent> {
        let count = max.min(self.room(worker)) as usize;
        let offsets: Vec<u64> = self.schedule.ready().take(count).collect();
        if offsets.is_empty() {
            return Vec::new();
        }
        let worker = worker.to_owned();
        vec![GroupEvent::EventsLeased { worker, pull, deadline_ms, offsets }]
    }

    /// Decides on the answer to some leases.
    pub(crate) fn settle(
        &self,
        leases: &[LeaseId],
        answer: Answer<'_>,
        now_ms: u64,
    ) -> (Vec<GroupEvent>, Settled) {
        let (mut settled, mut acked, mut returned) = (Settled::default(), Vec::new(), Vec::new());
        let mut decision = Decision::new(self, now_ms);
        let mut seen = BTreeSet::new();
        let mut is_first = |offset| leases.len() == 1 || seen.insert(offset);
        for &lease in leases {
            match self.standing(lease) {
                Standing::Lost => settled.lost.push(lease),
                Standing::Finished => settled.done.push(lease),
                Standing::Held { leased } => {
                    settled.done.push(lease);
                    if !is_first(lease.offset) {
                        continue;
                    }
                    match answer {
                        Answer::Ack => acked.push(lease.offset),
                        Answer::Nack(Nack::Skip, reason) => {
                            let (offset, reason) = (lease.offset, cut(reason));
                            decision.events.push(GroupEvent::EventSkipped { offset, reason });
                        }
                        Answer::Nack(Nack::Park, reason) => decision.park(lease.offset, reason),
                        // After the deadline the event is to be delivered again already.
                        Answer::Nack(Nack::Retry, _) | Answer::Return | Answer::Unread(_)
                            if !leased => {}
                        Answer::Nack(Nack::Retry, reason) => {
                            decision.retry(lease.offset, None, reason);
                        }
                        Answer::Return => returned.push(lease.offset),
                        Answer::Unread(reason) => {
                            let (offset, reason) = (lease.offset, cut(reason));
                            let pause_ms = self.state.settings.pause_ms(1);
                            let until_ms = now_ms.saturating_add(pause_ms);
                            let offsets = vec![offset];
                            decision.events.push(GroupEvent::DeliveriesReturned { offsets });
                            let retried = GroupEvent::EventRetried { offset, until_ms, reason };
                            decision.events.push(retried);
                        }
                    }
                }
            }
        }
        let mut events = decision.events;
        if !acked.is_empty() {
            events.push(GroupEvent::EventsAcked { offsets: acked });
        }
        if !returned.is_empty() {
            events.push(GroupEvent::DeliveriesReturned { offsets: returned });
        }
        (events, settled)
    }

    /// Decides on more time for a lease. Returns nothing if the lease is lost or its deadline has passed.
    pub(crate) fn extend(&self, lease: LeaseId, deadline_ms: u64) -> Option<GroupEvent> {
        let held = matches!(self.standing(lease), Standing::Held { leased: true });
        held.then_some(GroupEvent::LeaseExtended { offset: lease.offset, deadline_ms })
    }

    /// Returns the offsets of the selected parked events, in order, or the first offset that is not parked.
    pub(crate) fn selected(&self, which: ParkedEvents<'_>) -> Result<Vec<u64>, u64> {
        let offsets: BTreeSet<u64> = match which {
            ParkedEvents::All => self.state.parked.keys().copied().collect(),
            ParkedEvents::At(offsets) => offsets.iter().copied().collect(),
        };
        match offsets.iter().find(|offset| !self.state.parked.contains_key(offset)) {
            Some(&missing) => Err(missing),
            None => Ok(offsets.into_iter().collect()),
        }
    }

    fn standing(&self, lease: LeaseId) -> Standing {
        if lease.epoch != self.state.epoch {
            return Standing::Lost;
        }
        match self.state.entry(lease.offset) {
            Some(entry) if entry.pull == Some(lease.pull) => {
                Standing::Held { leased: is_leased(&entry.status) }
            }
            None if lease.offset < self.state.read
                && !self.state.parked.contains_key(&lease.offset) =>
            {
                Standing::Finished
            }
            _ => Standing::Lost,
        }
    }
}

/// How a lease stands.
enum Standing {
    /// It is the last lease of an event that is not finished. Its deadline may have passed.
    Held {
        leased: bool,
    },
    Finished,
    Lost,
}

fn is_leased(status: &Status) -> bool {
    matches!(status, Status::Leased { .. })
}

fn parked_behind(offset: u64, first: u64, at_ms: u64) -> GroupEvent {
    let reason = format!("waits behind the parked event at offset {first}");
    GroupEvent::EventParked { offset, at_ms, reason }
}

/// Returns the beginning of a reason, which workers choose.
fn cut(reason: &str) -> String {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}

/// Collects the events of a decision in which events are parked.
struct Decision<'m> {
    machine: &'m Machine,
    now_ms: u64,
    events: Vec<GroupEvent>,
    parked: BTreeSet<u64>,
}

impl<'m> Decision<'m> {
    fn new(machine: &'m Machine, now_ms: u64) -> Self {
        Self { machine, now_ms, events: Vec::new(), parked: BTreeSet::new() }
    }

    /// Delivers an event again, at `until_ms` or after its pause, or parks it after its last attempt.
    fn retry(&mut self, offset: u64, until_ms: Option<u64>, reason: &str) {
        let state = self.machine.state();
        let attempts = state.entry(offset).map_or(0, |entry| entry.attempts);
        if attempts >= state.settings.max_attempts {
            return self.park(offset, reason);
        }
        let pause = || self.now_ms.saturating_add(state.settings.pause_ms(attempts));
        let until_ms = until_ms.unwrap_or_else(pause);
        self.events.push(GroupEvent::EventRetried { offset, until_ms, reason: cut(reason) });
    }

    /// Parks an event, and what waits behind it in its keys if the group parks keys.
    fn park(&mut self, offset: u64, reason: &str) {
        if !self.parked.insert(offset) {
            return;
        }
        let at_ms = self.now_ms;
        // The last events first: if the end of the process interrupts this, the event itself is delivered again.
        for waiting in self.behind(offset).into_iter().rev() {
            if self.parked.insert(waiting) {
                self.events.push(parked_behind(waiting, offset, at_ms));
            }
        }
        self.events.push(GroupEvent::EventParked { offset, at_ms, reason: cut(reason) });
    }

    /// Returns the events that wait behind an event in its keys, and behind those in theirs, if the group parks keys.
    fn behind(&self, offset: u64) -> BTreeSet<u64> {
        let Machine { state, schedule } = self.machine;
        let mut found = BTreeSet::new();
        if !state.settings.parks_key {
            return found;
        }
        // The lowest offset behind which each key was searched. An event is higher than the one it was found behind,
        // so events are taken in order and each key is searched once.
        let mut searched: BTreeSet<&str> = BTreeSet::new();
        let mut open = BTreeSet::from([offset]);
        while let Some(before) = open.pop_first() {
            for key in schedule.keys(before) {
                if !searched.insert(key) {
                    continue;
                }
                let is_free = |&waiting: &u64| {
                    state.entry(waiting).is_some_and(|entry| !is_leased(&entry.status))
                };
                for waiting in schedule.behind(key, before).filter(is_free) {
                    if found.insert(waiting) {
                        open.insert(waiting);
                    }
                }
            }
        }
        found
    }
}
