//! Functions that other modules share.
//!
//! ```text
//!   crc32c          the checksum of the Journal's files
//!   few             a list that mostly has one element
//!   inline_text     a text that is stored inline if it is short
//!   little_endian   reads numbers
//!   local_offset    offsets and positions in a segment, in 4 bytes
//!   random_id       UUIDs of version 4
//!   spelling        the distance between two names, for suggestions in error messages
//!   exact_form/     the exact form of a value, for comparisons
//! ```

#[cfg(feature = "journal")]
pub(crate) mod crc32c;
pub(crate) mod exact_form;
pub(crate) mod few;
pub(crate) mod inline_text;
pub(crate) mod little_endian;
pub(crate) mod local_offset;
pub(crate) mod random_id;
pub(crate) mod spelling;
pub(crate) mod time;
