//! The events that a group has not finished: to be delivered, with a worker, pausing, or parked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An event that is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The number of deliveries so far.
    pub(crate) attempts: u32,
    /// The pull of the last delivery.
    pub(crate) pull: Option<Uuid>,
    pub(crate) status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// To be delivered.
    Waiting,
    /// With a worker, until the deadline.
    Leased { worker: Arc<str>, deadline_ms: u64 },
    /// To be delivered again after a pause.
    Pausing { until_ms: u64 },
}

/// An event that is not delivered until it is replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parked {
    pub(crate) attempts: u32,
    pub(crate) at_ms: u64,
    pub(crate) reason: String,
}

impl Entry {
    pub(super) fn new() -> Self {
        Self { attempts: 0, pull: None, status: Status::Waiting }
    }

    /// Notes a delivery to a worker.
    pub(super) fn lease(&mut self, worker: Arc<str>, pull: Uuid, deadline_ms: u64) {
        self.attempts = self.attempts.saturating_add(1);
        self.pull = Some(pull);
        self.status = Status::Leased { worker, deadline_ms };
    }
}
