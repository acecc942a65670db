//! The chain rule: which entries of a record are valid.
//!
//! ```text
//!   slot   the number of an entry
//!   tip    the last valid commit, and what may follow it
//!   chain  a reader of the record, entry by entry
//! ```

#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
pub(crate) mod chain;
pub(crate) mod slot;
pub(crate) mod tip;
