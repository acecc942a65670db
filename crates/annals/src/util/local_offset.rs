//! Numbers of 4 bytes inside a segment or a log in memory: local offsets and positions.
//!
//! A segment ends long before 4 GiB and 2³² events, and a log in memory takes no more than 2³² events. So a number that
//! does not fit is a bug, and these functions stop with its values: a number that was cut to fit would name another
//! event.

/// Returns an event's offset less the offset of the first event.
///
/// # Panics
/// If the offset is before the first, or 2³² events or more behind it.
#[track_caller]
pub(crate) fn local_offset(offset: u64, first: u64) -> u32 {
    offset
        .checked_sub(first)
        .and_then(|local| u32::try_from(local).ok())
        .unwrap_or_else(|| panic!("offset {offset} is not a local offset from {first} on"))
}

/// Returns a position, a size or a count of a segment as it is written, in 4 bytes.
///
/// # Panics
/// If it is 2³² or more.
#[track_caller]
pub(crate) fn local_size(size: usize) -> u32 {
    u32::try_from(size).unwrap_or_else(|_| panic!("{size} does not fit into 4 bytes of a segment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_returned_and_what_does_not_is_never_cut() {
        let most = u64::from(u32::MAX);
        assert_eq!(local_offset(7, 7), 0);
        assert_eq!(local_offset(7 + most, 7), u32::MAX);
        for (offset, first) in [(8 + most, 7), (6, 7), (0, u64::MAX), (u64::MAX, 0)] {
            assert!(std::panic::catch_unwind(|| local_offset(offset, first)).is_err());
        }
        assert_eq!(local_size(u32::MAX as usize), u32::MAX);
        assert!(std::panic::catch_unwind(|| local_size(u32::MAX as usize + 1)).is_err());
    }
}
