//! An event that a group leased to a worker, to be answered.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use annals::{Backend, Event, EventRef, ReadError, Recorded};

use super::group::{Group, Leased};
use super::lease::LeaseId;
use super::machine::{Answer, Nack};
use crate::error::ConsumerError;

/// An event that a [`Group`] leased to a worker. Use it like a `&Recorded<E>`, and answer it: [`ack`](Self::ack) when
/// it is handled, [`nack`](Self::nack) when it is not.
///
/// A delivery that is dropped without an answer, for example by a `?` or a panic, is answered with
/// [`Nack::Retry`]. To answer it later by its lease, take that with [`into_lease`](Self::into_lease).
#[must_use = "an event that is not acknowledged is delivered again"]
pub struct GroupDelivery<'g, E: Event, B: Backend<E>> {
    group: &'g Group<E, B>,
    event: EventRef<'g, E>,
    lease: LeaseId,
    attempt: u32,
    answered: bool,
}

/// What a pull found.
pub(super) struct Pulled<'g, E: Event, B: Backend<E>> {
    pub(super) deliveries: Vec<GroupDelivery<'g, E, B>>,
    /// The offset beyond which the log must grow for more events. `None`: more events would not help.
    pub(super) beyond: Option<u64>,
    /// Whether nothing is left to do below `beyond`.
    pub(super) is_idle: bool,
}

impl<E: Event, B: Backend<E>> Group<E, B> {
    /// Returns at most `max` deliveries for a worker, without waiting. `deadline` is the time until they are delivered
    /// again; `None` is that of the settings.
    ///
    /// # Errors
    /// [`ConsumerError::Read`] if the log cannot be read, [`ConsumerError::StateLogNotWritten`] if the state log cannot
    /// be written. Nothing is delivered then.
    pub fn pull(
        &self,
        worker: &str,
        max: u32,
        deadline: Option<Duration>,
    ) -> Result<Vec<GroupDelivery<'_, E, B>>, ConsumerError> {
        Ok(self.pull_as(worker, max, deadline)?.deliveries)
    }

    pub(super) fn pull_as(
        &self,
        worker: &str,
        max: u32,
        deadline: Option<Duration>,
    ) -> Result<Pulled<'_, E, B>, ConsumerError> {
        let shared = &*self.shared;
        loop {
            let Leased { leases, beyond, is_idle } = shared.lease(worker, max, deadline)?;
            let mut deliveries = Vec::with_capacity(leases.len());
            let mut unreadable = false;
            let mut leases = leases.into_iter();
            while let Some((lease, attempt)) = leases.next() {
                match shared.store.get(lease.offset()) {
                    Ok(Some(event)) => {
                        shared.meters.delivered(attempt);
                        deliveries.push(GroupDelivery::new(self, event, lease, attempt));
                    }
                    Ok(None) => {
                        unreadable = true;
                        self.nack(&[lease], Nack::Park, "the log has no such event any more")?;
                    }
                    Err(error @ ReadError::Decode { .. }) => {
                        unreadable = true;
                        self.nack(&[lease], Nack::Park, &error.to_string())?;
                    }
                    Err(error) => {
                        let unused = deliveries.into_iter().map(GroupDelivery::into_lease);
                        let unused: Vec<_> = unused.chain(leases.map(|(lease, _)| lease)).collect();
                        self.give_back(&unused);
                        self.nack(&[lease], Nack::Retry, &error.to_string())?;
                        return Err(error.into());
                    }
                }
            }
            if !unreadable || !deliveries.is_empty() {
                return Ok(Pulled { deliveries, beyond, is_idle });
            }
        }
    }
}

impl<'g, E: Event, B: Backend<E>> GroupDelivery<'g, E, B> {
    pub(crate) fn new(
        group: &'g Group<E, B>,
        event: EventRef<'g, E>,
        lease: LeaseId,
        attempt: u32,
    ) -> Self {
        Self { group, event, lease, attempt, answered: false }
    }

    /// Returns the id of the lease.
    #[must_use]
    pub fn lease(&self) -> LeaseId {
        self.lease
    }

    /// Returns the id of the lease, with which [`Group::ack`] and [`Group::nack`] answer the delivery later. If nobody
    /// does, the event is delivered again after the deadline.
    #[must_use]
    pub fn into_lease(mut self) -> LeaseId {
        self.answered = true;
        self.lease
    }

    /// Returns how often the event was delivered, this time included. A delivery that the end of a process interrupted
    /// counts as well.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Acknowledges the event: it is handled. When this returns, that survives the end of the process.
    ///
    /// # Errors
    /// [`ConsumerError::LeaseLost`] if the deadline passed and the event was delivered again: its effects may happen
    /// twice. [`ConsumerError::StateLogNotWritten`].
    pub fn ack(mut self) -> Result<(), ConsumerError> {
        self.answered = true;
        self.group.settle_one(self.lease, Answer::Ack)
    }

    /// Answers that the event was not handled, and what to do with it. The reason is kept with the event.
    ///
    /// # Errors
    /// As [`ack`](Self::ack).
    pub fn nack(mut self, nack: Nack, reason: impl AsRef<str>) -> Result<(), ConsumerError> {
        self.answered = true;
        self.group.settle_one(self.lease, Answer::Nack(nack, reason.as_ref()))
    }

    /// Sets the deadline to `deadline` from now.
    ///
    /// # Errors
    /// [`ConsumerError::LeaseLost`] if the deadline has passed, [`ConsumerError::StateLogNotWritten`].
    pub fn extend(&mut self, deadline: Duration) -> Result<(), ConsumerError> {
        self.group.extend(self.lease, deadline)
    }
}

impl<E: Event, B: Backend<E>> Deref for GroupDelivery<'_, E, B> {
    type Target = Recorded<E>;

    fn deref(&self) -> &Recorded<E> {
        &self.event
    }
}

impl<E: Event, B: Backend<E>> Drop for GroupDelivery<'_, E, B> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let answer = Answer::Nack(Nack::Retry, "the delivery was dropped without an answer");
        match self.group.settle_one(self.lease, answer) {
            Ok(()) | Err(ConsumerError::LeaseLost { .. }) => {}
            Err(error) => {
                let name = self.group.name();
                tracing::error!(%error, name, "a dropped delivery waits for its deadline");
            }
        }
    }
}

impl<E: Event + fmt::Debug, B: Backend<E>> fmt::Debug for GroupDelivery<'_, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupDelivery")
            .field("event", &self.event)
            .field("lease", &self.lease)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
