//! The engine of consumers and groups: which event is delivered next, to whom, and what is remembered.
//!
//! ```text
//!   shared                      what workers share: the lock, the clock, waiting
//!     ▼
//!   core ──▶ log, position      the machine with its record: the state log of a group, the position of a consumer
//!     │ ───▶ reader             the pages of the log that the machine gets
//!     ▼
//!   machine ──▶ schedule        the decisions: a state machine without clock, input and output
//!     ▼
//!   state ──▶ event, settings   the state is the fold of the events of the state log
//!         ──▶ window            the events that were read and are not finished
//!   entry                       an event that is not finished, or parked
//!   lease_id                    the ids of leases
//!   answer                      the answers of workers and operators
//! ```

pub(crate) mod answer;
pub(crate) mod core;
pub(crate) mod entry;
pub(crate) mod event;
pub(crate) mod lease_id;
pub(crate) mod log;
pub(crate) mod machine;
#[cfg(test)]
mod model;
pub(crate) mod position;
pub(crate) mod reader;
pub(crate) mod schedule;
pub(crate) mod settings;
pub(crate) mod shared;
pub(crate) mod state;
pub(crate) mod window;
