//! Looking at every byte of a Journal, and changing nothing.
//!
//! ```text
//!   verify    the log, and the index files
//!   filters   the Bloom filters
//! ```

pub(crate) mod filters;
#[expect(
    clippy::module_inception,
    reason = "the file of the function that the folder is named after"
)]
pub(crate) mod verify;
