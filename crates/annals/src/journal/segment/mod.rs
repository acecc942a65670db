//! A segment of a Journal: its file of frames, and its index.
//!
//! ```text
//!   frame          the frame that one commit adds to the file
//!   file           the file: a head, then frames
//!   file_names     the names of a segment's files
//!   memory_index   the index in memory, which grows with the segment
//!   index_file     the index of a sealed segment, as a file
//!   table_encoding writes a table of names, a section of that file
//!   blocks         the checksums of its blocks, which are checked when they are first used
//!   bloom          the Bloom filter in it: whether the segment may have a name
//!   segment        a file and its index
//! ```

pub(crate) mod blocks;
pub(crate) mod bloom;
pub(crate) mod file;
pub(crate) mod file_names;
pub(crate) mod frame;
pub(crate) mod index_file;
#[cfg(test)]
mod index_limits;
pub(crate) mod memory_index;
#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
pub(crate) mod segment;
mod table_encoding;
