//! What the log has: its head, its numbers, its types and tags, and the state of the server.

use std::sync::Arc;

use annals::{Distribution, NameKind, Stats};
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::params::Params;
use crate::fault::{Fault, Kind};
use crate::segment::Segment;
use crate::shared::Shared;

/// The parameters of `GET /v1/types` and `GET /v1/tags`.
pub(super) const PARAMETERS: [&str; 3] = ["prefix", "after", "limit"];

/// The number of names in a response, unless the request says otherwise, and the largest.
pub(super) const NAMES: u64 = 1_000;
pub(super) const MAX_NAMES: u64 = 10_000;

/// Returns the offset that the next event will get.
pub(super) async fn head(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "head": shared.head().get() }))
}

/// Returns the sizes of the log, what was measured, and the open subscriptions.
pub(super) async fn stats(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, Fault> {
    let reader = Arc::clone(&shared);
    let stats = shared.blocking(move || Ok(reader.store.stats())).await?;
    let head = shared.head().get();
    let subscriptions: Vec<Value> = shared
        .cursors
        .list()
        .iter()
        .map(|cursor| {
            let position = cursor.position();
            let items = cursor.query.items().iter();
            json!({
                "face": cursor.face,
                "client": cursor.client,
                "query": items.map(|item| json!({ "types": item.types(), "tags": item.tags() }))
                    .collect::<Vec<_>>(),
                "position": position,
                "lag_events": head.saturating_sub(position),
                "since": humantime::format_rfc3339_millis(cursor.since).to_string(),
            })
        })
        .collect();
    let mut body = numbers(&stats);
    body["head"] = head.into();
    body["store_id"] =
        shared.backend().store_id().map(|id| uuid::Uuid::from_bytes(id).to_string()).into();
    body["health"] = shared.store.health().to_string().into();
    body["subscriptions"] = subscriptions.into();
    Ok(Json(body))
}

fn numbers(stats: &Stats) -> Value {
    let times = |times: &Distribution| {
        let Distribution { count, p50, p99, max, .. } = times;
        json!({ "count": count, "p50": p50, "p99": p99, "max": max })
    };
    json!({
        "events": stats.events,
        "event_bytes": stats.event_bytes,
        "index_bytes": stats.index_bytes,
        "segments": stats.segments,
        "memory_bytes": stats.memory_bytes,
        "commits": stats.commits,
        "conflicts": stats.conflicts,
        "append_errors": stats.append_errors,
        "read_errors": stats.read_errors,
        "append_ns": times(&stats.append_ns),
        "sync_ns": times(&stats.sync_ns),
        "read_ns": times(&stats.read_ns),
    })
}

/// Returns the event types, each with its number of events.
pub(super) async fn types(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Fault> {
    names(&shared, NameKind::Type, "type", query.as_deref()).await
}

/// Returns the tags, each with its number of events.
pub(super) async fn tags(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Fault> {
    names(&shared, NameKind::Tag, "tag", query.as_deref()).await
}

async fn names(
    shared: &Arc<Shared>,
    kind: NameKind,
    field: &'static str,
    query: Option<&str>,
) -> Result<Json<Value>, Fault> {
    let params = Params::parse(query, &PARAMETERS)?;
    let prefix = params.one("prefix")?.unwrap_or_default().to_owned();
    let after = params.one("after")?.map(str::to_owned);
    let limit = params.number("limit")?.unwrap_or(NAMES);
    if limit > MAX_NAMES {
        return Err(
            Fault::invalid(format!("limit must be {MAX_NAMES} or less")).with("field", "limit")
        );
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (reader, permit) = (Arc::clone(shared), shared.scan_permit().await?);
    let scan = move || {
        // Moved here: the scan goes on if the client does not wait for it.
        let _permit = permit;
        let mut found = reader.backend().names(kind, &prefix)?;
        found.retain(|found| after.as_ref().is_none_or(|after| found.name > *after));
        found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let rows = found.into_iter().take(limit);
        Ok(rows.map(|found| json!({ field: found.name, "count": found.count })).collect())
    };
    let rows: Vec<Value> = shared.blocking(scan).await?;
    Ok(Json(rows.into()))
}

/// Returns the number of events with a tag, and the first and the last of them.
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    Segment(tag, ..): Segment,
) -> Result<Json<Value>, Fault> {
    let (reader, wanted) = (Arc::clone(&shared), tag.clone());
    let (count, first, last) = shared
        .blocking(move || {
            let backend = reader.backend();
            let count = backend.count(NameKind::Tag, &wanted, 0..backend.head().get())?;
            let first = backend.nth(NameKind::Tag, &wanted, 0)?;
            let last = match count.checked_sub(1) {
                Some(last) => backend.nth(NameKind::Tag, &wanted, last)?,
                None => None,
            };
            Ok((count, first, last))
        })
        .await?;
    if count == 0 {
        return Err(Fault::new(Kind::NotFound, format!("no event has the tag {tag:?}")));
    }
    Ok(Json(json!({ "tag": tag, "count": count, "first": first, "last": last })))
}

/// Answers as long as the process runs.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// Answers with 200 while the server takes requests, and with 503 and the reason otherwise.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.not_ready() {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// Returns the metrics as text for Prometheus.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Fault> {
    let Some(text) = shared.metrics.clone() else {
        return Err(Fault::new(Kind::NotFound, "this server has no recorder of metrics"));
    };
    let reader = Arc::clone(&shared);
    let text = shared
        .blocking(move || {
            // The sizes go to the recorder when they are asked for.
            let _ = reader.store.stats();
            for face in ["grpc", "http"] {
                let cursors = reader.cursors.list();
                let cursors = cursors.iter().filter(|cursor| cursor.face == face);
                let head = reader.head().get();
                let lag = cursors.map(|cursor| head.saturating_sub(cursor.position())).max();
                #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
                metrics::gauge!("annals_subscription_lag_events", "face" => face)
                    .set(lag.unwrap_or(0) as f64);
            }
            Ok(text())
        })
        .await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn one_request_at_a_time_scans_the_names() {
        let shared = Arc::new(Shared::in_memory());
        let permit = shared.scan_permit().await.unwrap();
        let tags = tags(State(Arc::clone(&shared)), RawQuery(None));
        tokio::pin!(tags);
        assert!(tokio::time::timeout(Duration::from_millis(100), &mut tags).await.is_err());
        drop(permit);
        assert_eq!(tags.await.unwrap().0, json!([]));
    }
}
