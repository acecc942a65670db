//! `POST /v1/events`: one request is one batch.

use std::sync::Arc;

use annals::{Batch, Condition, RawEvent};
use annals_lines::{LineError, parse_line};
use axum::Json;
use axum::extract::{Request, State};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body;
use super::params::{Item, query_of};
use crate::client::Client;
use crate::event::WireEvent;
use crate::fault::{Fault, Kind};
use crate::reserved::{is_reserved_name, is_reserved_tag};
use crate::shared::Shared;

/// A body in JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'b> {
    #[serde(borrow)]
    events: Vec<&'b RawValue>,
    #[serde(default)]
    conditions: Vec<ConditionBody>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionBody {
    fail_if: Vec<Item>,
    #[serde(default)]
    after: u64,
}

/// Appends the events of the body.
pub(super) async fn append(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Json<Value>, Fault> {
    let client = request.extensions().get::<Client>().cloned().unwrap_or_default();
    let appender = client.appender(&shared);
    let kind = request.headers().get(CONTENT_TYPE);
    let lines = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-ndjson"));
    let bytes = body::read(request).await?;
    let batch = if lines { of_lines(&bytes)? } else { of_json(&bytes)? };
    drop(bytes);
    let events = batch.events.into_iter().map(WireEvent::from).collect();
    let events = appender.sign(events)?;
    let batch = Batch::new(events).conditions(batch.conditions);
    let submitted = shared.backend().submit(batch);
    let append = async { Ok(submitted.await?) };
    let done = appender.logged(append, |done| (!done.known).then(|| done.offsets.clone())).await?;
    let (offsets, already) = (done.offsets, done.known);
    let (first, last) = if offsets.is_empty() {
        (Value::Null, Value::Null)
    } else {
        (offsets.start.into(), (offsets.end - 1).into())
    };
    let head = shared.head().get();
    Ok(Json(json!({ "first": first, "last": last, "head": head, "already": already })))
}

pub(super) fn of_lines(bytes: &[u8]) -> Result<Batch<RawEvent>, Fault> {
    let mut events = Vec::new();
    for (line, text) in (1_u64..).zip(bytes.split(|&byte| byte == b'\n')) {
        if text.trim_ascii().is_empty() {
            continue;
        }
        let index = events.len();
        let wrong = |problem: LineError| invalid(index, format!("line {line}, {problem}"));
        events.push(checked(parse_line(text).map_err(wrong)?, index)?);
    }
    if events.is_empty() {
        return Err(Fault::invalid("the body has no lines"));
    }
    Ok(Batch::new(events))
}

pub(super) fn of_json(bytes: &[u8]) -> Result<Batch<RawEvent>, Fault> {
    let body: Body<'_> = serde_json::from_slice(bytes).map_err(|error| body::not_json(&error))?;
    let mut events = Vec::with_capacity(body.events.len());
    for (index, event) in body.events.into_iter().enumerate() {
        let event = parse_line(event.get().as_bytes());
        let wrong = |problem: LineError| invalid(index, format!("event {index}, {problem}"));
        events.push(checked(event.map_err(wrong)?, index)?);
    }
    let mut batch = Batch::new(events);
    for condition in body.conditions {
        let query = query_of(condition.fail_if, "fail_if")?;
        batch = batch.condition(Condition::fail_if(query).after(condition.after));
    }
    if batch.events.is_empty() && batch.conditions.is_empty() {
        return Err(Fault::invalid("the body has neither events nor conditions"));
    }
    Ok(batch)
}

/// Refuses the names that only the server may write.
fn checked(event: RawEvent, index: usize) -> Result<RawEvent, Fault> {
    if let Some(tag) = event.tags().find(|tag| is_reserved_tag(tag)) {
        return Err(invalid(
            index,
            format!("event {index}: the tag {tag:?} is reserved for the server"),
        ));
    }
    if let Some((name, _)) = event.metadata().iter().find(|(name, _)| is_reserved_name(name)) {
        let message =
            format!("event {index}: the metadata name {name:?} is reserved for the server");
        return Err(invalid(index, message));
    }
    Ok(event)
}

fn invalid(index: usize, message: String) -> Fault {
    Fault::new(Kind::InvalidEvent, message).with("index", index)
}
