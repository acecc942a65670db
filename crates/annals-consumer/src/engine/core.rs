//! The machine of a group together with its state log: a change is in the log before it is in the machine.

use annals::{Backend, Event, EventStore, Query, ReadError, Tags, UnknownEvents};

use super::event::GroupEvent;
use super::log::StateLog;
use super::machine::Machine;
use super::schedule::Keys;
use super::state::GroupState;
use crate::binding::digest_before;
use crate::error::ConsumerError;

/// The most events that are read at a time.
const PAGE: usize = 256;

/// The number of events without a match after which the state log learns that they were read.
const STORE_PASSED: u64 = 65_536;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) machine: Machine,
    pub(crate) log: StateLog,
}

/// What a group reads of its log.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) query: Query,
    pub(crate) key: Option<String>,
    pub(crate) unknown: UnknownEvents,
}

impl Core {
    pub(crate) fn new(machine: Machine, log: StateLog) -> Self {
        Self { machine, log }
    }

    /// Makes a decision lasting, and applies it. `keys` has the keys of events that are opened.
    pub(crate) fn commit(
        &mut self,
        events: &[GroupEvent],
        keys: impl IntoIterator<Item = (u64, Keys)>,
    ) -> Result<(), ConsumerError> {
        if events.is_empty() {
            return Ok(());
        }
        self.log.append(events)?;
        if let Err(misfit) = self.machine.apply(events, keys) {
            panic!("a decision does not fit the state: {}; {events:?}", misfit.0);
        }
        self.log.renew_if_due(self.machine.state());
        Ok(())
    }

    /// Decides on deadlines and pauses that have ended.
    pub(crate) fn tick(&mut self, now_ms: u64) -> Result<u64, ConsumerError> {
        if self.machine.next_time().is_none_or(|time| time > now_ms) {
            return Ok(0);
        }
        let events = self.machine.expire(now_ms);
        self.commit(&events, [])?;
        self.machine.promote(now_ms);
        Ok(parked_count(&events))
    }

    /// Reads ahead until `wanted` events are ready, the end of the log is reached, or there is no room.
    pub(crate) fn read_ahead<E: Event, B: Backend<E>>(
        &mut self,
        store: &EventStore<E, B>,
        source: &Source,
        wanted: usize,
        now_ms: u64,
    ) -> Result<u64, ConsumerError> {
        let mut parked = 0;
        while self.machine.ready_count() < wanted {
            let (read, head) = (self.machine.state().read, store.len());
            let room = self.machine.room_ahead().min(PAGE);
            if read >= head || room == 0 {
                break;
            }
            let (found, to) = source.read(store, read, head, room)?;
            if found.is_empty() && to - self.machine.state().stored_read < STORE_PASSED {
                self.machine.pass(to);
                continue;
            }
            let events = self.machine.admit(to, digest_before(store, to), &found, now_ms);
            self.commit(&events, found)?;
            parked += parked_count(&events);
        }
        Ok(parked)
    }

    /// Stores how far the log was read, and makes the state log durable.
    pub(crate) fn close<E: Event, B: Backend<E>>(
        &mut self,
        store: &EventStore<E, B>,
    ) -> Result<(), ConsumerError> {
        let GroupState { read: to, stored_read, .. } = *self.machine.state();
        if to > stored_read {
            let before = digest_before(store, to);
            let offsets = Vec::new();
            self.commit(&[GroupEvent::EventsAdmitted { to, before, offsets }], [])?;
        }
        self.log.sync()
    }
}

/// Returns how many events these changes park.
pub(crate) fn parked_count(events: &[GroupEvent]) -> u64 {
    let parks = |event: &&GroupEvent| matches!(event, GroupEvent::EventParked { .. });
    events.iter().filter(parks).count() as u64
}

impl Source {
    /// Returns at most `room` events from `from` on, with their keys, and the offset behind what was searched.
    fn read<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        from: u64,
        head: u64,
        room: usize,
    ) -> Result<(Vec<(u64, Keys)>, u64), ConsumerError> {
        let events = store.query(&self.query).range(from..head);
        let (mut found, mut is_end) = (Vec::new(), true);
        for event in events.unknown_events(self.unknown).take(room) {
            match event {
                Ok(event) => found.push((event.offset, self.keys(&event.event))),
                // It is delivered like any other, and parked then.
                Err(ReadError::Decode { offset, .. }) => found.push((offset, Keys::default())),
                // The events before it first.
                Err(_) if !found.is_empty() => {
                    is_end = false;
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        is_end &= found.len() < room;
        let last = found.last().map_or(from, |(offset, _)| offset + 1);
        Ok((found, if is_end { head } else { last }))
    }

    /// Returns the keys of an event.
    fn keys<E: Event>(&self, event: &E) -> Keys {
        let Some(prefix) = &self.key else { return Keys::default() };
        let mut tags = Tags::default();
        event.tags(&mut tags);
        let mut keys: Vec<_> =
            tags.iter().filter(|tag| tag.starts_with(prefix.as_str())).map(Into::into).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into()
    }

    /// Returns the keys of the event at an offset. Without keys if it cannot be decoded.
    pub(crate) fn keys_at<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        offset: u64,
    ) -> Result<Keys, ConsumerError> {
        if self.key.is_none() {
            return Ok(Keys::default());
        }
        match store.get(offset) {
            Ok(event) => Ok(event.map(|event| self.keys(&event.event)).unwrap_or_default()),
            Err(ReadError::Decode { .. }) => Ok(Keys::default()),
            Err(error) => Err(error.into()),
        }
    }
}
