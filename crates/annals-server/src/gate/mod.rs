//! What every request passes before a face sees it.
//!
//! ```text
//!   pass      hosts, the drain, media types, rights, and metrics     problem   a failure as a response
//!   granted   streams end when their client loses its right          missing   paths and methods that no face has
//! ```

mod granted;
pub(crate) mod missing;
pub(crate) mod pass;
pub(crate) mod problem;
