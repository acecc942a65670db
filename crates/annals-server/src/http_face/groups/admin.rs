//! What an operator of groups calls: create, report, parked events, reset and delete.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use std::vec;

use annals_consumer::{
    ConsumerAdmin, ConsumerError, ConsumerKind, Consumers as _, GroupSettings, ParkedEvent,
    ParkedEvents,
};
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::bodies::{GroupBody, ParkedBody, ResetBody, report};
use crate::event::Store;
use crate::fault::{Fault, Kind};
use crate::guarded;
use crate::http_face::body;
use crate::http_face::params::Params;
use crate::http_face::read::line;
use crate::segment::Segment;
use crate::shared::Shared;

/// The parameters of `GET /v1/groups/NAME/parked`.
pub(in crate::http_face) const PARAMETERS: [&str; 2] = ["after", "limit"];

/// The number of parked events in a response, unless the request says otherwise, and the largest.
pub(in crate::http_face) const PARKED: u64 = 100;
pub(in crate::http_face) const MAX_PARKED: u64 = 1_000;

/// The bytes after which a piece of the lines of parked events ends.
const PIECE: usize = 1 << 20;

/// Creates a group, or changes the settings of one that has this query and key.
pub(in crate::http_face) async fn put(
    State(shared): State<Arc<Shared>>,
    Segment(name, ..): Segment,
    request: Request,
) -> Result<Response, Fault> {
    shared.groups.check_writable()?;
    let body: GroupBody = body::json(&body::read(request).await?)?;
    let (wanted, from) = body.settings(shared.head().get())?;
    let exists = match shared.groups.group(&name).await {
        // Nothing changes, so the workers that wait are not disturbed.
        Ok(group) if group.settings() == wanted => {
            return reported(&shared, &name, StatusCode::OK).await;
        }
        Ok(group) => {
            check_same_events(&group.settings(), &wanted)?;
            true
        }
        Err(fault) if fault.kind == Kind::NoGroup => false,
        Err(fault) => return Err(fault),
    };
    let opened = name.clone();
    let open = move |store: &Store, open: &mut Option<_>| {
        *open = None;
        let builder = store.group(opened).settings(wanted).from(from).keep_leases();
        *open = Some(builder.open()?);
        Ok(())
    };
    shared.groups.exclusively(&name, open).await?;
    let status = if exists { StatusCode::OK } else { StatusCode::CREATED };
    reported(&shared, &name, status).await
}

/// Refuses another query or key for a group that exists: its state depends on them.
fn check_same_events(found: &GroupSettings, wanted: &GroupSettings) -> Result<(), Fault> {
    let what = if found.query != wanted.query {
        "query"
    } else if found.key != wanted.key {
        "key"
    } else {
        return Ok(());
    };
    let message =
        format!("the group exists with another {what}; use another name, or delete the group");
    Err(Fault::new(Kind::GroupExists, message).with("field", what))
}

async fn reported(shared: &Arc<Shared>, name: &str, status: StatusCode) -> Result<Response, Fault> {
    let (reader, name) = (Arc::clone(shared), name.to_owned());
    let found = shared.blocking(move || reader.groups.report(&name)).await?;
    Ok((status, Json(report(&found))).into_response())
}

/// Reports one group.
pub(in crate::http_face) async fn get(
    State(shared): State<Arc<Shared>>,
    Segment(name, ..): Segment,
) -> Result<Response, Fault> {
    reported(&shared, &name, StatusCode::OK).await
}

/// Reports all groups.
pub(in crate::http_face) async fn list(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<Value>, Fault> {
    let reader = Arc::clone(&shared);
    let found = shared.blocking(move || reader.groups.list()).await?;
    Ok(Json(found.iter().map(report).collect::<Vec<_>>().into()))
}

/// Returns the parked events, as lines.
pub(in crate::http_face) async fn parked(
    State(shared): State<Arc<Shared>>,
    Segment(name, ..): Segment,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let params = Params::parse(query.as_deref(), &PARAMETERS)?;
    let from = params.number("after")?.map_or(0, |after| after.saturating_add(1));
    let limit = params.number("limit")?.unwrap_or(PARKED);
    if limit > MAX_PARKED {
        let message = format!("limit must be {MAX_PARKED} or less");
        return Err(Fault::invalid(message).with("field", "limit"));
    }
    let (reader, limit) = (Arc::clone(&shared), usize::try_from(limit).unwrap_or(usize::MAX));
    let parked = shared.blocking(move || reader.groups.parked(&name, from, limit)).await?;
    let pieces = unfold((shared, parked.into_iter()), |(shared, left)| async move {
        let (piece, left) = piece(&shared, left).await?;
        Some((piece, (shared, left)))
    });
    let last = |fault| guarded::error_line(&fault);
    let mut response = Response::new(guarded::body(pieces, last));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// Returns the next lines, and the parked events behind them. Only the events of one piece are in memory.
async fn piece(
    shared: &Arc<Shared>,
    mut left: vec::IntoIter<ParkedEvent>,
) -> Option<(Bytes, vec::IntoIter<ParkedEvent>)> {
    if left.len() == 0 {
        return None;
    }
    let reader = Arc::clone(shared);
    let lines = move || {
        let mut lines = String::new();
        while lines.len() < PIECE
            && let Some(parked) = left.next()
        {
            lines += &parked_line(&reader, &parked);
        }
        Ok((lines.into(), left))
    };
    let lines = shared.blocking(lines).await;
    Some(lines.unwrap_or_else(|fault| (guarded::error_line(&fault), Vec::new().into_iter())))
}

fn parked_line(shared: &Shared, parked: &ParkedEvent) -> String {
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(parked.at_ms)).unwrap_or(UNIX_EPOCH);
    let about = json!({
        "offset": parked.offset,
        "attempts": parked.attempts,
        "parked_at": humantime::format_rfc3339_millis(at).to_string(),
        "reason": parked.reason,
    });
    let event = || {
        let Some(event) = shared.event_at(parked.offset)? else { return Ok("null".to_owned()) };
        let mut bytes = Vec::new();
        line(&event, &mut bytes)?;
        Ok::<_, Fault>(String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned())
    };
    // An event may be parked because it cannot be read. Its line then says so.
    let (field, value) = match event() {
        Ok(event) => ("event", event),
        Err(fault) => ("error", fault.to_json().to_string()),
    };
    let mut line = about.to_string();
    line.pop();
    // Writing into a String does not fail.
    let _ = writeln!(line, ",\"{field}\":{value}}}");
    line
}

/// Delivers parked events again.
pub(in crate::http_face) async fn replay(
    State(shared): State<Arc<Shared>>,
    Segment(name, ..): Segment,
    request: Request,
) -> Result<Json<Value>, Fault> {
    unpark(&shared, name, request, true).await
}

/// Drops parked events: they count as handled.
pub(in crate::http_face) async fn drop_parked(
    State(shared): State<Arc<Shared>>,
    Segment(name, ..): Segment,
    request: Request,
) -> Result<Json<Value>, Fault> {
    unpark(&shared, name, request, false).await
}

async fn unpark(
    shared: &Arc<Shared>,
    name: String,
    request: Request,
    replays: bool,
) -> Result<Json<Value>, Fault> {
    shared.groups.check_writable()?;
    let offsets = body::json::<ParkedBody>(&body::read(request).await?)?.offsets()?;
    let group = shared.groups.group(&name).await?;
    let count = shared
        .blocking(move || {
            let which = offsets.as_deref().map_or(ParkedEvents::All, ParkedEvents::At);
            Ok(if replays { group.replay_parked(which)? } else { group.drop_parked(which)? })
        })
        .await?;
    Ok(Json(json!({ "count": count })))
}

/// Lets a group go on at an offset.
pub(in crate::http_face) async fn reset(
    State(shared): State<Arc<Shared>>,
    Segment(name, ..): Segment,
    request: Request,
) -> Result<StatusCode, Fault> {
    let ResetBody { offset } = body::json(&body::read(request).await?)?;
    on_closed(&shared, name, move |admin, name| admin.reset(name, offset)).await
}

/// Deletes a group. Its events are not touched.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method is of one lifetime")]
pub(in crate::http_face) async fn delete(
    State(shared): State<Arc<Shared>>,
    Segment(name, ..): Segment,
) -> Result<StatusCode, Fault> {
    on_closed(&shared, name, |admin, name| admin.delete(name)).await
}

/// An operator's functions on the served store.
type Admin<'a> =
    ConsumerAdmin<'a, crate::event::WireEvent, Box<dyn annals::Backend<crate::event::WireEvent>>>;

/// Changes a group while no request uses it. This also helps a group that cannot be opened.
async fn on_closed(
    shared: &Shared,
    name: String,
    change: impl FnOnce(&Admin<'_>, &str) -> Result<(), ConsumerError> + Send + 'static,
) -> Result<StatusCode, Fault> {
    shared.groups.check_writable()?;
    let changed = name.clone();
    let work = move |store: &Store, open: &mut Option<_>| {
        *open = None;
        let admin = ConsumerAdmin::of(store)?;
        if admin.get(&changed)?.kind != ConsumerKind::Group {
            return Err(ConsumerError::NotFound { name: changed });
        }
        change(&admin, &changed)
    };
    shared.groups.exclusively(&name, work).await?;
    Ok(StatusCode::NO_CONTENT)
}
