//! A consumer: one reader of a query, in order, with a durable position.
//!
//! ```text
//!   builder   the settings, and the start       delivery   an event and its acknowledgement
//!   consumer  the iterator                      tracker    what is not acknowledged, and so the position
//!   stream    the same for asynchronous code
//! ```

pub(crate) mod builder;
#[expect(clippy::module_inception, reason = "the consumer that the folder is named after")]
pub(crate) mod consumer;
pub(crate) mod delivery;
pub(crate) mod stream;
pub(crate) mod tracker;
