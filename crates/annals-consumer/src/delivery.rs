//! An event that a worker got, to be answered.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use annals::{Backend, Event, EventRef, Recorded};

use crate::engine::answer::{Answer, Nack};
use crate::engine::lease_id::LeaseId;
use crate::engine::shared::Handle;
use crate::error::ConsumerError;

/// An event that a [`Group`](crate::Group) leased to a worker, or that a [`Consumer`](crate::Consumer) returned. Use it
/// like a `&Recorded<E>`, and answer it: [`ack`](Self::ack) when it is handled, [`nack`](Self::nack) when it is not.
///
/// A delivery that is dropped without an answer, for example by a `?` or a panic, is answered with
/// [`Nack::Retry`]. To answer it later by its lease, take that with [`into_lease`](Self::into_lease).
///
/// It is `'static` and `Send`: a thread or a task may own it. It keeps the group or consumer running, and its log open.
///
/// ```
/// use std::time::Duration;
///
/// use annals::{EventStore, RawEvent};
/// use annals_consumer::{Consumers as _, Nack};
///
/// let store = EventStore::in_memory();
/// store.append_batch([1, 2, 3].map(|_| RawEvent::builder("order-placed").build().expect("it is valid")))?;
/// let group = store.group("billing").open()?;
/// let mut worker = group.worker("a");
///
/// let mut slow = worker.next().expect("the store is open")?;
/// slow.extend(Duration::from_secs(300))?; // the work takes longer than the deadline of the group
/// slow.ack()?;
///
/// let failed = worker.next().expect("the store is open")?;
/// assert_eq!((failed.offset, failed.attempt()), (1, 1));
/// failed.nack(Nack::Retry, "the bank does not answer")?;
///
/// let lease = worker.next().expect("the store is open")?.into_lease(); // answered later, by its id
/// assert_eq!(group.ack(&[lease])?.done, [lease]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "an event that is not acknowledged is delivered again"]
pub struct Delivery<E: Event, B: Backend<E>> {
    shared: Handle<E, B>,
    event: EventRef<'static, E>,
    lease: LeaseId,
    attempt: u32,
    /// When the deadline ends, by the clock of the group.
    deadline_ms: u64,
    answered: bool,
}

/// An event that was leased, its lease, and how often it was delivered.
type Leased<E> = (EventRef<'static, E>, LeaseId, u32);

impl<E: Event, B: Backend<E>> Delivery<E, B> {
    pub(crate) fn new(
        shared: &Handle<E, B>,
        event: EventRef<'static, E>,
        lease: LeaseId,
        attempt: u32,
        deadline_ms: u64,
    ) -> Self {
        Self { shared: Arc::clone(shared), event, lease, attempt, deadline_ms, answered: false }
    }

    /// Returns the deliveries of a pull.
    pub(crate) fn all(
        shared: &Handle<E, B>,
        events: Vec<Leased<E>>,
        deadline_ms: u64,
    ) -> impl Iterator<Item = Self> {
        events.into_iter().map(move |(event, lease, attempt)| {
            Self::new(shared, event, lease, attempt, deadline_ms)
        })
    }

    /// Returns the id of the lease.
    #[must_use]
    pub fn lease(&self) -> LeaseId {
        self.lease
    }

    /// Returns the id of the lease, with which [`Group::ack`](crate::Group::ack) and
    /// [`Group::nack`](crate::Group::nack) answer the delivery later. Without an answer, the event of a group is
    /// delivered again after the deadline, and that of a consumer after a restart.
    #[must_use]
    pub fn into_lease(mut self) -> LeaseId {
        self.answered = true;
        self.lease
    }

    /// Returns how often the event was delivered, this time included. For a group, a delivery that the end of a process
    /// interrupted counts as well. A consumer counts since it was started.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns the time that is left until the deadline: 0 if it has passed, `None` for a delivery of a consumer, which
    /// has no deadline. A later deadline that [`Group::extend`](crate::Group::extend) set by the lease does not count.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use annals::{EventStore, RawEvent};
    /// use annals_consumer::Consumers as _;
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("order-placed").build()?)?;
    /// let group = store.group("billing").open()?;
    /// let mut delivery = group.pull("a", 1, Some(Duration::from_secs(60)))?.remove(0);
    /// if delivery.time_left().is_some_and(|left| left < Duration::from_secs(300)) {
    ///     delivery.extend(Duration::from_secs(600))?; // the work takes five minutes
    /// }
    /// assert!(delivery.time_left() <= Some(Duration::from_secs(600)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let left_ms = self.deadline_ms.saturating_sub(self.shared.clock.now_ms());
        self.shared.is_group.then(|| Duration::from_millis(left_ms))
    }

    /// Acknowledges the event: it is handled. For a group, that survives the end of the process when this returns. A
    /// consumer saves its position in batches; [`ConsumerBuilder::save_every`](crate::ConsumerBuilder::save_every) says
    /// when.
    ///
    /// # Errors
    /// [`ConsumerError::Position`] if it was time to save the position of a consumer, and that failed. The event counts
    /// as handled while the consumer runs.
    /// [`ConsumerError::LeaseLost`] if the deadline passed and the event was delivered again: its effects may happen
    /// twice. [`ConsumerError::StateLogNotWritten`].
    pub fn ack(mut self) -> Result<(), ConsumerError> {
        self.answered = true;
        self.shared.settle_one(self.lease, Answer::Ack)
    }

    /// Answers that the event was not handled, and what to do with it. A group keeps the reason with the event.
    ///
    /// # Errors
    /// As [`ack`](Self::ack), and [`ConsumerError::CannotPark`] for [`Nack::Park`] to a consumer, which has no storage
    /// for parked events. The event is delivered again then.
    pub fn nack(mut self, nack: Nack, reason: impl AsRef<str>) -> Result<(), ConsumerError> {
        if nack == Nack::Park && !self.shared.is_group {
            return Err(ConsumerError::CannotPark { name: self.shared.name.clone() });
        }
        self.answered = true;
        self.shared.settle_one(self.lease, Answer::Nack(nack, reason.as_ref()))
    }

    /// Gives the event back unused: it is delivered again at once, and this delivery does not count as an attempt.
    ///
    /// ```
    /// use annals::{EventStore, RawEvent};
    /// use annals_consumer::Consumers as _;
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("order-placed").build()?)?;
    /// let group = store.group("billing").open()?;
    /// group.pull("a", 1, None)?.remove(0).give_back();
    /// assert_eq!(group.pull("b", 1, None)?[0].attempt(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn give_back(mut self) {
        self.answered = true;
        self.shared.give_back(&[self.lease]);
    }

    /// Sets the deadline to `deadline` from now. A delivery of a consumer has none, and gets none.
    ///
    /// # Errors
    /// [`ConsumerError::LeaseLost`] if the deadline has passed, [`ConsumerError::StateLogNotWritten`].
    pub fn extend(&mut self, deadline: Duration) -> Result<(), ConsumerError> {
        if !self.shared.is_group {
            return Ok(());
        }
        self.deadline_ms = self.shared.extend(self.lease, deadline)?;
        Ok(())
    }
}

impl<E: Event, B: Backend<E>> Deref for Delivery<E, B> {
    type Target = Recorded<E>;

    fn deref(&self) -> &Recorded<E> {
        &self.event
    }
}

impl<E: Event, B: Backend<E>> Drop for Delivery<E, B> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let answer = Answer::Nack(Nack::Retry, "the delivery was dropped without an answer");
        match self.shared.settle_one(self.lease, answer) {
            Ok(()) | Err(ConsumerError::LeaseLost { .. }) => {}
            Err(error) => {
                let name = self.shared.name.as_str();
                tracing::error!(%error, name, "a dropped delivery waits for its deadline");
            }
        }
    }
}

impl<E: Event + fmt::Debug, B: Backend<E>> fmt::Debug for Delivery<E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("event", &self.event)
            .field("lease", &self.lease)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
