//! Reads: the events of a query as lines or as an array, one event, and its data.

use std::sync::Arc;

use annals::{Query, Recorded};
use annals_lines::{Data, write_line};
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use http::header::{
    ACCEPT, ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use super::body;
use super::params::{Items, Params, number, query_of};
use crate::fault::{Fault, Kind};
use crate::guarded;
use crate::pages::{Cursor, Page, Room};
use crate::segment::Segment;
use crate::shared::Shared;

/// The parameters of `GET /v1/events`.
pub(super) const PARAMETERS: [&str; 6] = ["from", "to", "type", "tag", "reverse", "limit"];

/// The header with the head of the log when a read began.
const HEAD: HeaderName = HeaderName::from_static("annals-head");

/// The largest number of events in an array.
pub(super) const MAX_ARRAY: u64 = 10_000;

/// The events that are read and sent in one piece.
const ROOM: Room = Room { events: 1_024, bytes: 1 << 20 };

/// What to read, besides the query.
#[derive(Debug, Default)]
struct Window {
    from: Option<u64>,
    to: Option<u64>,
    reverse: bool,
    limit: Option<u64>,
}

/// The body of `POST /v1/query`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryBody {
    pub(super) items: Items,
    from: Option<u64>,
    to: Option<u64>,
    #[serde(default)]
    reverse: bool,
    limit: Option<u64>,
}

/// Returns the events that match the parameters.
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let params = Params::parse(query.as_deref(), &PARAMETERS)?;
    let window = Window {
        from: params.number("from")?,
        to: params.number("to")?,
        reverse: params.flag("reverse")?,
        limit: params.number("limit")?,
    };
    read(shared, params.query()?, &window, wants_array(&headers)).await
}

/// Returns the events that match the body.
pub(super) async fn query(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Fault> {
    let array = wants_array(request.headers());
    let QueryBody { items, from, to, reverse, limit } = body::json(&body::read(request).await?)?;
    let window = Window { from, to, reverse, limit };
    read(shared, query_of(items, "items")?, &window, array).await
}

fn wants_array(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.contains("application/json") && !accept.contains("application/x-ndjson")
}

async fn read(
    shared: Arc<Shared>,
    query: Query,
    window: &Window,
    array: bool,
) -> Result<Response, Fault> {
    let limit = match window.limit {
        Some(limit) if array && limit > MAX_ARRAY => {
            let message = format!(
                "limit must be {MAX_ARRAY} or less for an array; with Accept: application/x-ndjson there is no limit"
            );
            return Err(Fault::invalid(message).with("field", "limit"));
        }
        Some(limit) => limit,
        None if array => MAX_ARRAY,
        None => u64::MAX,
    };
    let head = shared.head().get();
    let end = window.to.unwrap_or(head).min(head);
    let cursor = Cursor {
        query: Arc::new(query),
        range: window.from.unwrap_or(0).min(end)..end,
        reverse: window.reverse,
        left: limit,
    };
    let mut sending = Sending { shared, cursor, array, sent: 0, done: false };
    // What fails before the first byte has a status of its own.
    let first = sending.piece().await?;
    let rest = unfold(sending, move |mut sending| async move {
        if sending.done {
            return None;
        }
        let piece = match sending.piece().await {
            Ok(piece) => piece,
            Err(fault) => {
                sending.done = true;
                failed(&fault, array)
            }
        };
        Some((piece, sending))
    });
    let pieces = futures_util::stream::iter([first]).chain(rest);
    let mut response = Response::new(guarded::body(pieces, move |fault| failed(&fault, array)));
    let kind = if array { "application/json" } else { "application/x-ndjson" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(HEAD, HeaderValue::from(head));
    Ok(response)
}

/// A read whose events are sent piece by piece.
struct Sending {
    shared: Arc<Shared>,
    cursor: Cursor,
    array: bool,
    sent: u64,
    done: bool,
}

impl Sending {
    async fn piece(&mut self) -> Result<Bytes, Fault> {
        let page = if self.cursor.is_done() {
            Page::new()
        } else {
            self.shared.read_page(&mut self.cursor, ROOM).await?
        };
        let mut bytes = Vec::new();
        for recorded in &page {
            if self.array {
                bytes.push(if self.sent == 0 { b'[' } else { b',' });
            }
            line(recorded, &mut bytes)?;
            self.sent += 1;
        }
        self.done = self.cursor.is_done();
        if self.array && self.done {
            bytes.extend_from_slice(if self.sent == 0 { b"[]" } else { b"]" });
        }
        Ok(bytes.into())
    }
}

/// Returns the end of a response that fails after its beginning.
fn failed(fault: &Fault, array: bool) -> Bytes {
    let error = guarded::error_line(fault);
    if array { [b",", &error[..], b"]"].concat().into() } else { error }
}

/// Writes an event as a line.
pub(super) fn line(
    recorded: &Recorded<annals::RawEvent>,
    bytes: &mut Vec<u8>,
) -> Result<(), Fault> {
    write_line(recorded, bytes).map_err(|error| Fault::new(Kind::Internal, error.to_string()))
}

/// Returns one event.
pub(super) async fn event(
    State(shared): State<Arc<Shared>>,
    Segment(offset, ..): Segment,
) -> Result<Response, Fault> {
    let recorded = found(&shared, &offset).await?;
    let mut bytes = Vec::new();
    line(&recorded, &mut bytes)?;
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn found(shared: &Arc<Shared>, offset: &str) -> Result<Recorded<annals::RawEvent>, Fault> {
    let offset = number("offset", offset)?;
    let reader = Arc::clone(shared);
    let event = shared.blocking(move || reader.event_at(offset)).await?;
    event.ok_or_else(|| {
        let head = shared.head().get();
        let message = format!("there is no event at offset {offset}; the head is {head}");
        Fault::new(Kind::NotFound, message).with("head", head)
    })
}

/// Returns the data of an event, or a range of its bytes.
pub(super) async fn data(
    State(shared): State<Arc<Shared>>,
    Segment(offset, ..): Segment,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let recorded = found(&shared, &offset).await?;
    let data = recorded.event.data();
    let json = matches!(Data::of(&data), Data::Json(_));
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let range = range.map(|range| bytes_of(range, data.len())).transpose()?.flatten();
    let mut response = Response::default();
    let headers = response.headers_mut();
    let kind = if json { "application/json" } else { "application/octet-stream" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // A browser must not show what a client sent as a page of this server.
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    let body = match range {
        None => data,
        Some(range) => {
            let text = format!("bytes {}-{}/{}", range.start, range.end - 1, data.len());
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(CONTENT_RANGE, value);
            }
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            data.slice(range)
        }
    };
    *response.body_mut() = Body::from(body);
    Ok(response)
}

/// Returns the bytes of a range; `None` if it is not one range of bytes, and then all are sent.
pub(super) fn bytes_of(range: &str, size: usize) -> Result<Option<std::ops::Range<usize>>, Fault> {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Ok(None);
    };
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(last)) if first.is_empty() => size.saturating_sub(last)..size,
        _ => return Ok(None),
    };
    if range.is_empty() {
        let message = format!("the data has {size} bytes, and none of them is in the range");
        return Err(Fault::new(Kind::RangeNotSatisfiable, message));
    }
    Ok(Some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_bytes() {
        let range = |text, size| bytes_of(text, size).map_err(|fault| fault.kind);
        for (text, expected) in [
            ("bytes=0-0", Some(0..1)),
            ("bytes=2-", Some(2..5)),
            ("bytes=-2", Some(3..5)),
            ("bytes=-9", Some(0..5)),
            ("bytes=1-99", Some(1..5)),
            ("bytes=3-1", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("lines=0-1", None),
            ("", None),
        ] {
            assert_eq!(range(text, 5), Ok(expected), "{text}");
        }
        assert_eq!(range("bytes=5-", 5), Err(Kind::RangeNotSatisfiable));
        assert_eq!(range("bytes=0-", 0), Err(Kind::RangeNotSatisfiable));
    }
}
