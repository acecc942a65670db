//! The seam to the engine that stores a record.
//!
//! ```text
//!   commit_log   the trait and its types
//!   news         what writers tell each other beside the record
//!   shared       the trait for a shared engine
//! ```

pub(crate) mod commit_log;
pub(crate) mod news;
mod shared;
