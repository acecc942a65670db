//! The DCB face: gRPC in UmaDB's contract, the service `umadb.v1.DCB`.
//!
//! ```text
//!   service   the methods          append   appends       read     reads and subscriptions
//!   messages  UmaDB's messages     incoming from messages outgoing to messages
//!   codec     bytes                status   errors        health   the health service
//! ```
//! A position of the contract is an offset of annals plus 1. The contract's `after` is the same number as annals' head.

pub(crate) mod append;
pub(crate) mod codec;
mod count;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub(crate) mod health;
pub(crate) mod incoming;
pub(crate) mod messages;
pub(crate) mod outgoing;
pub(crate) mod read;
pub(crate) mod service;
pub(crate) mod status;
