//! Offsets by time, found by halving: the times of events never go back.

use std::ops::Range;

use annals::{Backend, ReadError};

use crate::event::WireEvent;

/// Returns the offset of the first event in `range` that was recorded at or after a time, in ms since 1970 UTC, or the
/// end of the range if there is none.
pub(super) fn first_at(
    backend: &dyn Backend<WireEvent>,
    time_ms: u64,
    range: Range<u64>,
) -> Result<u64, ReadError> {
    let Range { start: mut low, end: mut high } = range;
    while low < high {
        let middle = low + (high - low) / 2;
        match backend.time_ms(middle)? {
            Some(time) if time < time_ms => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Returns the offsets at which `parts` equal parts of a span of time begin, and the end. It has one more than `parts`.
pub(super) fn boundaries(
    backend: &dyn Backend<WireEvent>,
    times_ms: Range<u64>,
    parts: u64,
    range: Range<u64>,
) -> Result<Vec<u64>, ReadError> {
    let span = times_ms.end.saturating_sub(times_ms.start);
    let mut offsets = Vec::new();
    let mut low = range.start;
    for part in 0..=parts {
        // Rounded up: the first millisecond of a span that is shorter than its parts is in the first part. It never
        // overflows: it is a part of a span that fits into 64 bits.
        let passed = (u128::from(span) * u128::from(part)).div_ceil(u128::from(parts.max(1)));
        let time = times_ms.start.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
        low = first_at(backend, time, low..range.end)?;
        offsets.push(low);
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use annals::{Batch, EventStore, Memory, RawEvent};

    use super::*;

    #[test]
    fn offsets_are_found_by_time() {
        let store = EventStore::on(Memory::<WireEvent>::encoded());
        for time_ms in [10, 10, 20, 40] {
            let event = RawEvent::builder("a").build().unwrap();
            store.backend().append(Batch::new(vec![event.into()]).time_ms(time_ms)).unwrap();
        }
        let backend = store.backend();
        let found = [0, 10, 11, 40, 41].map(|time| first_at(backend, time, 0..4).unwrap());
        assert_eq!(found, [0, 0, 2, 3, 4]);
        assert_eq!(first_at(backend, 0, 2..4).unwrap(), 2);
        assert_eq!(boundaries(backend, 10..50, 4, 0..4).unwrap(), [0, 2, 3, 3, 4]);
        assert_eq!(boundaries(backend, 0..0, 2, 0..0).unwrap(), [0, 0, 0]);
        assert_eq!(boundaries(backend, 10..11, 3, 0..2).unwrap(), [0, 2, 2, 2]);
    }
}
