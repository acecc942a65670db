//! `GET /v1/subscribe`: the events of a query, and then new ones, as server-sent events or as lines.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::params::{Params, number};
use super::read::line;
use crate::client::Client;
use crate::fault::Fault;
use crate::following::Following;
use crate::guarded;
use crate::pages::{Page, Room};
use crate::shared::Shared;

/// The parameters of `GET /v1/subscribe`.
pub(super) const PARAMETERS: [&str; 3] = ["from", "type", "tag"];

/// The time after which a silent stream of server-sent events sends a comment, so that no proxy ends it.
const COMMENT: Duration = Duration::from_secs(15);

const ROOM: Room = Room { events: 256, bytes: 1 << 20 };

/// Subscribes to the events that match the parameters.
pub(super) async fn subscribe(
    State(shared): State<Arc<Shared>>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let params = Params::parse(query.as_deref(), &PARAMETERS)?;
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let from = match (last, params.one("from")?) {
        (Some(last), _) => number("Last-Event-ID", last)?.saturating_add(1),
        (None, Some("end")) => shared.head().get(),
        (None, Some(from)) => number("from", from)?,
        (None, None) => 0,
    };
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let lines = accept.contains("application/x-ndjson");
    let query = Arc::new(params.query()?);
    let following = Following::new(&shared, "http", client.to_string(), query, from, ROOM)?;
    let sending = Sending { following, lines, caught_up: false };
    let pieces = unfold(sending, |mut sending| async move {
        let piece = sending.piece().await?;
        Some((piece, sending))
    });
    let last =
        move |fault| if lines { guarded::error_line(&fault) } else { guarded::sent_error(&fault) };
    let mut response = Response::new(guarded::body(pieces, last));
    let kind = if lines { "application/x-ndjson" } else { "text/event-stream" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

struct Sending {
    following: Following,
    lines: bool,
    caught_up: bool,
}

impl Sending {
    /// Returns the next bytes; `None` once the server ends.
    async fn piece(&mut self) -> Option<Bytes> {
        if self.lines {
            let page = self.following.next().await?;
            let lines = page.and_then(|page| lines(&page));
            return Some(lines.unwrap_or_else(|fault| guarded::error_line(&fault)));
        }
        let events = tokio::select! {
            events = self.events() => events?,
            () = tokio::time::sleep(COMMENT) => return Some(Bytes::from_static(b":\n\n")),
        };
        Some(events.unwrap_or_else(|fault| guarded::sent_error(&fault)))
    }

    /// Returns the next events as server-sent events; once, `caught-up` in their place.
    async fn events(&mut self) -> Option<Result<Bytes, Fault>> {
        let page = if self.caught_up {
            self.following.next().await?
        } else {
            self.following.present().await?
        };
        Some(page.and_then(|page| {
            if !page.is_empty() {
                return sent_events(&page);
            }
            self.caught_up = true;
            let head = self.following.reached();
            Ok(format!("event: caught-up\ndata: {{\"head\":{head}}}\n\n").into())
        }))
    }
}

fn lines(page: &Page) -> Result<Bytes, Fault> {
    let mut bytes = Vec::new();
    for recorded in page {
        line(recorded, &mut bytes)?;
    }
    Ok(bytes.into())
}

fn sent_events(page: &Page) -> Result<Bytes, Fault> {
    let mut bytes = Vec::new();
    for recorded in page {
        let head = format!("id: {}\nevent: event\ndata: ", recorded.offset);
        bytes.extend_from_slice(head.as_bytes());
        // A line ends with a line feed and has no other.
        line(recorded, &mut bytes)?;
        bytes.push(b'\n');
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use annals::{Query, RawEvent};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_sends_a_comment_each_15_seconds() {
        let shared = Arc::new(Shared::in_memory());
        let query = Arc::new(Query::all());
        let following = Following::new(&shared, "http", "peer".into(), query, 0, ROOM).unwrap();
        let mut sending = Sending { following, lines: false, caught_up: false };
        let first = sending.piece().await.unwrap();
        assert!(first.starts_with(b"event: caught-up"));
        for _ in 0..2 {
            let begin = tokio::time::Instant::now();
            assert_eq!(&*sending.piece().await.unwrap(), b":\n\n");
            assert_eq!(begin.elapsed().as_secs(), 15);
        }
    }

    /// Returns the pieces that a log of these types sends to a subscription to `type`, up to the first comment.
    async fn pieces(types: &[&'static str], from: u64) -> Vec<String> {
        let shared = Arc::new(Shared::in_memory());
        for name in types {
            shared.store.append(RawEvent::builder(*name).build().unwrap().into()).unwrap();
        }
        let query = Arc::new(Query::event_type("wanted"));
        let following = Following::new(&shared, "http", "peer".into(), query, from, ROOM).unwrap();
        let mut sending = Sending { following, lines: false, caught_up: false };
        let mut pieces = Vec::new();
        loop {
            let piece = String::from_utf8(sending.piece().await.unwrap().to_vec()).unwrap();
            if piece == ":\n\n" {
                return pieces;
            }
            pieces.push(piece);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn caught_up_comes_before_the_stream_is_silent() {
        let caught_up = |head: u64| format!("event: caught-up\ndata: {{\"head\":{head}}}\n\n");
        assert_eq!(pieces(&[], 0).await, [caught_up(0)]);
        assert_eq!(pieces(&["other"; 3], 0).await, [caught_up(3)], "no event matches");
        assert_eq!(pieces(&["other"; 3], 2).await, [caught_up(3)]);
        assert_eq!(pieces(&["other"; 3], 9).await, [caught_up(3)], "the head, not `from`");
        let full_page = [&["wanted"; ROOM.events][..], &["other"]].concat();
        let pieces = pieces(&full_page, 0).await;
        assert_eq!((pieces.len(), &pieces[1]), (2, &caught_up(257)));
    }
}
