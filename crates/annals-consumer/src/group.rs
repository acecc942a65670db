//! The group: workers that share the events of a query, and the calls on leases, for workers on other machines.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annals::{Backend, Event, EventStore, Recorded};

use crate::delivery::Delivery;
use crate::engine::answer::{Answer, Nack, ParkedEvents, Settled};
use crate::engine::core::reset_to;
use crate::engine::entry::{Entry, Parked, Status};
use crate::engine::lease_id::LeaseId;
use crate::engine::settings::GroupSettings;
use crate::engine::shared::Handle;
use crate::engine::state::GroupState;
use crate::error::ConsumerError;
use crate::worker::Worker;

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
/// Clones are handles to the same group. Its workers and deliveries are handles too. The group is released when the
/// last one is dropped.
pub struct Group<E: Event, B: Backend<E>> {
    pub(crate) shared: Handle<E, B>,
}

/// The state of a group.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_consumer::{Consumers as _, GroupStatus};
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("order-placed").build()?)?;
/// let group = store.group("billing").open()?;
/// let held = group.pull("a", 1, None)?;
/// let GroupStatus { position, lag, in_flight, .. } = group.status();
/// assert_eq!((position, lag, in_flight), (0, 1, 1));
/// # drop(held);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_consumer::{Consumers as _, Nack, ParkedEvent, ParkedEvents};
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("order-placed").build()?)?;
/// let group = store.group("billing").open()?;
/// group.pull("a", 1, None)?.remove(0).nack(Nack::Park, "no such customer")?;
/// for ParkedEvent { offset, reason, .. } in group.parked(0, 100) {
///     println!("event {offset}: {reason}");
///     group.replay_parked(ParkedEvents::At(&[offset]))?; // or drop_parked
/// }
/// assert_eq!(group.status().parked, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

    /// Returns a worker, which waits for deliveries. The name is used for its limit of events in flight: workers of one
    /// name share it. A name has at most 255 bytes; more are cut off.
    pub fn worker(&self, name: impl AsRef<str>) -> Worker<E, B> {
        Worker::new(&self.shared, name.as_ref())
    }

    /// Returns at most `max` deliveries for a worker, without waiting. `deadline` is the time from now until they are
    /// delivered again; `None` is that of the settings. [`Delivery::time_left`] returns what is left of it.
    ///
    /// With the ids of the leases, workers may be on other machines:
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use annals::{EventStore, RawEvent};
    /// use annals_consumer::{Consumers as _, Delivery, LeaseId, Nack, Settled};
    ///
    /// let store = EventStore::in_memory();
    /// store.append_batch([1, 2].map(|_| RawEvent::builder("order-placed").build().expect("it is valid")))?;
    /// let group = store.group("billing").keep_leases().open()?;
    /// let deliveries = group.pull("far-away", 10, Some(Duration::from_secs(60)))?;
    /// let ids: Vec<String> = deliveries.into_iter().map(|delivery| delivery.into_lease().to_string()).collect();
    ///
    /// // The worker asks for more time, and sends its answers.
    /// let leases: Vec<LeaseId> = ids.iter().map(|id| id.parse()).collect::<Result<_, _>>()?;
    /// group.extend(leases[0], Duration::from_secs(600))?;
    /// let Settled { done, lost, .. } = group.ack(&leases[..1])?;
    /// assert_eq!((done.len(), lost.len()), (1, 0));
    /// group.nack(&leases[1..], Nack::Skip, "a test order")?;
    /// assert_eq!(group.status().position, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ConsumerError::Read`] if the log cannot be read, [`ConsumerError::StateLogNotWritten`] if the state log cannot
    /// be written, [`ConsumerError::LockRemoved`]. Nothing is delivered then.
    pub fn pull(
        &self,
        worker: &str,
        max: u32,
        deadline: Option<Duration>,
    ) -> Result<Vec<Delivery<E, B>>, ConsumerError>
    where
        B: 'static,
    {
        self.pull_while(worker, max, deadline, |_| true)
    }

    /// Returns deliveries as [`pull`](Self::pull) does, up to the first event for which `wants` returns false. That
    /// event and those behind it are given back, and this was no attempt for them. `wants` is called with each event in
    /// turn. So it can limit what is in memory at once, since a payload may have 16 MiB:
    ///
    /// ```
    /// use annals::{EventStore, RawEvent, Recorded};
    /// use annals_consumer::Consumers as _;
    ///
    /// let store = EventStore::in_memory();
    /// for bytes in [10, 600, 600, 10] {
    ///     store.append(RawEvent::builder("scanned").data(vec![b' '; bytes]).build()?)?;
    /// }
    /// let group = store.group("archive").open()?;
    /// let (mut room, mut is_first) = (1_000, true);
    /// let fits = |event: &Recorded<RawEvent>| {
    ///     let bytes = event.event.body().len();
    ///     let fits = std::mem::take(&mut is_first) || bytes <= room; // the first may be larger
    ///     room = room.saturating_sub(bytes);
    ///     fits
    /// };
    /// let deliveries = group.pull_while("a", 100, None, fits)?;
    /// assert_eq!(deliveries.iter().map(|delivery| delivery.offset).collect::<Vec<_>>(), [0, 1]);
    /// assert_eq!(group.status().in_flight, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    pub fn pull_while(
        &self,
        worker: &str,
        max: u32,
        deadline: Option<Duration>,
        wants: impl FnMut(&Recorded<E>) -> bool,
    ) -> Result<Vec<Delivery<E, B>>, ConsumerError>
    where
        B: 'static,
    {
        let pulled = self.shared.pull(worker, max, deadline, None, wants)?;
        Ok(Delivery::all(&self.shared, pulled.events, pulled.deadline_ms).collect())
    }

    /// Acknowledges deliveries by their leases: their events are handled. When this returns, that survives the end of
    /// the process. Leases that were answered before count as done, so a call can be repeated. A lease whose deadline
    /// has passed counts unless the event was delivered again or parked.
    ///
    /// # Errors
    /// [`ConsumerError::StateLogNotWritten`]; no lease is answered then.
    pub fn ack(&self, leases: &[LeaseId]) -> Result<Settled, ConsumerError> {
        self.shared.settle(leases, Answer::Ack)
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
        self.shared.settle(leases, Answer::Nack(nack, reason))
    }

    /// Gives a delivery more time: its deadline is `deadline` from now.
    ///
    /// # Errors
    /// [`ConsumerError::LeaseLost`] if its deadline has passed or it was answered,
    /// [`ConsumerError::StateLogNotWritten`].
    pub fn extend(&self, lease: LeaseId, deadline: Duration) -> Result<(), ConsumerError> {
        self.shared.extend(lease, deadline).map(drop)
    }

    /// Returns the position and the counts, and reports them to the recorder of metrics.
    #[must_use]
    pub fn status(&self) -> GroupStatus {
        let core = self.shared.core.lock();
        let status = GroupStatus::of(core.machine.state(), self.shared.store.len());
        self.shared.after(core);
        status
    }

    /// Ends the workers of this process: each returns `None` from now on. Deliveries that they have stay valid.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Returns whether [`stop`](Self::stop) was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.is_stopped()
    }

    /// Returns the parked events in order, at most `limit`, from offset `from` on.
    #[must_use]
    pub fn parked(&self, from: u64, limit: usize) -> Vec<ParkedEvent> {
        ParkedEvent::list(self.shared.core.lock().machine.state(), from, limit)
    }

    /// Delivers parked events again, with all their attempts. Returns their number.
    ///
    /// Each is delivered before the waiting events of its keys that have higher offsets. They do not move the position.
    ///
    /// # Errors
    /// [`ConsumerError::NotParked`] if one of the offsets has no parked event; nothing is replayed then.
    /// [`ConsumerError::StateLogNotWritten`], [`ConsumerError::Read`].
    pub fn replay_parked(&self, which: ParkedEvents<'_>) -> Result<u64, ConsumerError> {
        self.unpark(which, true)
    }

    /// Drops parked events: they count as handled. Returns their number.
    ///
    /// # Errors
    /// As [`replay_parked`](Self::replay_parked).
    pub fn drop_parked(&self, which: ParkedEvents<'_>) -> Result<u64, ConsumerError> {
        self.unpark(which, false)
    }

    /// Continues at offset `to`: the events of the query from there on are delivered, whether or not they were before.
    /// Every lease is lost, and parked events from `to` on are not parked any more.
    ///
    /// # Errors
    /// [`ConsumerError::ResetBeyondHead`], [`ConsumerError::StateLogNotWritten`].
    pub fn reset(&self, to: u64) -> Result<(), ConsumerError> {
        let shared = &self.shared;
        shared.change(|core, now_ms| core.commit(&[reset_to(&shared.store, to)?], [], now_ms))?;
        shared.wake_all();
        Ok(())
    }

    fn unpark(&self, which: ParkedEvents<'_>, replays: bool) -> Result<u64, ConsumerError> {
        let shared = &self.shared;
        shared.change(|core, now_ms| core.unpark(&shared.store, which, replays, now_ms))
    }
}

impl GroupStatus {
    pub(crate) fn of(state: &GroupState, head: u64) -> Self {
        let retrying = |(_, entry): &(u64, &Entry)| {
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

impl ParkedEvent {
    /// Returns the parked events of a state.
    pub(crate) fn list(state: &GroupState, from: u64, limit: usize) -> Vec<Self> {
        let event = |(&offset, parked): (&u64, &Parked)| {
            let Parked { attempts, at_ms, reason } = parked.clone();
            Self { offset, attempts, at_ms, reason }
        };
        state.parked.range(from..).take(limit).map(event).collect()
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
