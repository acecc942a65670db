//! The file `record.tail` of a replica: where its last commits are in the record, and what is needed to build them
//! again. docs/RECORD.md describes its bytes.
//!
//! ```text
//!   place    what the file has of one commit        details  the sizes of its batches, or its text
//!   tail     the file
//! ```

mod details;
#[cfg(test)]
mod golden;
pub(crate) mod place;
#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
pub(crate) mod tail;
