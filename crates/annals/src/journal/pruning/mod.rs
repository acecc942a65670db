//! Segment pruning: a search of many segments looks only into those that may have a name.
//!
//! ```text
//!   bloom     the Bloom filters of 8, 64 or 512 segments side by side, as a file
//!   pruning   the walk over the segments that may have what is looked for
//! ```

pub(crate) mod bloom;
#[expect(clippy::module_inception, reason = "the file of the walk that the folder is named after")]
pub(crate) mod pruning;
