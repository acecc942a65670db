//! Times: from a time to an offset.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annals::Batch;

use super::tools::{fresh, nths};
use crate::Subject;
use crate::check::{Check, CheckError, Outcome, same};

/// The time of each batch of three events, in ms. Some batches have the same time.
const TIMES: [u64; 7] = [1_000, 1_000, 1_001, 1_005, 1_005, 1_005, 90_000];

fn at(time_ms: u64) -> SystemTime {
    // Less than a millisecond is left out.
    UNIX_EPOCH + Duration::from_millis(time_ms) + Duration::from_micros(999)
}

pub(super) fn a_time_finds_its_first_event<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    same("the offset of a time in an empty log", store.offset_at(at(0))?, 0)?;
    let mut times = Vec::new();
    for time_ms in TIMES {
        store.append_as(Batch::new(nths(0..3)).time_ms(time_ms))?;
        times.extend([time_ms; 3]);
    }
    let asked =
        [0, 999, 1_000, 1_001, 1_002, 1_004, 1_005, 1_006, 89_999, 90_000, 90_001, u64::MAX >> 12];
    let offset = |wanted: u64| times.iter().filter(|&&time| time < wanted).count() as u64;
    for from in asked {
        same("the offset of a time", store.offset_at(at(from))?, offset(from))?;
        let before_1970 = UNIX_EPOCH - Duration::from_millis(from.min(1_000) + 1);
        same("the offset of a time before 1970", store.offset_at(before_1970)?, 0)?;
        for to in asked {
            let offsets = |events: &mut dyn Iterator<Item = Result<u64, CheckError>>| {
                events.collect::<Result<Vec<u64>, _>>()
            };
            let events = store.read(..).time_range(at(from)..at(to));
            let found = offsets(&mut events.map(|event| Ok(event?.offset)))?;
            let expected: Vec<u64> = (offset(from)..offset(to)).collect();
            same("the events between two times", found, expected)?;
            let events = store.read(1..).time_range(at(from)..=at(to)).rev();
            let found = offsets(&mut events.map(|event| Ok(event?.offset)))?;
            let expected: Vec<u64> = (offset(from).max(1)..offset(to + 1)).rev().collect();
            same("the events up to a time, from the end", found, expected)?;
        }
    }
    same("all events by time", store.read(..).time_range(..).count(), times.len())?;
    Ok(Outcome::Held)
}
