//! The records of RocksDB's write-ahead logs and manifests.
//!
//! The files consist of records in blocks of 32 KiB. A record never crosses a block:
//!
//! ```text
//!   4 checksum (CRC-32C, masked) of type and data   2 size of the data   1 type   the data
//! ```

use crc_fast::CrcAlgorithm;

/// The size of a block in bytes.
pub(crate) const BLOCK: usize = 32 << 10;
/// The size of a record's header in bytes.
pub(crate) const HEADER: usize = 7;
/// The position of the type in a header.
pub(crate) const TYPE_AT: usize = 6;

const ZERO: u8 = 0;
/// The record types of recycled logs. Such a record has the log number, 4 bytes, behind its header. Its checksum covers
/// the number too.
pub(crate) const RECYCLED: [u8; 6] = [5, 6, 7, 8, 11, 131];
/// The types of the parts of a split record, except the last part.
pub(crate) const PARTS: [u8; 4] = [2, 3, 6, 7];
/// A type that no record has. Types with the highest bit would not do: a reader may skip those.
pub(crate) const NO_TYPE: u8 = 0x7f;

/// The bytes at the position of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole record of this size in bytes.
    Whole { size: usize },
    /// The block or the file ends before the record does.
    Cut,
    /// A wrong checksum, zeroes, or a record of a recycled log.
    Damaged,
}

/// Examines the record at the start of `rest`, the rest of a block; `None` if a record does not fit.
pub(crate) fn record_at(rest: &[u8], is_recycled: bool) -> Option<Found> {
    let header = rest.first_chunk::<HEADER>()?;
    if is_recycled && rest.len() < HEADER + 4 {
        return None;
    }
    let is_of_recycled = RECYCLED.contains(&header[TYPE_AT]);
    let data = HEADER + usize::from(u16::from_le_bytes([header[4], header[5]]));
    let size = if is_of_recycled { data + 4 } else { data };
    Some(match rest.get(TYPE_AT..size) {
        _ if is_of_recycled && !is_recycled => Found::Damaged,
        None => Found::Cut,
        Some([ZERO]) => Found::Damaged,
        Some(summed) if masked_crc(summed) == header[..4] => Found::Whole { size },
        Some(_) => Found::Damaged,
    })
}

/// Returns RocksDB's checksum of a record's type and data, as it is stored in the file.
pub(crate) fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    let crc = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes).to_le_bytes();
    let crc = u32::from_le_bytes([crc[0], crc[1], crc[2], crc[3]]);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
