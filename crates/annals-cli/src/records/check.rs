//! The checks of the whole input before anything is appended.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annals::MAX_TIME_AHEAD_MS;

use super::record::{Record, Records};
use crate::failure::Failure;
use crate::human::time;
use crate::signals::Interrupt;

/// What is checked, besides that each record is an event.
pub(crate) struct Checks {
    /// Whether each record must have a time, no earlier than that of the record before.
    pub(crate) keeps_times: bool,
    /// Whether times may be more than a day ahead of the clock.
    pub(crate) allows_future: bool,
    /// The time of the last event in the store. An event without an id must not be earlier; one with an id may be in
    /// the store already.
    pub(crate) last_ms: Option<u64>,
}

impl Checks {
    /// Reads all records, and returns how many there are. Fails at the first that is wrong.
    pub(crate) fn read_all(
        &self,
        records: &mut Records,
        interrupt: &Interrupt,
        mut progress: impl FnMut(u64),
    ) -> Result<u64, Failure> {
        let latest =
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
        let latest = u64::try_from(latest).unwrap_or(u64::MAX).saturating_add(MAX_TIME_AHEAD_MS);
        let (mut count, mut before_ms) = (0, 0);
        while let Some(record) = records.next()? {
            interrupt.check()?;
            if self.keeps_times {
                before_ms = self.check_time(&record, before_ms, latest)?;
            }
            count += 1;
            progress(records.bytes());
        }
        Ok(count)
    }

    /// Checks the time of a record, and returns it.
    fn check_time(&self, record: &Record, before_ms: u64, latest_ms: u64) -> Result<u64, Failure> {
        let line = record.line;
        let Some(time_ms) = record.time_ms else { return Err(Failure::NoTime { line }) };
        if time_ms < before_ms {
            let (time, before) = (time(time_ms), time(before_ms));
            return Err(Failure::TimeGoesBack { line, time, before });
        }
        if time_ms > latest_ms && !self.allows_future {
            return Err(Failure::TimeInFuture { line, time: time(time_ms) });
        }
        match self.last_ms {
            Some(last_ms) if time_ms < last_ms && record.event.id().is_none() => {
                Err(Failure::BeforeLastEvent { line, time: time(time_ms), last: time(last_ms) })
            }
            _ => Ok(time_ms),
        }
    }
}
