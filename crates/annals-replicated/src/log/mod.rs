//! The seam to the engine that stores a record.
//!
//! ```text
//!   commit_log   the trait and its types
//! ```

pub(crate) mod commit_log;
