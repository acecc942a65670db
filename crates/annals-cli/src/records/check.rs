//! The checks of the whole input before anything is appended.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annals::{AppendError, MAX_TIME_AHEAD_MS};

use super::ids::Ids;
use super::record::{Record, Records};
use crate::failure::Failure;
use crate::human::time;
use crate::signals::Interrupt;
use crate::store::Store;

/// What is checked, besides that each record is an event.
pub(crate) struct Checks<'s> {
    /// The store, if it exists.
    pub(crate) store: Option<&'s Store>,
    /// Whether each record must have a time, no earlier than that of the record before.
    pub(crate) keeps_times: bool,
    /// Whether times may be more than a day ahead of the clock.
    pub(crate) allows_future: bool,
    /// The time of the last event in the store. An event must not be earlier, unless the store has it already.
    pub(crate) last_ms: Option<u64>,
}

impl Checks<'_> {
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
        let (mut count, mut before_ms, mut ids) = (0, 0, Ids::default());
        while let Some(record) = records.next()? {
            interrupt.check()?;
            let is_known = self.check_id(&record)?;
            if !is_known {
                ids.add(&record.event, record.line)?;
            }
            if self.keeps_times {
                before_ms = self.check_time(&record, is_known, before_ms, latest)?;
            }
            count += 1;
            progress(records.bytes());
        }
        Ok(count)
    }

    /// Checks that the store has no event of another type with the id of a record. Returns whether it has the event.
    fn check_id(&self, record: &Record) -> Result<bool, Failure> {
        let (Some(store), Some(id)) = (self.store, record.event.id()) else { return Ok(false) };
        let Some(offset) = store.find(id)? else { return Ok(false) };
        let Some(stored) = store.get(offset)? else { return Ok(false) };
        let (recorded, given) = (stored.event.event_type(), record.event.event_type());
        if recorded == given {
            return Ok(true);
        }
        let how = format!("as an event of the type {recorded:?}, not {given:?}").into();
        let problem = AppendError::IdConflict { id: id.to_owned(), offset, how };
        Err(Failure::IdInStore { line: record.line, problem, other_type: true })
    }

    /// Checks the time of a record, and returns it.
    fn check_time(
        &self,
        record: &Record,
        is_known: bool,
        before_ms: u64,
        latest_ms: u64,
    ) -> Result<u64, Failure> {
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
            Some(last_ms) if time_ms < last_ms && !is_known => {
                Err(Failure::BeforeLastEvent { line, time: time(time_ms), last: time(last_ms) })
            }
            _ => Ok(time_ms),
        }
    }
}
