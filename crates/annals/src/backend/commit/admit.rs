//! Admits one batch to a commit: finds out whether it was recorded before, checks its conditions, time and room, and
//! assigns its offsets.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::completion::AppendResult;
use super::request::Request;
use super::target::CommitTarget;
use crate::backend::batch::Appended;
use crate::backend::encode::{Aliases, Encoded};
use crate::error::AppendError;
use crate::event::event::Event;
use crate::event::limits::MAX_TIME_AHEAD_MS;
use crate::metrics::meters::{Meters, Timed};
use crate::query::Condition;

/// Admits one batch. Returns its offsets if it is staged now or was recorded before, and else the reason.
pub(crate) fn admit<E: Event>(
    target: &mut impl CommitTarget<E>,
    request: Request<E>,
    now: u64,
    meters: &Meters,
) -> AppendResult {
    let Request { events, batch, conditions, time_ms, allow_future_time, .. } = request;
    if let Some(offsets) = recorded_before::<E>(target, &batch)? {
        return Ok(Appended::known(offsets));
    }
    if !conditions.is_empty() {
        check_conditions::<E>(target, &conditions, meters)?;
    }
    let last = target.last_time_ms();
    if let Some(given) = time_ms {
        if given < last {
            return Err(AppendError::TimeGoesBack { given, last });
        }
        // The last event's time is allowed whatever the clock says: the log has that time already.
        if !allow_future_time && given > last.max(now.saturating_add(MAX_TIME_AHEAD_MS)) {
            return Err(AppendError::TimeInFuture { given, now });
        }
    }
    // The events of a handle for another type are in the encoded batch only.
    let count = events.len().max(batch.labels.len()) as u64;
    if count == 0 {
        return Ok(Appended::new(target.next_offset()..target.next_offset()));
    }
    target
        .reserve(batch.size(), batch.labels.label_count())
        .map_err(|error| no_room(error, batch.size()))?;
    let first = target.next_offset();
    target.stage(events, batch, time_ms.unwrap_or(now.max(last)));
    assert_eq!(
        target.next_offset(),
        first + count,
        "a target stages each event at the next offset"
    );
    Ok(Appended::new(first..first + count))
}

/// Checks that all conditions hold. A condition that guards nothing is reported before a conflict. Of several
/// conflicts, the one at the lowest offset is reported.
fn check_conditions<E: Event>(
    target: &mut impl CommitTarget<E>,
    conditions: &[Condition],
    meters: &Meters,
) -> Result<(), AppendError> {
    let head = target.next_offset();
    for condition in conditions {
        let after = condition.head();
        if after > head {
            return Err(AppendError::ConditionBeyondHead { after, head });
        }
    }
    let mut lowest = None;
    meters.time(Timed::Condition, || -> Result<(), AppendError> {
        for (at, condition) in conditions.iter().enumerate() {
            let found = target.conflict(condition)?.map(|offset| (offset, at));
            lowest = lowest.into_iter().chain(found).min();
        }
        Ok(())
    })?;
    lowest.map_or(Ok(()), |(offset, condition)| Err(AppendError::Conflict { offset, condition }))
}

/// Distinguishes a lack of room from a failure.
pub(crate) fn no_room(error: io::Error, bytes: usize) -> AppendError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            AppendError::NoRoom { bytes: bytes as u64, source: Arc::new(error) }
        }
        _ => AppendError::Failed { source: Arc::new(error) },
    }
}

/// Returns the offsets that this batch has in the log, if its events' ids are there. Nothing else in the events is
/// compared.
fn recorded_before<E: Event>(
    target: &mut impl CommitTarget<E>,
    batch: &Encoded,
) -> Result<Option<Range<u64>>, AppendError> {
    let labels = &batch.labels;
    if !labels.has_ids() {
        return Ok(None);
    }
    let mut ids = HashSet::new();
    let mut found = None;
    for index in 0..labels.len() {
        let Some(id) = labels.event(index).id_name() else { continue };
        if !ids.insert(id.text) {
            return Err(AppendError::IdTwice { id: id.text.to_owned() });
        }
        if found.is_none() {
            found = target.find_id(id)?.map(|offset| (index as u64, offset, id));
        }
    }
    let Some((index, offset, id)) = found else { return Ok(None) };
    let conflict = |id: &str, offset, how: &'static str| {
        Err(AppendError::IdConflict { id: id.to_owned(), offset, how: how.into() })
    };
    let Some(first) = offset.checked_sub(index) else {
        return conflict(id.text, offset, "but the batch would begin before offset 0");
    };
    for (index, expected) in (0..labels.len()).zip(first..) {
        let Some(own) = labels.event(index).id_name() else {
            return conflict(id.text, offset, "and not all events of this batch have ids");
        };
        match target.find_id(own)? {
            Some(found) if found == expected => {}
            Some(found) => {
                return conflict(own.text, found, "but not next to the rest of this batch");
            }
            None => return conflict(id.text, offset, "but not all of this batch is"),
        }
        let (recorded, given) = (target.event_type(expected)?, labels.event(index).event_type);
        if !is_same_type::<E>(batch.aliases, &recorded, given) {
            return Err(AppendError::IdConflict {
                id: own.text.to_owned(),
                offset: expected,
                how: format!("as an event of the type {recorded:?}, not {given:?}").into(),
            });
        }
    }
    Ok(Some(first..first + labels.len() as u64))
}

/// Returns whether two names are names of the same event type, by the aliases of the batch's own type or of the log's
/// type. They differ for a batch of a handle for events of another type.
fn is_same_type<E: Event>(of_batch: Aliases, recorded: &str, given: &str) -> bool {
    recorded == given
        || of_batch.are_same(recorded, given)
        || Aliases::of::<E>().are_same(recorded, given)
}
