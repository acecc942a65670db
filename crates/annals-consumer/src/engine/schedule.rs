//! The schedule of deliveries, derived from a group's state: ready events, keys, timers, and events with workers.
//!
//! An event is ready if it waits, no event of its keys is with a worker, and no earlier event of its keys is open. An
//! event may have several keys. Since each key prefers the lowest offset, events never wait for each other in a circle.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::entry::{Entry, Status};
use super::state::GroupState;

/// The keys of an event. Without keys, the event does not wait for any other.
pub(crate) type Keys = Box<[Arc<str>]>;

#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// The keys of open events, of those that have any.
    keys: HashMap<u64, Keys>,
    queues: HashMap<Arc<str>, Queue>,
    ready: BTreeSet<u64>,
    /// The times at which deadlines and pauses end.
    timers: BTreeSet<(u64, u64)>,
    /// The events whose pause has not ended.
    pausing: BTreeSet<u64>,
    /// Whether an event waits for the pauses of all events before it, as one consumer of the whole log demands.
    in_log_order: bool,
    /// The number of events that each worker has. In the order of the log there is one worker, which has no limit, so
    /// they are not counted.
    held: HashMap<Arc<str>, u32>,
    /// The number of events that all workers have.
    all_held: u64,
    /// The parked events of each key, if the group parks keys.
    parked: HashMap<Arc<str>, BTreeSet<u64>>,
}

/// The open events of one key.
#[derive(Debug, Default)]
struct Queue {
    open: BTreeSet<u64>,
    /// The number of events that are with workers: at most 1, except after a state log in which two events of the key
    /// have leases. Earlier versions could write that, when a program derived other tags than the stored ones. The key
    /// then waits until all of them are answered.
    busy: u32,
}

impl Schedule {
    /// Returns the ready events, in order.
    pub(crate) fn ready(&self) -> impl Iterator<Item = u64> {
        let end = self.pausing.first().filter(|_| self.in_log_order).copied();
        self.ready.range(..end.unwrap_or(u64::MAX)).copied()
    }

    pub(crate) fn ready_count(&self) -> usize {
        let is_cut = self.in_log_order && !self.pausing.is_empty();
        if is_cut { self.ready().count() } else { self.ready.len() }
    }

    /// Returns an empty schedule.
    pub(crate) fn new(in_log_order: bool) -> Self {
        Self { in_log_order, ..Self::default() }
    }

    /// Returns the earliest time at which a deadline or a pause ends, and the event.
    pub(crate) fn first_timer(&self) -> Option<(u64, u64)> {
        self.timers.first().copied()
    }

    /// Returns the events whose deadline or pause has ended at `now_ms`.
    pub(crate) fn due(&self, now_ms: u64) -> impl Iterator<Item = u64> {
        self.timers.range(..=(now_ms, u64::MAX)).map(|&(_, offset)| offset)
    }

    /// Returns the number of events that a worker has.
    pub(crate) fn held(&self, worker: &str) -> u32 {
        self.held.get(worker).copied().unwrap_or(0)
    }

    /// Returns the number of events that all workers have.
    pub(crate) fn all_held(&self) -> u64 {
        self.all_held
    }

    pub(crate) fn keys(&self, offset: u64) -> &[Arc<str>] {
        self.keys.get(&offset).map_or(&[], |keys| keys)
    }

    /// Returns the open events of a key behind `offset`.
    pub(crate) fn behind(&self, key: &str, offset: u64) -> impl Iterator<Item = u64> {
        let queue = self.queues.get(key);
        queue.into_iter().flat_map(move |queue| queue.open.range(offset + 1..).copied())
    }

    /// Returns the first parked event of a key, if the group parks keys.
    pub(crate) fn first_parked(&self, key: &str) -> Option<u64> {
        self.parked.get(key)?.first().copied()
    }

    /// Forgets all open events, and the parked ones from `to` on.
    pub(crate) fn reset(&mut self, to: u64) {
        let mut parked = std::mem::take(&mut self.parked);
        parked.retain(|_, offsets| {
            offsets.split_off(&to);
            !offsets.is_empty()
        });
        *self = Self { parked, in_log_order: self.in_log_order, ..Self::default() };
    }

    /// Notes the keys of an event that is about to be opened.
    pub(crate) fn learn(&mut self, offset: u64, keys: Keys) {
        if !keys.is_empty() {
            self.keys.insert(offset, keys);
        }
    }

    /// Takes an entry out before it changes.
    pub(crate) fn leave(&mut self, offset: u64, entry: &Entry) {
        match &entry.status {
            Status::Waiting => {
                self.ready.remove(&offset);
            }
            Status::Pausing { until_ms } => {
                self.timers.remove(&(*until_ms, offset));
                self.pausing.remove(&offset);
            }
            Status::Leased { worker, deadline_ms } => {
                if *deadline_ms < u64::MAX {
                    self.timers.remove(&(*deadline_ms, offset));
                }
                self.all_held -= 1;
                if !self.in_log_order
                    && let Some(held) = self.held.get_mut(worker)
                {
                    *held -= 1;
                    if *held == 0 {
                        self.held.remove(worker);
                    }
                }
                for key in self.keys.get(&offset).into_iter().flatten() {
                    let queue = self.queues.get_mut(key).expect("an open event is in its queues");
                    queue.busy -= 1;
                }
            }
        }
    }

    /// Puts an open entry in, new or changed. [`settle`](Self::settle) is called behind it.
    pub(crate) fn enter(&mut self, offset: u64, entry: &Entry) {
        let keys = self.keys.get(&offset).map_or(&[][..], |keys| keys);
        for key in keys {
            let queue = self.queues.entry(Arc::clone(key)).or_default();
            if let Some(first) = queue.open.first().filter(|&&first| offset < first) {
                self.ready.remove(first);
            }
            queue.open.insert(offset);
            if matches!(entry.status, Status::Leased { .. }) {
                queue.busy += 1;
            }
        }
        match &entry.status {
            Status::Waiting => {}
            Status::Pausing { until_ms } => {
                self.timers.insert((*until_ms, offset));
                self.pausing.insert(offset);
            }
            Status::Leased { worker, deadline_ms } => {
                if *deadline_ms < u64::MAX {
                    self.timers.insert((*deadline_ms, offset));
                }
                self.all_held += 1;
                if !self.in_log_order {
                    *self.held.entry(Arc::clone(worker)).or_default() += 1;
                }
            }
        }
    }

    /// Makes the events ready, or not, that depend on an event that was entered.
    pub(crate) fn settle(&mut self, offset: u64, state: &GroupState) {
        self.judge(offset, state);
        for at in 0..self.keys(offset).len() {
            let first = self.queues[&self.keys(offset)[at]].open.first().copied();
            if let Some(first) = first.filter(|&first| first != offset) {
                self.judge(first, state);
            }
        }
    }

    /// Forgets an event that is not open any more. [`leave`](Self::leave) was called before.
    pub(crate) fn close(&mut self, offset: u64, state: &GroupState) {
        let Some(keys) = self.keys.remove(&offset) else { return };
        let is_parked = state.settings.parks_key && state.parked.contains_key(&offset);
        for key in &keys {
            let queue = self.queues.get_mut(key).expect("an open event is in its queues");
            queue.open.remove(&offset);
            match queue.open.first().copied() {
                Some(first) => self.judge(first, state),
                None => drop(self.queues.remove(key)),
            }
            if is_parked {
                self.parked.entry(Arc::clone(key)).or_default().insert(offset);
            }
        }
    }

    /// Notes the keys of a parked event, when a group that parks keys is opened.
    pub(crate) fn learn_parked(&mut self, offset: u64, keys: &[Arc<str>]) {
        for key in keys {
            self.parked.entry(Arc::clone(key)).or_default().insert(offset);
        }
    }

    /// Notes that an event is not parked any more.
    pub(crate) fn unpark(&mut self, offset: u64, keys: &[Arc<str>]) {
        for key in keys {
            if let Some(parked) = self.parked.get_mut(key) {
                parked.remove(&offset);
                if parked.is_empty() {
                    self.parked.remove(key);
                }
            }
        }
    }

    /// Makes an event ready or not.
    fn judge(&mut self, offset: u64, state: &GroupState) {
        let waits = || state.entry(offset).is_some_and(|entry| entry.status == Status::Waiting);
        let is_first = |key: &Arc<str>| {
            let queue = &self.queues[key];
            queue.busy == 0 && queue.open.first() == Some(&offset)
        };
        if waits() && self.keys(offset).iter().all(is_first) {
            self.ready.insert(offset);
        } else {
            self.ready.remove(&offset);
        }
    }
}
