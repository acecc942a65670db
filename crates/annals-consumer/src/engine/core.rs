//! The engine of a group or a consumer: the machine together with its record. A change is in the record before it is in
//! the machine.

use std::collections::HashMap;

use annals::{Backend, Event, EventRef, EventStore};
use uuid::Uuid;

use super::answer::ParkedEvents;
use super::event::GroupEvent;
use super::lease_id::LeaseId;
use super::log::StateLog;
use super::machine::Machine;
use super::position::Position;
use super::reader::Reader;
use super::schedule::Keys;
use super::state::GroupState;
use crate::binding::digest_before;
use crate::error::ConsumerError;
use crate::storage::lock::{NameLock, Noted};

/// The number of events without a match after which the state log learns that they were read.
const STORE_PASSED: u64 = 65_536;

/// The most events of a state log that are appended at once: below the limits of a batch, 65,536 events and 32 MiB.
const COMMIT: usize = 4_000;

/// The most offsets in one event of a state log.
const OFFSETS: usize = 100_000;

#[derive(Debug)]
pub(crate) struct Core<E: Event> {
    pub(crate) machine: Machine,
    pub(crate) record: Record,
    pub(crate) reader: Reader<E>,
    pub(crate) lock: NameLock,
    pulls: u128,
}

/// The state that survives the process.
#[derive(Debug)]
pub(crate) enum Record {
    /// Each change of a group.
    Log(StateLog),
    /// The position of a consumer. Events from there on are delivered again by the next process.
    Position(Position),
}

impl<E: Event> Core<E> {
    /// Returns the engine with this state.
    pub(crate) fn new<B: Backend<E>>(
        state: GroupState,
        record: Record,
        reader: Reader<E>,
        lock: NameLock,
        store: &EventStore<E, B>,
    ) -> Result<Self, ConsumerError> {
        let mut failed = None;
        let in_log_order = matches!(record, Record::Position(_));
        let keys = |offset| match reader.keys_at(store, offset) {
            Ok(keys) => keys,
            Err(error) => {
                failed.get_or_insert(error);
                Keys::default()
            }
        };
        let machine = Machine::new(state, in_log_order, keys);
        match failed {
            None => Ok(Self { machine, record, reader, lock, pulls: 0 }),
            Some(error) => Err(error),
        }
    }

    /// Makes a decision lasting, and applies it. `keys` has the keys of events that are opened.
    pub(crate) fn commit(
        &mut self,
        events: &[GroupEvent],
        keys: impl IntoIterator<Item = (u64, Keys)>,
        now_ms: u64,
    ) -> Result<(), ConsumerError> {
        let mut keys: HashMap<u64, Keys> = keys.into_iter().collect();
        for part in events.chunks(COMMIT) {
            match &mut self.record {
                Record::Log(log) => log.append(part, now_ms)?,
                Record::Position(position) => {
                    position.handled = position.handled.saturating_add(handled_count(part));
                }
            }
            if let Err(misfit) = self.machine.apply(part, &mut keys) {
                panic!("a decision does not fit the state: {}; {part:?}", misfit.0);
            }
        }
        // The directory of a group whose lock was removed may be that of another group of the name.
        if let Record::Log(log) = &mut self.record
            && log.is_full()
            && self.lock.check().is_ok()
        {
            log.renew(self.machine.state());
        }
        Ok(())
    }

    /// Returns the id of the next pull. Those of a group cannot be guessed, since its leases leave the process.
    pub(crate) fn next_pull(&mut self) -> Uuid {
        self.pulls += 1;
        match &self.record {
            Record::Log(_) => Uuid::new_v4(),
            Record::Position(_) => Uuid::from_u128(self.pulls),
        }
    }

    /// Returns whether events can be parked.
    pub(crate) fn can_park(&self) -> bool {
        matches!(self.record, Record::Log(_))
    }

    /// Returns whether nothing is left to deliver of what was read. What is with the workers of a group may come back.
    /// A consumer does not wait for the deliveries that it returned.
    pub(crate) fn is_idle(&self) -> bool {
        match self.record {
            Record::Log(_) => self.machine.state().is_idle(),
            Record::Position(_) => self.machine.is_all_leased(),
        }
    }

    /// Returns the next time at which a deadline or a pause ends.
    pub(crate) fn next_time(&self) -> Option<u64> {
        let retry_ms = match &self.record {
            Record::Position(position) => position.retry_ms,
            Record::Log(_) => None,
        };
        [self.machine.next_time(), retry_ms].into_iter().flatten().min()
    }

    /// Decides on deadlines and pauses that have ended.
    pub(crate) fn tick(&mut self, now_ms: u64) -> Result<u64, ConsumerError> {
        if self.machine.next_time().is_none_or(|time| time > now_ms) {
            return Ok(0);
        }
        let events = self.machine.expire(now_ms);
        self.commit(&events, [], now_ms)?;
        self.machine.promote(now_ms);
        Ok(parked_count(&events))
    }

    /// Returns the next event of a consumer, leased, and how often it was delivered. Returns `None` if that takes more
    /// than handing out an event that was read already: reading, or looking at the time.
    pub(crate) fn take_next(&mut self) -> Option<(EventRef<'static, E>, LeaseId, u32)> {
        let offset = self.reader.first_ahead()?;
        let is_next = self.machine.first_ready() == Some(offset);
        if !is_next || self.can_park() || self.machine.next_time().is_some() {
            return None;
        }
        let event = self.reader.take(offset)?;
        let (epoch, pull) = (self.machine.state().epoch, self.next_pull());
        let attempt = self.machine.lease_one(offset, pull);
        Some((event, LeaseId { epoch, pull, offset }, attempt))
    }

    /// Acknowledges a delivery of a consumer. Returns whether the lease was not lost.
    pub(crate) fn ack_one(&mut self, lease: LeaseId) -> bool {
        let acked = self.machine.ack_one(lease);
        if let (Some(true), Record::Position(position)) = (acked, &mut self.record) {
            position.handled = position.handled.saturating_add(1);
        }
        acked.is_some()
    }

    /// Reads ahead until `wanted` events are ready, the log ends, or the window is full. Adds the number of events that
    /// were parked to `parked`, also before an error.
    ///
    /// An event that cannot be read is an error only if no event is ready: those before it, and those that are
    /// delivered again, do not wait for it.
    pub(crate) fn read_ahead<B: Backend<E> + 'static>(
        &mut self,
        store: &EventStore<E, B>,
        wanted: usize,
        now_ms: u64,
        parked: &mut u64,
    ) -> Result<(), ConsumerError> {
        while self.machine.ready_count() < wanted {
            let (read, head) = (self.machine.state().read, store.len());
            let room = self.machine.room_ahead();
            if read >= head || room == 0 {
                break;
            }
            let (found, to) = match self.reader.read(store, read, room) {
                Err(_) if self.machine.first_ready().is_some() => break,
                read => read?,
            };
            let passed = to - self.machine.state().stored_read;
            if found.is_empty() && (!self.can_park() || passed < STORE_PASSED) {
                self.machine.pass(to);
                continue;
            }
            let before = if self.can_park() { digest_before(store, to) } else { None };
            let events = self.machine.admit(to, before, &found, now_ms);
            let keys = found.into_iter().filter(|(_, keys)| !keys.is_empty());
            self.commit(&events, keys, now_ms)?;
            *parked += parked_count(&events);
        }
        Ok(())
    }

    /// Replays or drops parked events. Returns their number.
    pub(crate) fn unpark<B: Backend<E>>(
        &mut self,
        store: &EventStore<E, B>,
        which: ParkedEvents<'_>,
        replays: bool,
        now_ms: u64,
    ) -> Result<u64, ConsumerError> {
        let not_parked = |offset| ConsumerError::NotParked { offset };
        let offsets = self.machine.selected(which).map_err(not_parked)?;
        let with_keys = |&offset: &u64| Ok((offset, self.reader.keys_at(store, offset)?));
        let keys: Vec<_> = offsets.iter().map(with_keys).collect::<Result<_, ConsumerError>>()?;
        let event = |part: &[u64]| match (replays, part.to_vec()) {
            (true, offsets) => GroupEvent::ParkedReplayed { offsets },
            (false, offsets) => GroupEvent::ParkedDropped { offsets },
        };
        let events: Vec<_> = offsets.chunks(OFFSETS).map(event).collect();
        self.commit(&events, keys, now_ms)?;
        Ok(offsets.len() as u64)
    }

    /// Saves the position of a consumer if enough is handled, and before it waits if anything is.
    pub(crate) fn save_if_due<B: Backend<E>>(
        &mut self,
        store: &EventStore<E, B>,
        waits: bool,
        now_ms: u64,
    ) -> Result<(), ConsumerError> {
        let Record::Position(position) = &self.record else { return Ok(()) };
        let now = self.machine.state().position();
        if position.is_due(now_ms) || (waits && position.is_due_before_waiting(now, now_ms)) {
            return self.save(store, now_ms);
        }
        Ok(())
    }

    /// Makes the record durable: stores how far the log was read.
    pub(crate) fn save<B: Backend<E>>(
        &mut self,
        store: &EventStore<E, B>,
        now_ms: u64,
    ) -> Result<(), ConsumerError> {
        let position = self.machine.state().position();
        let GroupState { read: to, stored_read, .. } = *self.machine.state();
        if let Record::Position(record) = &mut self.record {
            self.lock.check()?;
            record.save(store, position, now_ms)?;
            if record.saved > 0 {
                self.lock.note(Noted::Position);
            }
            return Ok(());
        }
        if to > stored_read {
            let before = digest_before(store, to);
            let offsets = Vec::new();
            self.commit(&[GroupEvent::EventsAdmitted { to, before, offsets }], [], now_ms)?;
        }
        match &self.record {
            Record::Log(log) => log.sync(),
            Record::Position(_) => Ok(()),
        }
    }
}

/// Returns the events that continue a group at `to`.
pub(crate) fn reset_to<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    to: u64,
) -> Result<GroupEvent, ConsumerError> {
    let head = store.len();
    if to > head {
        return Err(ConsumerError::ResetBeyondHead { to, head });
    }
    Ok(GroupEvent::PositionReset { to, before: digest_before(store, to) })
}

/// Returns how many events these changes park.
pub(crate) fn parked_count(events: &[GroupEvent]) -> u64 {
    events.iter().filter(|event| event.parks()).count() as u64
}

/// Returns how many events are handled with these changes.
fn handled_count(events: &[GroupEvent]) -> u32 {
    let handled = |event: &GroupEvent| match event {
        GroupEvent::EventsAcked { offsets } => u32::try_from(offsets.len()).unwrap_or(u32::MAX),
        GroupEvent::EventSkipped { .. } => 1,
        _ => 0,
    };
    events.iter().map(handled).fold(0, u32::saturating_add)
}
