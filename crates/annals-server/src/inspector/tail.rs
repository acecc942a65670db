//! The streams of the inspector: the newest events that match a query, and the rates of the overview. Each message is a
//! whole part of a page, so a browser that stays behind holds no more than one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use maud::Markup;
use tokio::sync::watch;
use tokio::time::sleep;

use super::events::tail_rows;
use super::failure::Failed;
use super::filter::Filter;
use super::layout::protect;
use super::overview;
use super::params::Params;
use super::rows::found;
use crate::client::Client;
use crate::fault::Fault;
use crate::following::Following;
use crate::guarded;
use crate::pages::{Cursor, Page, Room};
use crate::shared::{Phase, Shared, draining};

/// The number of events that the tail shows.
const SHOWN: usize = 50;

/// The time between two messages of a tail, so that a fast log does not flood the browser.
const PAUSE: Duration = Duration::from_millis(250);

/// The time between two messages of the overview.
const PULSE: Duration = Duration::from_secs(1);

/// The time after which a silent stream sends a comment, so that no proxy ends it.
const COMMENT: Duration = Duration::from_secs(15);

const ROOM: Room = Room { events: 256, bytes: 4 << 20 };

/// Returns the newest events of a query as rows of a table, and again whenever there are new ones.
pub(super) async fn tail(
    State(shared): State<Arc<Shared>>,
    client: Option<Extension<Client>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let filter = Filter::parse(&Params::parse(query.as_deref()))?;
    let query = Arc::new(filter.query()?);
    let head = shared.head().get();
    let mut newest = Cursor::new(Arc::clone(&query), 0..head);
    (newest.reverse, newest.left) = (true, SHOWN as u64);
    let mut shown = Vec::new();
    while !newest.is_done() {
        let page = shared.read_page(&mut newest, ROOM).await?;
        shown.extend(rows(&page, &filter));
    }
    let name = client.map(|Extension(client)| client.to_string()).unwrap_or_default();
    let following = Following::new(&shared, "inspector", name, query, head, ROOM)?;
    let state = Tail { following, filter, shown, is_first: true };
    Ok(stream(
        rows_failed,
        unfold(state, |mut state| async move {
            let message = state.message().await?;
            Some((message, state))
        }),
    ))
}

struct Tail {
    following: Following,
    filter: Filter,
    /// The rows of events, the newest first. The events themselves may be large.
    shown: Vec<Markup>,
    is_first: bool,
}

impl Tail {
    /// Returns the next message; `None` once the server ends.
    async fn message(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.is_first) {
            return Some(message("rows", &tail_rows(&self.shown)));
        }
        let page = tokio::select! {
            page = self.following.next() => page?,
            () = sleep(COMMENT) => return Some(Bytes::from_static(b":\n\n")),
        };
        let mut outcome = page.map(|page| self.keep(&page));
        let pause = sleep(PAUSE);
        tokio::pin!(pause);
        while outcome.is_ok() {
            tokio::select! {
                page = self.following.next() => outcome = page?.map(|page| self.keep(&page)),
                () = &mut pause => break,
            }
        }
        Some(match outcome {
            Ok(()) => message("rows", &tail_rows(&self.shown)),
            Err(fault) => rows_failed(fault),
        })
    }

    /// Adds new events in front, and drops the oldest.
    fn keep(&mut self, page: &Page) {
        let mut new: Vec<Markup> = rows(page, &self.filter).collect();
        new.reverse();
        self.shown.splice(0..0, new);
        self.shown.truncate(SHOWN);
    }
}

/// Returns the rows of the events that have the text of the filter.
fn rows<'a>(page: &'a Page, filter: &'a Filter) -> impl Iterator<Item = Markup> + 'a {
    let found_in = page.iter().filter(|recorded| filter.has_text(&recorded.event));
    found_in.map(|recorded| found(recorded, &filter.text))
}

#[expect(clippy::needless_pass_by_value, reason = "the guard of a stream calls it so")]
fn rows_failed(fault: Fault) -> Bytes {
    let text = super::text::shown_up_to(&fault.message, 500);
    message("rows", &maud::html! { tr { td.bad colspan="5" { (text) } } })
}

/// Returns the rates of the overview, each second.
pub(super) async fn pulse(State(shared): State<Arc<Shared>>) -> Result<Response, Failed> {
    let permit = shared.subscription_permit()?;
    let phase = shared.phase();
    let pulses = unfold((shared, phase, permit), |(shared, mut phase, permit)| async move {
        let message = next_pulse(&shared, &mut phase).await?;
        Some((message, (shared, phase, permit)))
    });
    Ok(stream(pulse_failed, pulses))
}

async fn next_pulse(shared: &Arc<Shared>, phase: &mut watch::Receiver<Phase>) -> Option<Bytes> {
    tokio::select! {
        () = sleep(PULSE) => {}
        () = draining(phase) => return None,
    }
    let live = overview::live(shared).await;
    Some(live.map_or_else(pulse_failed, |live| message("pulse", &live)))
}

#[expect(clippy::needless_pass_by_value, reason = "the guard of a stream calls it so")]
fn pulse_failed(fault: Fault) -> Bytes {
    message("pulse", &maud::html! { p.bad { (fault.message) } })
}

/// Returns a response with these messages. If making one panics, the last is `failed` of the failure.
fn stream(
    failed: fn(Fault) -> Bytes,
    messages: impl futures_core::Stream<Item = Bytes> + Send + 'static,
) -> Response {
    let mut response = Response::new(guarded::body(messages, failed));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    protect(&mut response);
    response
}

/// Returns a message with a part of a page. Each line of it is a line of data.
fn message(event: &str, part: &Markup) -> Bytes {
    let mut text = format!("event: {event}\n");
    for line in part.0.split(['\n', '\r']) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_with_line_ends_is_one_message() {
        let part = maud::PreEscaped("a\nb\r\n\nevent: x".to_owned());
        let bytes = message("rows", &part);
        let text = std::str::from_utf8(&bytes).unwrap();
        assert_eq!(text, "event: rows\ndata: a\ndata: b\ndata: \ndata: \ndata: event: x\n\n");
    }
}
