//! Appends with UmaDB's rules: conditions, repeated appends, and tracking positions.

use std::sync::Arc;

use annals::{AppendError, Appended, Batch, Condition, Query, RawEvent};

use super::incoming;
use super::messages::{AppendRequest, AppendResponse, TrackingInfo};
use crate::audit::Appender;
use crate::event::{Sent, WireEvent};
use crate::fault::{Fault, Kind};
use crate::pages::{Cursor, Room};
use crate::reserved::{TRACKING, UUID, parse_tracking, tracking_tag};
use crate::shared::Shared;

/// The events that are compared with those of a repeated append at once.
const PAGE: Room = Room { events: 256, bytes: 8 << 20 };

/// A caller's condition.
struct Guard {
    query: Arc<Query>,
    after: u64,
}

/// What the log says about a caller's condition.
enum Verdict {
    Holds,
    /// The log has exactly these events already; the offset of the last.
    Repeated(u64),
    Conflict(u64),
}

/// Appends the events of a request.
pub(crate) async fn append(
    shared: &Arc<Shared>,
    request: AppendRequest,
    appender: &Appender,
) -> Result<AppendResponse, Fault> {
    let AppendRequest { events, condition, tracking_info: tracking } = request;
    let guard = match condition {
        None => None,
        Some(condition) => Some(Guard {
            query: Arc::new(incoming::query(condition.fail_if_events_match)?),
            after: condition.after.unwrap_or(0),
        }),
    };
    let mut sent = Vec::with_capacity(events.len().max(1));
    for (index, event) in events.into_iter().enumerate() {
        sent.push(incoming::event(event, index)?);
    }
    let uuids = uuids(&sent);
    let count = sent.len();
    if let Some(tracking) = &tracking {
        // Each event stores the source.
        appender.share.take(tracking.source.len().saturating_mul(count))?;
        incoming::track(&mut sent, tracking)?;
    }
    let events: Vec<WireEvent> = sent.into_iter().map(WireEvent::from).collect();
    let events = appender.sign(events)?;
    for (index, sent) in events.iter().filter_map(WireEvent::sent).enumerate() {
        incoming::check_size(sent, index)?;
    }
    let server = Arc::clone(shared);
    let append =
        async move { append_guarded(&server, events, guard.as_ref(), tracking, uuids).await };
    let added = |done: &Done| match done {
        Done::Appended(batch) if !batch.known => Some(batch.offsets.clone()),
        _ => None,
    };
    Ok(match appender.logged(append, added).await? {
        Done::Appended(_) if count == 0 => AppendResponse { position: 0 },
        Done::Appended(batch) => AppendResponse { position: batch.offsets.end },
        Done::Repeated(last) => AppendResponse { position: last + 1 },
    })
}

enum Done {
    Appended(Appended),
    /// The log had the events, by their uuids; the offset of the last.
    Repeated(u64),
}

/// Appends, and reads and tries again as long as another client was faster in a way that does not matter.
async fn append_guarded(
    shared: &Arc<Shared>,
    events: Vec<WireEvent>,
    guard: Option<&Guard>,
    tracking: Option<TrackingInfo>,
    uuids: Option<Vec<String>>,
) -> Result<Done, Fault> {
    let (tracking, uuids) = (tracking.map(Arc::new), uuids.as_deref());
    let mut events = events;
    loop {
        let mut batch = Batch::new(Vec::new());
        if let Some(guard) = guard {
            // Beyond the head nothing can conflict, which the core refuses as a mistake.
            let after = guard.after.min(shared.head().get());
            batch = batch.condition(Condition::fail_if((*guard.query).clone()).after(after));
        }
        let mut is_old = false;
        if let Some(tracking) = &tracking {
            // The last event of the source may be anywhere in the log, so looking for it may wait for the disk.
            let (reader, tracking) = (Arc::clone(shared), Arc::clone(tracking));
            let condition;
            (condition, is_old) =
                shared.blocking(move || tracking_condition(&reader, &tracking)).await?;
            batch = batch.condition(condition);
        }
        // A second try needs the events again. Only conditions fail in a way that allows one.
        let again = (guard.is_some() || tracking.is_some()).then(|| events.clone());
        batch.events = std::mem::take(&mut events);
        match shared.backend().submit(batch).await {
            Ok(appended) => return Ok(Done::Appended(appended)),
            Err(AppendError::Conflict { .. } | AppendError::ConditionBeyondHead { .. }) => {
                match verdict(shared, guard, uuids).await? {
                    Verdict::Repeated(last) => return Ok(Done::Repeated(last)),
                    Verdict::Conflict(offset) => return Err(conflict(offset)),
                    Verdict::Holds if is_old => return Err(not_increasing(tracking.as_deref())),
                    // The tracking position moved, or the head passed a condition that was beyond it.
                    Verdict::Holds => events = again.unwrap_or_default(),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns the condition under which the tracking position may be recorded, and whether the log has one that is not
/// less. The condition fails then. The append is tried anyway: if the log has its events by their ids, it succeeds.
fn tracking_condition(
    shared: &Shared,
    tracking: &TrackingInfo,
) -> Result<(Condition, bool), Fault> {
    let tag = tracking_tag(&tracking.source);
    let last = last_tracking(shared, &tag, &tracking.source)?;
    let condition = Condition::fail_if(Query::tag(tag));
    Ok(match last {
        Some((_, position)) if tracking.position <= position => (condition, true),
        Some((offset, _)) => (condition.after(offset + 1), false),
        None => (condition, false),
    })
}

/// Returns the offset and the tracking position of the last event of a source.
fn last_tracking(shared: &Shared, tag: &str, source: &str) -> Result<Option<(u64, u64)>, Fault> {
    let Some(recorded) = shared.last_with_tag(tag)? else { return Ok(None) };
    let metadata = recorded.event.metadata();
    let value = metadata.iter().find(|(name, _)| *name == TRACKING).map(|(_, value)| *value);
    match value.and_then(parse_tracking) {
        Some((found, position)) if found == source => Ok(Some((recorded.offset, position))),
        _ => {
            let message = format!(
                "the event at offset {} has the tag {tag:?}, which is reserved for the server, but not its tracking \
                 position",
                recorded.offset
            );
            Err(Fault::new(Kind::Damaged, message).with("offset", recorded.offset))
        }
    }
}

/// Returns the last tracking position of a source.
pub(crate) fn tracking_position(shared: &Shared, source: &str) -> Result<Option<u64>, Fault> {
    let last = last_tracking(shared, &tracking_tag(source), source)?;
    Ok(last.map(|(_, position)| position))
}

/// Checks a caller's condition in the log, and whether the log has the caller's events already.
async fn verdict(
    shared: &Arc<Shared>,
    guard: Option<&Guard>,
    uuids: Option<&[String]>,
) -> Result<Verdict, Fault> {
    let Some(guard) = guard else { return Ok(Verdict::Holds) };
    let (query, after) = (Arc::clone(&guard.query), guard.after);
    let uuids = uuids.map(<[_]>::to_vec);
    let (wanted, reader) = (uuids.as_ref().map_or(1, Vec::len), Arc::clone(shared));
    let verdict = move || {
        let mut cursor = Cursor::new(query, after..reader.head().get());
        cursor.left = wanted as u64;
        let mut found = Vec::new();
        while !cursor.is_done() {
            for recorded in reader.next_page(&mut cursor, PAGE)? {
                let uuid = uuids.as_ref().and_then(|uuids| uuids.get(found.len()));
                found.push(recorded.offset);
                if uuid.is_none_or(|uuid| !has_uuid(&recorded.event, uuid)) {
                    return Ok(Verdict::Conflict(found[0]));
                }
            }
        }
        Ok(match (found.first(), found.last()) {
            (Some(_), Some(&last)) if found.len() == wanted => Verdict::Repeated(last),
            (Some(&first), _) => Verdict::Conflict(first),
            (None, _) => Verdict::Holds,
        })
    };
    shared.blocking(verdict).await
}

fn has_uuid(event: &RawEvent, uuid: &str) -> bool {
    event.metadata().iter().any(|(name, value)| *name == UUID && *value == uuid)
}

/// Returns the uuids of the events, if there are events and all have one.
fn uuids(events: &[Sent]) -> Option<Vec<String>> {
    let uuids: Option<Vec<String>> =
        events.iter().map(|event| event.metadata.get(UUID).map(str::to_owned)).collect();
    uuids.filter(|uuids| !uuids.is_empty())
}

fn conflict(offset: u64) -> Fault {
    let position = offset + 1;
    let message =
        format!("the condition failed: the event at position {position} matches its query");
    Fault::new(Kind::Conflict, message).with("offset", offset)
}

fn not_increasing(tracking: Option<&TrackingInfo>) -> Fault {
    let position = tracking.map_or(0, |tracking| tracking.position);
    let message = format!(
        "non-increasing tracking position: {position} is not greater than the last one of this source"
    );
    Fault::new(Kind::Conflict, message)
}
