//! Admits one batch: finds out whether it was recorded before, and checks its conditions, time and size. It looks at
//! the events of the replica and at those that are under way.

use std::collections::HashSet;

use annals::{
    AppendError, Appended, Condition, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_TIME_AHEAD_MS,
    RawEvent,
};

use super::messages::{NewBatch, Refusal};
use super::overlay::Overlay;
use super::replica::Replica;

/// The log as a batch finds it: what is applied, and what is under way behind it.
pub(super) struct View<'a> {
    pub(super) replica: &'a dyn Replica,
    pub(super) overlay: &'a Overlay,
    /// The offset of the next event.
    pub(super) head: u64,
    /// The time of the last event, in ms since 1970 UTC.
    pub(super) time_ms: u64,
    /// The system's clock, in ms since 1970 UTC.
    pub(super) wall_ms: u64,
}

/// What became of a batch that was looked at.
pub(super) enum Admission {
    /// The batch is to be staged, with this time.
    Stage { time_ms: u64 },
    /// The batch is not staged. With `rests`, the reply depends on events that are not applied yet, and holds only if
    /// they are.
    Reply { reply: Result<Appended, Refusal>, rests: bool },
    /// The batch is not staged. The record may have more commits than this process has read, and then the reply does
    /// not hold: a commit behind those that were read shows whether it has.
    Confirm { reply: Result<Appended, Refusal> },
}

impl View<'_> {
    pub(super) fn admit(&self, batch: &NewBatch) -> Admission {
        match self.try_admit(batch) {
            Ok(Ok(time_ms)) => Admission::Stage { time_ms },
            Ok(Err(known)) => {
                let rests = known.offsets.end > self.replica.head();
                Admission::Reply { reply: Ok(known), rests }
            }
            // Another process may have passed this head already, and the caller may have it from there.
            Err(
                error
                @ (AppendError::ConditionBeyondHead { .. } | AppendError::TimeInFuture { .. }),
            ) => Admission::Confirm { reply: Err(error.into()) },
            Err(error) => {
                let rests = self.rests(&error);
                Admission::Reply { reply: Err(error.into()), rests }
            }
        }
    }

    /// Returns whether an error depends on events that are not applied yet.
    fn rests(&self, error: &AppendError) -> bool {
        let applied = self.replica.head();
        match error {
            AppendError::Conflict { offset, .. } | AppendError::IdConflict { offset, .. } => {
                *offset >= applied
            }
            AppendError::TimeGoesBack { .. } => self.head > applied,
            _ => false,
        }
    }

    /// Returns the time of a batch that may be staged, or the offsets of one that was recorded before.
    fn try_admit(&self, batch: &NewBatch) -> Result<Result<u64, Appended>, AppendError> {
        check_size(batch)?;
        if let Some(known) = self.recorded_before(&batch.events)? {
            return Ok(Err(known));
        }
        self.check_conditions(&batch.conditions)?;
        if let Some(given) = batch.time_ms {
            let (last, now) = (self.time_ms, self.wall_ms);
            if given < last {
                return Err(AppendError::TimeGoesBack { given, last });
            }
            let limit = last.max(now.saturating_add(MAX_TIME_AHEAD_MS));
            if !batch.allow_future_time && given > limit {
                return Err(AppendError::TimeInFuture { given, now });
            }
        }
        Ok(Ok(batch.time_ms.unwrap_or(self.wall_ms.max(self.time_ms))))
    }

    fn check_conditions(&self, conditions: &[Condition]) -> Result<(), AppendError> {
        for condition in conditions {
            condition.query().check().map_err(AppendError::InvalidCondition)?;
            let (after, head) = (condition.head(), self.head);
            if after > head {
                return Err(AppendError::ConditionBeyondHead { after, head });
            }
        }
        let mut lowest = None;
        for (at, condition) in conditions.iter().enumerate() {
            let applied = self.replica.conflict(condition)?;
            let under_way = || self.overlay.find(condition.query(), condition.head());
            let found = applied.or_else(under_way).map(|offset| (offset, at));
            lowest = lowest.into_iter().chain(found).min();
        }
        let conflict = |(offset, condition)| Err(AppendError::Conflict { offset, condition });
        lowest.map_or(Ok(()), conflict)
    }

    fn find_id(&self, id: &str) -> Result<Option<u64>, AppendError> {
        match self.overlay.find_id(id) {
            Some(offset) => Ok(Some(offset)),
            None => Ok(self.replica.find_id(id)?),
        }
    }

    /// Returns the offsets of the batch, if its events' ids are in the log. Nothing but their types is compared.
    fn recorded_before(&self, events: &[RawEvent]) -> Result<Option<Appended>, AppendError> {
        let mut ids = HashSet::new();
        let mut found = None;
        for (event, index) in events.iter().zip(0_u64..) {
            let Some(id) = event.id() else { continue };
            if !ids.insert(id) {
                return Err(AppendError::IdTwice { id: id.to_owned() });
            }
            if found.is_none() {
                found = self.find_id(id)?.map(|offset| (index, offset, id));
            }
        }
        let Some((index, offset, id)) = found else { return Ok(None) };
        let conflict = |id: &str, offset, how: &'static str| {
            Err(AppendError::IdConflict { id: id.to_owned(), offset, how: how.into() })
        };
        let Some(first) = offset.checked_sub(index) else {
            return conflict(id, offset, "but the batch would begin before offset 0");
        };
        for (event, expected) in events.iter().zip(first..) {
            let Some(own) = event.id() else {
                return conflict(id, offset, "and not all events of this batch have ids");
            };
            match self.find_id(own)? {
                Some(found) if found == expected => self.check_type(own, expected, event)?,
                Some(found) => {
                    return conflict(own, found, "but not next to the rest of this batch");
                }
                None => return conflict(id, offset, "but not all of this batch is"),
            }
        }
        Ok(Some(Appended::known(first..first + events.len() as u64)))
    }

    fn check_type(&self, id: &str, offset: u64, event: &RawEvent) -> Result<(), AppendError> {
        let recorded = match self.overlay.event_type(offset) {
            Some(event_type) => event_type.to_owned(),
            None => self.replica.event_type(offset)?,
        };
        let given = event.event_type();
        if self.replica.is_same_type(&recorded, given) {
            return Ok(());
        }
        let how = format!("as an event of the type {recorded:?}, not {given:?}").into();
        Err(AppendError::IdConflict { id: id.to_owned(), offset, how })
    }
}

fn check_size(batch: &NewBatch) -> Result<(), AppendError> {
    let count = batch.events.len();
    if count > MAX_BATCH_EVENTS {
        return Err(AppendError::BatchTooLong { count });
    }
    let bytes: usize = batch.events.iter().map(|event| event.body().len()).sum();
    if bytes > MAX_BATCH_BYTES {
        return Err(AppendError::BatchTooLarge { bytes });
    }
    Ok(())
}
