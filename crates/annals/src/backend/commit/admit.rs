//! One batch before its commit: was it recorded before, may it go ahead, is there room, which offsets does it get.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::request::Request;
use super::target::CommitTarget;
use super::ticket::Answer;
use crate::backend::encode::Encoded;
use crate::error::AppendError;
use crate::event::event::Event;
use crate::event::limits::MAX_TIME_AHEAD_MS;
use crate::metrics::meters::{Meters, Timed};

/// Decides on one batch: its offsets if it is staged now or was recorded before, or why not.
pub(crate) fn admit<E: Event>(
    target: &mut impl CommitTarget<E>,
    request: Request<E>,
    now: u64,
    meters: &Meters,
) -> Answer {
    let Request { events, batch, condition, time_ms, allow_future_time, .. } = request;
    if let Some(range) = recorded_before::<E>(target, &batch)? {
        return Ok(range);
    }
    if let Some(condition) = condition {
        // The store checked it before, and more: this is for what is appended to a backend directly.
        condition.query().check().map_err(AppendError::InvalidCondition)?;
        let (after, head) = (condition.head(), target.next_offset());
        if after > head {
            return Err(AppendError::ConditionBeyondHead { after, head });
        }
        if let Some(offset) = meters.time(Timed::Condition, || target.conflict(&condition))? {
            return Err(AppendError::Conflict { offset });
        }
    }
    let last = target.last_time_ms();
    if let Some(given) = time_ms {
        if given < last {
            return Err(AppendError::TimeGoesBack { given, last });
        }
        // Not before the last event's, whatever the clock says: the log has that time already.
        if !allow_future_time && given > last.max(now.saturating_add(MAX_TIME_AHEAD_MS)) {
            return Err(AppendError::TimeInFuture { given, now });
        }
    }
    if events.is_empty() {
        return Ok(target.next_offset()..target.next_offset());
    }
    target
        .reserve(batch.size(), batch.labels.label_count())
        .map_err(|error| no_room(error, batch.size()))?;
    let first = target.next_offset();
    let count = events.len() as u64;
    target.stage(events, batch, time_ms.unwrap_or(now.max(last)));
    assert_eq!(
        target.next_offset(),
        first + count,
        "a target stages each event at the next offset"
    );
    Ok(first..first + count)
}

/// Tells a lack of room from a failure.
fn no_room(error: io::Error, bytes: usize) -> AppendError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            AppendError::NoRoom { bytes: bytes as u64, source: Arc::new(error) }
        }
        _ => AppendError::Failed { source: Arc::new(error) },
    }
}

/// Returns where the log has this batch already, if its events' ids say so. What else is in the events does not matter.
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
        return conflict(id.text, offset, "where this batch cannot be");
    };
    for (index, place) in (0..labels.len()).zip(first..) {
        let Some(own) = labels.event(index).id_name() else {
            return conflict(id.text, offset, "and not all of this batch's events have ids");
        };
        match target.find_id(own)? {
            Some(found) if found == place => {}
            Some(found) => {
                return conflict(own.text, found, "at another place than the rest of this batch");
            }
            None => return conflict(id.text, offset, "but not all of this batch is"),
        }
        let (recorded, given) = (target.event_type(place)?, labels.event(index).event_type);
        if !is_same_type::<E>(&recorded, given) {
            return Err(AppendError::IdConflict {
                id: own.text.to_owned(),
                offset: place,
                how: format!("as an event of the type {recorded:?}, not {given:?}").into(),
            });
        }
    }
    Ok(Some(first..first + labels.len() as u64))
}

/// Returns whether two names are of one event type, of which either may be older than the other.
fn is_same_type<E: Event>(recorded: &str, given: &str) -> bool {
    recorded == given
        || E::aliases(given).contains(&recorded)
        || E::aliases(recorded).contains(&given)
}
