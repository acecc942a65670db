//! The commit path as a handle for another type of events uses it. It takes batches that are encoded, and never sees
//! their events as values: callbacks read them from the log.

use std::sync::Arc;

use super::committer::Committer;
use super::target::CommitTarget;
use crate::backend::batch::{AppendFuture, Appended, Batch};
use crate::backend::encode::Encoded;
use crate::backend::health::Health;
use crate::error::AppendError;
use crate::event::event::Event;
use crate::query::Condition;

/// The fields of a batch of another type, without its events.
pub(crate) struct Foreign {
    conditions: Vec<Condition>,
    time_ms: Option<u64>,
    allow_future_time: bool,
}

impl Foreign {
    pub(crate) fn of<F>(batch: Batch<F>) -> Self {
        let Batch { conditions, time_ms, allow_future_time, .. } = batch;
        Self { conditions, time_ms, allow_future_time }
    }

    fn without_events<E>(self) -> Batch<E> {
        let Self { conditions, time_ms, allow_future_time } = self;
        Batch { events: Vec::new(), conditions, time_ms, allow_future_time }
    }
}

/// A commit path, whatever the type of its own events is.
pub(crate) trait Host: Send + Sync {
    /// Appends a batch and waits for its commit.
    fn append(&self, batch: Foreign, encoded: Encoded) -> Result<Appended, AppendError>;

    /// Appends a batch without blocking the caller.
    fn submit(&self, batch: Foreign, encoded: Encoded) -> AppendFuture;

    /// Makes everything appended so far durable.
    fn sync(&self) -> Result<(), AppendError>;

    /// Closes the log.
    fn close(&self) -> Result<(), AppendError>;

    /// Returns whether the log takes appends, and if not, why.
    fn health(&self) -> Health;

    /// Returns another handle on it.
    fn copy(&self) -> Box<dyn Host>;
}

/// The commit path of events of type `E`.
pub(crate) struct Hosting<E, T>(pub(crate) Arc<Committer<E, T>>);

impl<E: Event, T: CommitTarget<E>> Host for Hosting<E, T> {
    fn append(&self, batch: Foreign, encoded: Encoded) -> Result<Appended, AppendError> {
        self.0.append(batch.without_events(), encoded)
    }

    fn submit(&self, batch: Foreign, encoded: Encoded) -> AppendFuture {
        self.0.submit(batch.without_events(), encoded)
    }

    fn sync(&self) -> Result<(), AppendError> {
        self.0.sync()
    }

    fn close(&self) -> Result<(), AppendError> {
        self.0.close()
    }

    fn health(&self) -> Health {
        self.0.health()
    }

    fn copy(&self) -> Box<dyn Host> {
        Box::new(Self(Arc::clone(&self.0)))
    }
}
