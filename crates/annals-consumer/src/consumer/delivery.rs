//! An event that a consumer returned, to be acknowledged.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use annals::{Backend, Event, EventRef, Recorded};

use super::tracker::Shared;
use crate::error::ConsumerError;

/// An event that a [`Consumer`](crate::Consumer) returned. Use it like a `&Recorded<E>`, and call [`ack`](Self::ack)
/// when it is handled.
///
/// A delivery that is dropped without `ack`, for example by a `?` or a panic, is delivered again: by the running
/// consumer after a pause, and after a restart.
#[must_use = "an event that is not acknowledged is delivered again"]
pub struct Delivery<'a, E: Event, B: Backend<E>> {
    event: EventRef<'a, E>,
    attempt: u32,
    /// `None` once it is acknowledged.
    shared: Option<Arc<Shared<'a, E, B>>>,
}

impl<'a, E: Event, B: Backend<E>> Delivery<'a, E, B> {
    pub(crate) fn new(event: EventRef<'a, E>, attempt: u32, shared: Arc<Shared<'a, E, B>>) -> Self {
        Self { event, attempt, shared: Some(shared) }
    }

    /// Acknowledges the event: it is handled, and is not delivered again once the position is saved.
    ///
    /// Positions are saved in batches. [`ConsumerBuilder::save_every`](crate::ConsumerBuilder::save_every) says when.
    ///
    /// # Errors
    /// [`ConsumerError::Position`] if it was time to save the position, and that failed. The event counts as handled
    /// while the consumer runs.
    pub fn ack(mut self) -> Result<(), ConsumerError> {
        let offset = self.event.offset;
        self.shared.take().map_or(Ok(()), |shared| shared.ack(offset))
    }
}

impl<E: Event, B: Backend<E>> Delivery<'_, E, B> {
    /// Returns how often this consumer has delivered the event, this time included, since it was started.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl<E: Event, B: Backend<E>> Deref for Delivery<'_, E, B> {
    type Target = Recorded<E>;

    fn deref(&self) -> &Recorded<E> {
        &self.event
    }
}

impl<E: Event, B: Backend<E>> Drop for Delivery<'_, E, B> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.give_back(self.event.offset);
        }
    }
}

impl<E: Event + fmt::Debug, B: Backend<E>> fmt::Debug for Delivery<'_, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("event", &self.event)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
