//! Judges what processes did with a replicated log, and what they saw. For tests of engines.
//!
//! ```text
//!   history   what happened
//!   check     compares it with the log that came of it
//! ```

mod check;
#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
mod history;

pub use check::{Violation, check};
pub use history::{History, Observation, Operation, PrefixDigest, Told};
