//! Ranges of offsets and of times.

use std::ops::{Bound, Range, RangeBounds};
use std::time::SystemTime;

use crate::backend::backend::Backend;
use crate::error::ReadError;
use crate::event::event::Event;
use crate::util::time::to_ms;

/// Returns the offsets of `range` that are below `head`.
pub(crate) fn bounds(range: &impl RangeBounds<u64>, head: u64) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1).min(head),
        Bound::Excluded(&end) => end.min(head),
        Bound::Unbounded => head,
    };
    start.min(end)..end
}

/// Returns the offsets of the events that were recorded in a range of times. Times are rounded down to the millisecond,
/// as the times of events are.
pub(super) fn offsets_in<E: Event, B: Backend<E>>(
    backend: &B,
    times: &impl RangeBounds<SystemTime>,
) -> Result<Range<u64>, ReadError> {
    let start = match times.start_bound() {
        Bound::Included(&start) => first_at(backend, to_ms(start))?,
        Bound::Excluded(&before) => first_at(backend, to_ms(before).saturating_add(1))?,
        Bound::Unbounded => 0,
    };
    let end = match times.end_bound() {
        Bound::Included(&last) => first_at(backend, to_ms(last).saturating_add(1))?,
        Bound::Excluded(&end) => first_at(backend, to_ms(end))?,
        Bound::Unbounded => u64::MAX,
    };
    Ok(start..end)
}

/// Returns the offset of the first event that was recorded at or after a time, in ms since 1970 UTC, or the head if
/// there is none. It reads only times, so an event that cannot be decoded is not an error here.
pub(crate) fn first_at<E: Event, B: Backend<E>>(
    backend: &B,
    time_ms: u64,
) -> Result<u64, ReadError> {
    let (mut low, mut high) = (0, backend.head().get());
    while low < high {
        let middle = low + (high - low) / 2;
        match backend.head().meters().counted(backend.time_ms(middle))? {
            Some(time) if time < time_ms => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
