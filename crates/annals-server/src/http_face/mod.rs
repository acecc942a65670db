//! The HTTP face: JSON, NDJSON and server-sent events.
//!
//! ```text
//!   routes   paths and methods               subscribe   GET /v1/subscribe       params   parameters, queries
//!   append   POST /v1/events                 verify      POST /v1/verify         body     bodies
//!   read     events, one event, data         facts       head, statistics, names, health, metrics
//!   groups/  /v1/groups: shared work
//! ```
//! `openapi.json` describes it. The tests in `described` compare the description with the routes, the bodies, the limits
//! and the problems.

mod append;
mod body;
mod bounded;
#[cfg(test)]
mod described;
mod facts;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod groups;
mod params;
mod read;
pub(crate) mod routes;
mod subscribe;
mod verify;
