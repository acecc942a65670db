//! One batch before its commit: was it recorded before, may it go ahead, is there room, which offsets does it get.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::home::Home;
use super::request::Request;
use super::ticket::Answer;
use crate::encode::Encoded;
use crate::meters::{Meters, Timed};
use crate::{AppendError, Event};

/// Decides on one batch: its offsets if it is staged now or was recorded before, or why not.
pub(super) fn admit<E: Event>(
    home: &mut impl Home<E>,
    request: Request<E>,
    now: u64,
    meters: &Meters,
) -> Answer {
    let Request { events, batch, condition, time_ms, .. } = request;
    if let Some(range) = recorded_before(home, &events, &batch)? {
        return Ok(range);
    }
    if let Some(condition) = &condition {
        // The store checked it before, and more: this is for what is appended to a backend directly.
        condition.query().check().map_err(AppendError::InvalidCondition)?;
    }
    if let Some(condition) = condition
        && let Some(offset) = meters.time(Timed::Condition, || home.conflict(&condition))?
    {
        return Err(AppendError::Conflict { offset });
    }
    let last = home.last_time_ms();
    if let Some(given) = time_ms.filter(|&given| given < last) {
        return Err(AppendError::TimeGoesBack { given, last });
    }
    if events.is_empty() {
        return Ok(home.next_offset()..home.next_offset());
    }
    home.reserve(batch.size(), batch.labels.label_count())
        .map_err(|error| no_room(error, batch.size()))?;
    let first = home.next_offset();
    let count = events.len() as u64;
    if count > 0 {
        home.stage(events, batch, time_ms.unwrap_or(now.max(last)));
    }
    debug_assert_eq!(
        home.next_offset(),
        first + count,
        "a home stages each event at the next offset"
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

/// Where the log has this batch already, if its events' ids say so.
fn recorded_before<E: Event>(
    home: &mut impl Home<E>,
    events: &[E],
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
            found = home.find_id(id)?.map(|offset| (index as u64, offset, id));
        }
    }
    let Some((index, offset, id)) = found else { return Ok(None) };
    let conflict =
        |id: &str, offset, how| Err(AppendError::IdConflict { id: id.to_owned(), offset, how });
    let Some(first) = offset.checked_sub(index) else {
        return conflict(id.text, offset, "where this batch cannot be");
    };
    for (index, place) in (0..labels.len()).zip(first..) {
        let Some(own) = labels.event(index).id_name() else {
            return conflict(id.text, offset, "and not all of this batch's events have ids");
        };
        match home.find_id(own)? {
            Some(found) if found == place => {}
            Some(found) => {
                return conflict(own.text, found, "at another place than the rest of this batch");
            }
            None => return conflict(id.text, offset, "but not all of this batch is"),
        }
        if !home.is_same(place, events, batch, index)? {
            return conflict(own.text, place, "with other content");
        }
    }
    Ok(Some(first..first + labels.len() as u64))
}
