//! What every request passes before a face sees it.
//!
//! ```text
//!   pass      hosts, the drain, media types, rights, and metrics     problem   a failure as a response
//! ```

pub(crate) mod pass;
pub(crate) mod problem;
