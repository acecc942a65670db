//! Conversions to numbers of 4 bytes: local offsets and positions in a segment or in a log in memory.
//!
//! A segment ends long before 4 GiB and 2³² events, and a log in memory takes no more than 2³² events. So a number that
//! does not fit is a bug. These functions panic with its value, because a truncated number would name another event.

/// Returns the local offset of an event: its offset minus the offset of the first event.
///
/// # Panics
/// If `offset` is less than `first`, or greater by 2³² or more.
#[track_caller]
pub(crate) fn local_offset(offset: u64, first: u64) -> u32 {
    offset.checked_sub(first).and_then(|local| u32::try_from(local).ok()).unwrap_or_else(|| {
        panic!("offset {offset} has no local offset in a segment that begins at {first}")
    })
}

/// Returns a position, a size or a count in a segment as a number of 4 bytes.
///
/// # Panics
/// If `size` is 2³² or more.
#[track_caller]
pub(crate) fn local_size(size: usize) -> u32 {
    u32::try_from(size).unwrap_or_else(|_| panic!("{size} does not fit into 4 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_does_not_fit_panics_and_is_never_truncated() {
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
