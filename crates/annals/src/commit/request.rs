//! A batch on its way.

use std::sync::Arc;

use super::room::event_bytes;
use super::ticket::Ticket;
use crate::backend::Batch;
use crate::encode::Encoded;
use crate::{Condition, Event};

/// A batch on its way, and the ticket of the caller that waits for it.
pub(super) struct Request<E> {
    pub(super) events: Vec<E>,
    pub(super) batch: Encoded,
    pub(super) condition: Option<Condition>,
    pub(super) time_ms: Option<u64>,
    pub(super) allow_future_time: bool,
    pub(super) ticket: Option<Arc<Ticket>>,
    /// The bytes that an asynchronous batch is known to hold; 0 for the others.
    pub(super) bytes: usize,
}

impl<E: Event> Request<E> {
    pub(super) fn new(batch: Batch<E>, encoded: Encoded) -> Self {
        let Batch { events, condition, time_ms, allow_future_time } = batch;
        let batch = encoded;
        Self { events, batch, condition, time_ms, allow_future_time, ticket: None, bytes: 0 }
    }

    /// Computes how many bytes it holds.
    pub(super) fn measure(&mut self) {
        let events: usize = self.events.iter().map(event_bytes).sum();
        self.bytes = size_of::<Self>() + size_of::<Ticket>() + events + self.batch.held_bytes();
    }
}
