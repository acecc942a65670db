//! `POST /v1/events`: one request is one batch.

use std::sync::Arc;

use annals::{AppendError, Batch, Condition, MAX_BATCH_EVENTS, RawEvent};
use annals_lines::{LineError, parse_line};
use axum::Json;
use axum::extract::{Request, State};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body;
use super::bounded::Bounded;
use super::params::{Items, query_of};
use crate::client::Client;
use crate::event::WireEvent;
use crate::fault::{Fault, Kind};
use crate::query_size::{MAX_CONDITIONS, QuerySize};
use crate::reserved::{is_reserved_name, is_reserved_tag};
use crate::shared::Shared;

/// A body in JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body<'b> {
    #[serde(borrow)]
    events: Bounded<&'b RawValue, MAX_BATCH_EVENTS>,
    #[serde(default)]
    conditions: Bounded<ConditionBody, MAX_CONDITIONS>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionBody {
    fail_if: Items,
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
        if index == MAX_BATCH_EVENTS {
            let lines = bytes.split(|&byte| byte == b'\n');
            return Err(too_long(lines.filter(|line| !line.trim_ascii().is_empty()).count()));
        }
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
    if body.events.total > MAX_BATCH_EVENTS {
        return Err(too_long(body.events.total));
    }
    if body.conditions.total > MAX_CONDITIONS {
        let message = format!(
            "the batch has {} conditions; the limit is {MAX_CONDITIONS}: put items into one condition",
            body.conditions.total
        );
        return Err(Fault::invalid(message).with("field", "conditions"));
    }
    let mut events = Vec::with_capacity(body.events.total);
    for (index, event) in body.events.kept.into_iter().enumerate() {
        let event = parse_line(event.get().as_bytes());
        let wrong = |problem: LineError| invalid(index, format!("event {index}, {problem}"));
        events.push(checked(event.map_err(wrong)?, index)?);
    }
    let mut batch = Batch::new(events);
    let mut size = QuerySize::default();
    for condition in body.conditions.kept {
        let query = query_of(condition.fail_if, "fail_if")?;
        size.add_query(&query).map_err(|fault| fault.with("field", "conditions"))?;
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

fn too_long(count: usize) -> Fault {
    AppendError::BatchTooLong { count }.into()
}

fn invalid(index: usize, message: String) -> Fault {
    Fault::new(Kind::InvalidEvent, message).with("index", index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_size::{MAX_ITEMS, MAX_NAMES};

    fn refused(batch: Result<Batch<RawEvent>, Fault>) -> Option<Kind> {
        batch.err().map(|fault| fault.kind)
    }

    /// Returns a list in JSON.
    fn list(element: &str, count: usize) -> String {
        format!("[{}]", vec![element; count].join(","))
    }

    #[test]
    fn events_are_counted_before_they_are_parsed() {
        // Events beyond the limit that no parser takes.
        let lines = "{\"type\":\"a\"}\n".repeat(MAX_BATCH_EVENTS);
        assert_eq!(refused(of_lines(lines.as_bytes())), None);
        let too_long = Some(Kind::BatchTooLarge);
        assert_eq!(refused(of_lines((lines + "x").as_bytes())), too_long);
        let body = format!("{{\"events\":{}}}", list("0", MAX_BATCH_EVENTS + 1));
        assert_eq!(refused(of_json(body.as_bytes())), too_long);
    }

    #[test]
    fn conditions_are_limited() {
        let refused = |conditions: String| {
            let body = format!("{{\"events\":[],\"conditions\":{conditions}}}");
            refused(of_json(body.as_bytes()))
        };
        let of_items = |items: String| format!("{{\"fail_if\":{items}}}");
        let of_tags = |tags: usize| of_items(format!("[{{\"tags\":{}}}]", list("\"a\"", tags)));
        let one = of_items("[{}]".into());
        let too_much = Some(Kind::InvalidRequest);
        for (element, most) in [
            (one, MAX_CONDITIONS),
            (of_items(list("{}", MAX_ITEMS)), 1),
            (of_items(list("{}", MAX_ITEMS / 2)), 2),
            (of_tags(MAX_NAMES), 1),
            (of_tags(MAX_NAMES / 2), 2),
        ] {
            assert_eq!(refused(list(&element, most)), None);
            assert_eq!(refused(list(&element, most + 1)), too_much);
        }
        assert_eq!(refused(list(&of_items(list("{}", MAX_ITEMS + 1)), 1)), too_much);
        assert_eq!(refused(list(&of_tags(MAX_NAMES + 1), 1)), too_much);
    }
}
