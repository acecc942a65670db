//! The groups of workers that the server runs for its clients.
//!
//! ```text
//!   registry   the open groups: opened when a request first needs one, closed with the server
//!   pull       a pull at work, and the worker that waits
//!   pulled     the deliveries of one pull, given back if no client gets them
//!   problem    the failures of groups, as the faces report them
//! ```

mod problem;
pub(crate) mod pull;
pub(crate) mod pulled;
pub(crate) mod registry;
