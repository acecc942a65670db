//! A group: many workers share the events of a query.
//!
//! ```text
//!   group, worker, delivery     the shell: locks, reads, waits            admin   replay, drop, reset
//!     ▼                                                                   builder the settings, and the opening
//!   core ──▶ log                the machine with its state log
//!     ▼
//!   machine ──▶ schedule        the decisions: a state machine without clock, input and output
//!     ▼
//!   state ──▶ event, settings   the state is the fold of the events of the state log
//!   lease                       the ids of leases
//! ```

pub(crate) mod admin;
pub(crate) mod builder;
pub(crate) mod core;
pub(crate) mod delivery;
pub(crate) mod event;
#[expect(clippy::module_inception, reason = "the group that the folder is named after")]
pub(crate) mod group;
pub(crate) mod lease;
pub(crate) mod log;
pub(crate) mod machine;
#[cfg(test)]
mod model;
pub(crate) mod schedule;
pub(crate) mod settings;
pub(crate) mod state;
pub(crate) mod worker;
