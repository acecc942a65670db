//! Numbers in bytes, as all files of a store have them: little-endian.

/// The number of 4 bytes at `position`; 0 beyond the end.
pub(crate) fn u32_at(bytes: &[u8], position: usize) -> u32 {
    bytes
        .get(position..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// The number of 8 bytes at `position`; 0 beyond the end.
pub(crate) fn u64_at(bytes: &[u8], position: usize) -> u64 {
    bytes
        .get(position..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u64::from_le_bytes(*chunk))
}
