//! A batch on its way.

use std::sync::Arc;

use super::ticket::Ticket;
use crate::Condition;
use crate::backend::Batch;
use crate::encode::Encoded;

/// A batch on its way, and who waits for it.
pub(super) struct Request<E> {
    pub(super) events: Vec<E>,
    pub(super) batch: Encoded,
    pub(super) condition: Option<Condition>,
    pub(super) time_ms: Option<u64>,
    pub(super) ticket: Option<Arc<Ticket>>,
}

impl<E> Request<E> {
    pub(super) fn new(batch: Batch<E>, encoded: Encoded) -> Self {
        let Batch { events, condition, time_ms } = batch;
        Self { events, batch: encoded, condition, time_ms, ticket: None }
    }
}
