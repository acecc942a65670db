//! The backend: a replica in files, and the threads that keep it equal to the record.
//!
//! ```text
//!   append, submit ─▶ requests ─▶ inbox ─▶ driver, which steps the core ─▶ senders, readers ─▶ the engine
//!                        ▲                    │       ▲                        └─ answers, entries ─▶ inbox
//!                        └──── answers ───────┘       └── applied ── applier ─▶ the replica, callbacks, record.tail
//! ```
//! The driver and the applier end with the backend. The threads that call the engine may wait for it, and end by
//! themselves.
//!
//! ```text
//!   replicated  the backend               options   how it is opened         open_error  why it did not open
//!   opening     opens it                  create    makes a record           status      what is known of the record
//!   requests    batches in the queue      ticket    the result of a batch    submission  a batch without room
//!   inbox       the core's inputs         driver    the core's thread        engine      the threads that call the engine
//!   applier     the applying thread       same      compares events          errors      refusals as errors of appends
//!   shared      what the threads share    meters    the metrics              wakers      the thread that wakes tasks
//! ```

mod applier;
pub(crate) mod create;
mod driver;
mod engine;
mod errors;
mod inbox;
mod meters;
pub(crate) mod open_error;
pub(crate) mod opening;
pub(crate) mod options;
#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
pub(crate) mod replicated;
mod requests;
pub(crate) mod same;
mod shared;
pub(crate) mod status;
mod submission;
mod ticket;
mod wakers;
