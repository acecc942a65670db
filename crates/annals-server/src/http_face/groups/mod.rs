//! `/v1/groups`: workers on several machines share the events of a query.
//!
//! ```text
//!   work      pull, ack, nack, extend: what workers call        bodies   the bodies of requests, and reports
//!   admin     create, report, parked, replay, drop, reset, delete
//! ```

pub(super) mod admin;
pub(super) mod bodies;
#[cfg(fuzzing)]
pub(super) use bodies::fuzz;
pub(super) mod work;
