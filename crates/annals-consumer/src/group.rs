//! The group: what its workers share. Calls on leases, for workers in this process and, by a server, on other machines.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use annals::{Backend, Event, EventStore};
use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use super::core::{Core, Source, parked_count};
use super::event::GroupEvent;
use super::lease::LeaseId;
use super::machine::{Answer, Nack, Settled};
use super::settings::GroupSettings;
use super::state::{GroupState, Status};
use crate::clock::{Clock, ms};
use crate::error::ConsumerError;
use crate::meters::Meters;
use crate::place::lock::NameLock;
use crate::wake::{Timer, Waiting};

/// Workers that share the events of a query: threads, tasks or, through a server, other processes.
///
/// * **At least once.** An event is delivered until a worker acknowledges it, skips it, or it is parked.
/// * **In order for each key.** The key of an event is its tag with a given prefix
///   ([`GroupBuilder::key`](crate::GroupBuilder::key)). Events of one key are delivered in the order of the log, one at
///   a time. Events of different keys, and events without a key, are delivered in parallel.
/// * **A delivery is a lease.** If it is not answered before its deadline, the event is delivered again.
/// * **A failed delivery is repeated** after a pause that doubles. After the last attempt the event is parked: it is
///   kept for an operator, who replays or drops it, and the events behind it go on.
/// * **The state survives the process:** position, leases, attempts and parked events. It is an annals log of its own
///   beside the store.
/// * **One process runs a group.** A second one that opens it is refused while the first has it open.
///
/// ```
/// use annals::{EventStore, Query, RawEvent};
/// use annals_consumer::Consumers as _;
///
/// let store = EventStore::in_memory();
/// for order in [1, 2, 1, 3] {
///     let tag = format!("order:{order}");
///     store.append(RawEvent::builder("order-changed").tag(tag).build()?)?;
/// }
/// store.close()?; // so that the workers end
///
/// let group = store.group("billing").query(Query::event_type("order-changed")).key("order:").open()?;
/// std::thread::scope(|scope| {
///     for name in ["worker-1", "worker-2"] {
///         let group = &group;
///         scope.spawn(move || {
///             for delivery in group.worker(name) {
///                 let delivery = delivery.expect("the log is readable");
///                 // work
///                 delivery.ack().expect("the lease is not lost");
///             }
///         });
///     }
/// });
/// assert_eq!(group.status().position, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Clones are handles to the same group. The group is released when the last one is dropped.
pub struct Group<E: Event, B: Backend<E>> {
    pub(super) shared: Arc<Shared<E, B>>,
}

/// What the handles of a group share.
pub(super) struct Shared<E: Event, B: Backend<E>> {
    pub(super) store: EventStore<E, B>,
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) core: Mutex<Core>,
    pub(super) waiting: Waiting,
    pub(super) stopped: AtomicBool,
    pub(super) clock: Clock,
    pub(super) timer: Timer,
    pub(super) meters: Meters,
    pub(super) _lock: NameLock,
}

/// The state of a group or consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupStatus {
    /// Every event of the query below it is handled or parked.
    pub position: u64,
    /// The number of events between the position and the head, whether or not they match the query.
    pub lag: u64,
    /// The number of events that are with workers.
    pub in_flight: u64,
    /// The number of events that wait for their next attempt after a failed one.
    pub retrying: u64,
    /// The number of parked events.
    pub parked: u64,
}

/// A parked event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedEvent {
    /// The offset of the event.
    pub offset: u64,
    /// The number of deliveries before it was parked.
    pub attempts: u32,
    /// The time when it was parked, in ms since 1970 UTC.
    pub at_ms: u64,
    /// The reason: that of the worker, or what the group found.
    pub reason: String,
}

/// What a pull found.
#[derive(Debug)]
pub(super) struct Leased {
    /// The leases and the numbers of the attempts.
    pub(super) leases: Vec<(LeaseId, u32)>,
    /// The offset beyond which the log must grow for more events. `None`: more events would not help.
    pub(super) beyond: Option<u64>,
    /// Whether nothing is left to do below `beyond`.
    pub(super) is_idle: bool,
}

impl<E: Event, B: Backend<E>> Group<E, B> {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> GroupSettings {
        self.shared.core.lock().machine.state().settings.clone()
    }

    /// Returns the store whose events the group delivers.
    #[must_use]
    pub fn store(&self) -> &EventStore<E, B> {
        &self.shared.store
    }

    /// Acknowledges deliveries by their leases: their events are handled. When this returns, that survives the end of
    /// the process. Leases that were answered before count as done, so a call can be repeated. A lease whose deadline
    /// has passed counts unless the event was delivered again or parked.
    ///
    /// # Errors
    /// [`ConsumerError::StateLogNotWritten`]; no lease is answered then.
    pub fn ack(&self, leases: &[LeaseId]) -> Result<Settled, ConsumerError> {
        self.settle(leases, Answer::Ack)
    }

    /// Answers deliveries that were not handled, as [`ack`](Self::ack) does. The state log keeps the first 1,000 bytes
    /// of the reason.
    ///
    /// # Errors
    /// [`ConsumerError::StateLogNotWritten`]; no lease is answered then.
    pub fn nack(
        &self,
        leases: &[LeaseId],
        nack: Nack,
        reason: &str,
    ) -> Result<Settled, ConsumerError> {
        self.settle(leases, Answer::Nack(nack, reason))
    }

    /// Gives a delivery more time: its deadline is `deadline` from now.
    ///
    /// # Errors
    /// [`ConsumerError::LeaseLost`] if its deadline has passed or it was answered,
    /// [`ConsumerError::StateLogNotWritten`].
    pub fn extend(&self, lease: LeaseId, deadline: Duration) -> Result<(), ConsumerError> {
        let now_ms = self.shared.clock.now_ms();
        let mut core = self.shared.core.lock();
        self.shared.tick(&mut core, now_ms)?;
        let event = core.machine.extend(lease, now_ms.saturating_add(ms(deadline)));
        let event = event.ok_or(ConsumerError::LeaseLost { offset: lease.offset() })?;
        core.commit(&[event], [])?;
        self.shared.after(core);
        Ok(())
    }

    /// Returns the position and the counts, and reports them to the recorder of metrics.
    #[must_use]
    pub fn status(&self) -> GroupStatus {
        let core = self.shared.core.lock();
        let status = GroupStatus::of(core.machine.state(), self.shared.store.len());
        drop(core);
        let meters = &self.shared.meters;
        meters.lag.report(status.lag);
        meters.in_flight.report(status.in_flight);
        meters.parked.report(status.parked);
        status
    }

    /// Ends the workers of this process: each returns `None` from now on. Deliveries that they have stay valid.
    pub fn stop(&self) {
        // Release: pairs with the load in `is_stopped`.
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.wake_all();
    }

    /// Returns whether [`stop`](Self::stop) was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        // Acquire: pairs with the store in `stop`.
        self.shared.stopped.load(Ordering::Acquire)
    }

    /// Gives deliveries back that no worker has looked at.
    pub(super) fn give_back(&self, leases: &[LeaseId]) {
        if leases.is_empty() {
            return;
        }
        if let Err(error) = self.settle(leases, Answer::Return) {
            let name = self.name();
            tracing::error!(%error, name, "deliveries that were not used wait for their deadline");
        }
    }

    fn settle(&self, leases: &[LeaseId], answer: Answer<'_>) -> Result<Settled, ConsumerError> {
        let now_ms = self.shared.clock.now_ms();
        let mut core = self.shared.core.lock();
        let (events, settled) = core.machine.settle(leases, answer, now_ms);
        core.commit(&events, [])?;
        self.shared.meters.parked(parked_count(&events));
        self.shared.after(core);
        Ok(settled)
    }

    /// Answers one lease.
    pub(super) fn settle_one(
        &self,
        lease: LeaseId,
        answer: Answer<'_>,
    ) -> Result<(), ConsumerError> {
        match self.settle(&[lease], answer)?.lost.first() {
            None => Ok(()),
            Some(lost) => Err(ConsumerError::LeaseLost { offset: lost.offset() }),
        }
    }
}

impl<E: Event, B: Backend<E>> Shared<E, B> {
    /// Decides on deadlines and pauses that have ended.
    pub(super) fn tick(&self, core: &mut Core, now_ms: u64) -> Result<(), ConsumerError> {
        self.meters.parked(core.tick(now_ms)?);
        Ok(())
    }

    /// Leases events to a worker.
    pub(super) fn lease(
        &self,
        worker: &str,
        max: u32,
        deadline: Option<Duration>,
    ) -> Result<Leased, ConsumerError> {
        let now_ms = self.clock.now_ms();
        let mut core = self.core.lock();
        self.tick(&mut core, now_ms)?;
        let wanted = max.min(core.machine.room(worker));
        self.meters.parked(core.read_ahead(&self.store, &self.source, wanted as usize, now_ms)?);
        let deadline_ms = deadline.map_or(core.machine.state().settings.deadline_ms, ms);
        let pull = Uuid::new_v4();
        let events = core.machine.pull(worker, pull, wanted, now_ms.saturating_add(deadline_ms));
        core.commit(&events, [])?;
        let state = core.machine.state();
        let epoch = state.epoch;
        let offsets = events.iter().flat_map(GroupEvent::offsets);
        let lease = |&offset: &u64| {
            let attempts = state.entry(offset).map_or(0, |entry| entry.attempts);
            (LeaseId { epoch, pull, offset }, attempts)
        };
        let leases: Vec<_> = offsets.map(lease).collect();
        let can_read = wanted > 0 && core.machine.room_ahead() > 0;
        let beyond = can_read.then_some(state.read);
        let is_idle = state.window.is_empty() && state.replays.is_empty();
        self.meters.lag.report(self.store.len().saturating_sub(state.position()));
        self.meters.parked.report(state.parked.len() as u64);
        // Without a lease, no event is ready or this worker has no room. A worker that waits for a time wakes by itself.
        if !leases.is_empty() {
            self.after(core);
        }
        Ok(Leased { leases, beyond, is_idle })
    }

    /// Releases the lock of the core, and wakes the workers that have something to do.
    pub(super) fn after(&self, core: MutexGuard<'_, Core>) {
        self.meters.parked.report(core.machine.state().parked.len() as u64);
        self.meters.in_flight.report(core.machine.held());
        let lag = self.store.len().saturating_sub(core.machine.state().position());
        self.meters.lag.report(lag);
        let state = core.machine.state();
        let is_done = state.window.is_empty() && state.replays.is_empty();
        if is_done && self.store.backend().head().is_closed() {
            drop(core);
            return self.wake_all();
        }
        let ready = core.machine.ready_count();
        let wakers = self.waiting.take(ready, |worker| core.machine.room(worker) > 0);
        drop(core);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes all waiting workers.
    pub(super) fn wake_all(&self) {
        self.waiting.take(usize::MAX, |_| true).into_iter().for_each(Waker::wake);
    }
}

impl GroupStatus {
    pub(crate) fn of(state: &GroupState, head: u64) -> Self {
        let retrying = |(_, entry): &(u64, &super::state::Entry)| {
            entry.attempts > 0 && !matches!(entry.status, Status::Leased { .. })
        };
        Self {
            position: state.position(),
            lag: head.saturating_sub(state.position()),
            in_flight: state.in_flight(),
            retrying: state.entries().filter(retrying).count() as u64,
            parked: state.parked.len() as u64,
        }
    }
}

impl<E: Event, B: Backend<E>> Drop for Shared<E, B> {
    fn drop(&mut self) {
        if let Err(error) = self.core.get_mut().close(&self.store) {
            let name = self.name.as_str();
            tracing::error!(%error, name, "the state log of a group was not synced");
        }
    }
}

impl<E: Event, B: Backend<E>> Clone for Group<E, B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<E: Event, B: Backend<E>> fmt::Debug for Group<E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
