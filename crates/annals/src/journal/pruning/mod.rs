//! Segment pruning: a search over many segments reads the indexes of only those that may have a match.
//!
//! ```text
//!   pruning       the filters of all segments, and the walk over the segments that pass them
//!   bloom         the Bloom filters of 8, 64 or 512 segments side by side, as a file
//!   segment_set   a set of such segments
//! ```

pub(crate) mod bloom;
#[expect(clippy::module_inception, reason = "the file of the walk that the folder is named after")]
pub(crate) mod pruning;
pub(crate) mod segment_set;
