//! Verifying a Journal: every byte is checked, and nothing is changed.
//!
//! ```text
//!   verify    checks the log and the index files
//!   filters   checks the Bloom filters
//! ```

pub(crate) mod filters;
#[expect(
    clippy::module_inception,
    reason = "the file of the function that the folder is named after"
)]
pub(crate) mod verify;
