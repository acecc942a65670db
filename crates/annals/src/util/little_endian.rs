//! Reads little-endian numbers, the byte order of all files of a store.

/// Returns the number in the 4 bytes at `position`, or 0 if there are fewer bytes.
pub(crate) fn u32_at(bytes: &[u8], position: usize) -> u32 {
    bytes
        .get(position..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// Returns the number in the 8 bytes at `position`, or 0 if there are fewer bytes.
pub(crate) fn u64_at(bytes: &[u8], position: usize) -> u64 {
    bytes
        .get(position..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u64::from_le_bytes(*chunk))
}
