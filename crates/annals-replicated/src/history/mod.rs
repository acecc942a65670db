//! Checks the calls that processes made on a replicated log, and their results. For tests of engines.
//!
//! ```text
//!   history   the calls and their results
//!   check     compares them with the log
//! ```

mod check;
#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
mod history;

pub use check::{Violation, check};
pub use history::{History, Observation, Operation, PrefixDigest, Told};
