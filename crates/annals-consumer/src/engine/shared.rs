//! The state that the workers of a group, or the one of a consumer, share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals::{Backend, Event, EventRef, EventStore, ReadError, Recorded};
use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use super::answer::{Answer, Nack, Settled};
use super::core::{Core, parked_count};
use super::event::GroupEvent;
use super::lease_id::LeaseId;
use crate::clock::{Clock, ms};
use crate::error::ConsumerError;
use crate::meters::Meters;
use crate::wake::{Timer, Waiting, wake};

/// The most bytes of a worker's name.
const MAX_NAME_BYTES: usize = 255;

pub(crate) struct Shared<E: Event, B: Backend<E>> {
    pub(crate) store: EventStore<E, B>,
    pub(crate) name: String,
    pub(crate) core: Mutex<Core<E>>,
    /// Whether this is a group: it has leases with deadlines, and parks events.
    pub(crate) is_group: bool,
    pub(crate) waiting: Waiting,
    pub(crate) stopped: AtomicBool,
    pub(crate) clock: Clock,
    pub(crate) timer: Timer,
    pub(crate) meters: Meters,
}

/// A lease, how often its event was delivered, and the event if it was read already.
type Leased<E> = (LeaseId, u32, Option<EventRef<'static, E>>);

/// The result of a pull.
pub(crate) struct Pulled<E: Event> {
    pub(crate) events: Vec<(EventRef<'static, E>, LeaseId, u32)>,
    /// When the deadline of these events ends.
    pub(crate) deadline_ms: u64,
    /// The offset beyond which the log must grow for more events. `None`: more events would not help.
    pub(crate) beyond: Option<u64>,
    /// Whether nothing is left to do below `beyond`.
    pub(crate) is_idle: bool,
    /// When the next deadline or pause ends.
    pub(crate) until_ms: Option<u64>,
}

impl<E: Event, B: Backend<E>> Shared<E, B> {
    pub(crate) fn new(store: &EventStore<E, B>, name: String, core: Core<E>, clock: Clock) -> Self {
        Self {
            store: store.clone(),
            meters: Meters::new(&name),
            name,
            is_group: core.can_park(),
            core: Mutex::new(core),
            waiting: Waiting::default(),
            stopped: AtomicBool::new(false),
            clock,
            timer: Timer::default(),
        }
    }

    /// Ends all workers.
    pub(crate) fn stop(&self) {
        // Release: pairs with the load in `is_stopped`.
        self.stopped.store(true, Ordering::Release);
        self.wake_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        // Acquire: pairs with the store in `stop`.
        self.stopped.load(Ordering::Acquire)
    }

    /// Changes the state, reports it, and wakes the workers that have something to do.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Core<E>, u64) -> Result<T, ConsumerError>,
    ) -> Result<T, ConsumerError> {
        let mut core = self.core.lock();
        let changed = change(&mut core, self.clock.now_ms());
        self.after(core);
        changed
    }

    /// Answers leases.
    pub(crate) fn settle(
        &self,
        leases: &[LeaseId],
        answer: Answer<'_>,
    ) -> Result<Settled, ConsumerError> {
        self.change(|core, now_ms| {
            let (events, settled) = core.machine.settle(leases, answer, now_ms);
            core.commit(&events, [], now_ms)?;
            self.meters.parked(parked_count(&events));
            core.save_if_due(&self.store, false, now_ms)?;
            Ok(settled)
        })
    }

    /// Answers one lease.
    pub(crate) fn settle_one(
        &self,
        lease: LeaseId,
        answer: Answer<'_>,
    ) -> Result<(), ConsumerError> {
        if answer == Answer::Ack && !self.is_group {
            return self.change(|core, now_ms| {
                if !core.ack_one(lease) {
                    return Err(ConsumerError::LeaseLost { offset: lease.offset() });
                }
                core.save_if_due(&self.store, false, now_ms)
            });
        }
        match self.settle(&[lease], answer)?.lost.first() {
            None => Ok(()),
            Some(lost) => Err(ConsumerError::LeaseLost { offset: lost.offset() }),
        }
    }

    /// Gives deliveries back that no worker has looked at.
    pub(crate) fn give_back(&self, leases: &[LeaseId]) {
        if leases.is_empty() {
            return;
        }
        if let Err(error) = self.settle(leases, Answer::Return) {
            let name = self.name.as_str();
            tracing::error!(%error, name, "deliveries that were not used wait for their deadline");
        }
    }

    /// Sets a later deadline, and returns when it ends by the clock.
    pub(crate) fn extend(&self, lease: LeaseId, deadline: Duration) -> Result<u64, ConsumerError> {
        self.change(|core, now_ms| {
            self.meters.parked(core.tick(now_ms)?);
            let deadline_ms = now_ms.saturating_add(ms(deadline));
            let event = core.machine.extend(lease, deadline_ms);
            let event = event.ok_or(ConsumerError::LeaseLost { offset: lease.offset() })?;
            core.commit(&[event], [], now_ms)?;
            Ok(deadline_ms)
        })
    }

    /// Returns the next event of a consumer, if it was read already and no pause is to be looked at.
    pub(crate) fn take_next(&self) -> Option<(EventRef<'static, E>, LeaseId, u32)> {
        if self.is_group {
            return None;
        }
        let mut core = self.core.lock();
        let next = core.take_next()?;
        self.after(core);
        self.meters.delivered(next.2);
        Some(next)
    }

    /// Returns events for a worker, leased to it, up to the first for which `wants` returns false: that one and those
    /// behind it are given back. `ticket` is that of a worker that waits if no event is ready.
    pub(crate) fn pull(
        &self,
        worker: &str,
        max: u32,
        deadline: Option<Duration>,
        ticket: Option<u64>,
        mut wants: impl FnMut(&Recorded<E>) -> bool,
    ) -> Result<Pulled<E>, ConsumerError>
    where
        B: 'static,
    {
        loop {
            let (leases, mut pulled) = self.lease(cut_name(worker), max, deadline, ticket)?;
            let mut left = leases.into_iter();
            let mut skips = false;
            while let Some((lease, attempt, ahead)) = left.next() {
                let event = match ahead {
                    Some(event) => Ok(Some(event)),
                    None => self.store.get_owned(lease.offset()),
                };
                let error = match event {
                    Ok(Some(event)) if !wants(&event) => {
                        let behind = left.map(|(lease, ..)| lease);
                        self.give_back(&std::iter::once(lease).chain(behind).collect::<Vec<_>>());
                        return Ok(pulled);
                    }
                    Ok(Some(event)) => {
                        self.meters.delivered(attempt);
                        pulled.events.push((event, lease, attempt));
                        continue;
                    }
                    Ok(None) => {
                        let (name, position) = (self.name.clone(), lease.offset());
                        let head = self.store.len();
                        ConsumerError::BeyondHead { name, position, head }
                    }
                    Err(error) => error.into(),
                };
                let text = error.to_string();
                let is_broken = matches!(error, ConsumerError::Read(ReadError::Decode { .. }));
                let (answer, outcome) = match (is_broken, self.is_group) {
                    (true, true) => (Some(Answer::Nack(Nack::Park, &text)), Ok(())),
                    // A consumer returns the error once. The event holds the position until it is passed over.
                    (true, false) => (None, Err(error)),
                    (false, _) => (Some(Answer::Unread(&text)), Err(error)),
                };
                let settled = answer.map_or(Ok(()), |it| self.settle(&[lease], it).map(drop));
                if let Err(error) = settled.and(outcome) {
                    let fetched = pulled.events.iter().map(|(_, lease, _)| *lease);
                    let unused: Vec<_> = fetched.chain(left.map(|(lease, ..)| lease)).collect();
                    self.give_back(&unused);
                    return Err(error);
                }
                skips = true;
            }
            if !skips || !pulled.events.is_empty() {
                return Ok(pulled);
            }
        }
    }

    /// Leases events to a worker.
    fn lease(
        &self,
        worker: &str,
        max: u32,
        deadline: Option<Duration>,
        ticket: Option<u64>,
    ) -> Result<(Vec<Leased<E>>, Pulled<E>), ConsumerError>
    where
        B: 'static,
    {
        let mut guard = self.core.lock();
        let now_ms = self.clock.now_ms();
        let core = &mut *guard;
        self.meters.parked(core.tick(now_ms)?);
        let wanted = max.min(core.machine.room(worker));
        let mut parked = 0;
        let read = core.read_ahead(&self.store, wanted as usize, now_ms, &mut parked);
        self.meters.parked(parked);
        read?;
        let deadline_ms = deadline.map_or(core.machine.state().settings.deadline_ms, ms);
        let deadline_ms = now_ms.saturating_add(deadline_ms);
        let finds = wanted > 0 && core.machine.first_ready().is_some();
        // A random id takes a call of the system.
        let pull = if finds { core.next_pull() } else { Uuid::nil() };
        let events = core.machine.pull(worker, pull, wanted, deadline_ms);
        if events.is_empty() {
            core.save_if_due(&self.store, true, now_ms)?;
        } else if core.can_park() {
            core.lock.check()?;
        }
        core.commit(&events, [], now_ms)?;
        let (state, reader) = (core.machine.state(), &mut core.reader);
        let epoch = state.epoch;
        let lease = |&offset: &u64| {
            let attempts = state.entry(offset).map_or(0, |entry| entry.attempts);
            (LeaseId { epoch, pull, offset }, attempts, reader.take(offset))
        };
        let leases: Vec<_> = events.iter().flat_map(GroupEvent::offsets).map(lease).collect();
        let can_read = wanted > 0 && core.machine.room_ahead() > 0;
        let pulled = Pulled {
            events: Vec::with_capacity(leases.len()),
            deadline_ms,
            beyond: can_read.then_some(state.read),
            is_idle: core.is_idle(),
            until_ms: core.next_time(),
        };
        match ticket {
            Some(ticket) if leases.is_empty() => {
                self.waiting.note(ticket, pulled.until_ms, can_read);
            }
            Some(ticket) => drop(self.waiting.remove(ticket)),
            None => {}
        }
        self.after(guard);
        Ok((leases, pulled))
    }

    /// Reports the state, releases the lock, and wakes the workers that have something to do.
    pub(crate) fn after(&self, core: MutexGuard<'_, Core<E>>) {
        let (machine, head) = (&core.machine, self.store.len());
        let state = machine.state();
        self.meters.parked.report(state.parked.len() as u64);
        self.meters.in_flight.report(machine.held());
        self.meters.lag.report(head.saturating_sub(state.position()));
        if self.waiting.is_empty() {
            return;
        }
        if core.is_idle() && self.store.backend().head().is_closed() {
            drop(core);
            return self.wake_all();
        }
        let reads = machine.room_ahead() > 0;
        let can_work = |worker: &str| machine.room(worker) > 0;
        let wakers = self.waiting.take(machine.ready_count(), reads, core.next_time(), can_work);
        drop(core);
        wakers.into_iter().for_each(wake);
    }

    /// Wakes all waiting workers.
    pub(crate) fn wake_all(&self) {
        self.waiting.take_all().into_iter().for_each(wake);
    }
}

impl<E: Event, B: Backend<E>> Drop for Shared<E, B> {
    fn drop(&mut self) {
        let now_ms = self.clock.now_ms();
        if let Err(error) = self.core.get_mut().save(&self.store, now_ms) {
            let name = self.name.as_str();
            tracing::error!(%error, name, "the last changes are not durable; some events are delivered again");
        }
    }
}

/// Returns the beginning of a worker's name.
pub(crate) fn cut_name(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// A handle to what is shared.
pub(crate) type Handle<E, B> = Arc<Shared<E, B>>;
