//! A batch in the queue.

use std::any::Any;
use std::sync::Arc;

use super::completion::Completion;
use crate::backend::batch::Batch;
use crate::backend::encode::Encoded;
use crate::error::AppendError;
use crate::event::event::Event;
use crate::event::raw::RawEvent;
use crate::query::{Condition, Query};

/// A batch to commit, and the completion of the caller that waits for the result.
pub(crate) struct Request<E> {
    pub(crate) events: Vec<E>,
    pub(crate) batch: Encoded,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) time_ms: Option<u64>,
    pub(crate) allow_future_time: bool,
    pub(crate) completion: Option<Arc<Completion>>,
    /// The known size in memory of an asynchronous batch, in bytes; 0 for the others.
    pub(crate) bytes: usize,
}

impl<E: Event> Request<E> {
    pub(crate) fn new(batch: Batch<E>, encoded: Encoded) -> Self {
        let Batch { events, conditions, time_ms, allow_future_time } = batch;
        let batch = encoded;
        Self { events, batch, conditions, time_ms, allow_future_time, completion: None, bytes: 0 }
    }

    /// Checks the names in the conditions. A store has checked more than this: this is for a batch that is appended to
    /// a backend directly. Called before the batch has its turn, so that no other batch waits for it.
    pub(crate) fn check(&self) -> Result<(), AppendError> {
        let mut queries = self.conditions.iter().map(Condition::query);
        queries.try_for_each(Query::check).map_err(AppendError::InvalidCondition)
    }

    /// Computes `bytes`.
    pub(crate) fn measure(&mut self) {
        let events: usize = self.events.iter().map(event_bytes).sum();
        let conditions: usize = self.conditions.iter().map(Condition::held_bytes).sum();
        let fixed = size_of::<Self>() + size_of::<Completion>();
        self.bytes = fixed + events + conditions + self.batch.held_bytes();
    }
}

/// Returns the known size of an event in memory, in bytes.
pub(super) fn event_bytes<E: 'static>(event: &E) -> usize {
    let raw = (event as &dyn Any).downcast_ref::<RawEvent>();
    size_of::<E>() + raw.map_or(0, |raw| raw.body().len())
}

/// Completes all of these requests with the same error.
pub(crate) fn fail_all<E>(requests: Vec<Request<E>>, error: &AppendError) {
    for completion in requests.into_iter().filter_map(|request| request.completion) {
        completion.complete(Err(error.clone()));
    }
}
