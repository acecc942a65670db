//! What every room uses: checksums, numbers in bytes, offsets inside a segment, near names,
//! the exact form of a value.

pub(crate) mod crc32c;
pub(crate) mod exact_form;
pub(crate) mod little_endian;
pub(crate) mod local_offset;
pub(crate) mod spelling;
