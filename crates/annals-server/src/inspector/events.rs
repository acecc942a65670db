//! The page of events: a query builder, the events that match, and the tail.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use maud::{Markup, html};

use super::builder;
use super::failure::Failed;
use super::filter::{Filter, Window};
use super::layout::Html;
use super::params::Params;
use super::rows::{columns, found as row, table_of};
use super::text::{counted, url};
use crate::fault::Fault;
use crate::pages::{Cursor, Room};
use crate::shared::Shared;

/// The number of events on a page, unless the URL says otherwise, and the largest.
const LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 500;

/// The events that are in memory at once.
const ROOM: Room = Room { events: 256, bytes: 8 << 20 };

/// The most events, and the most bytes of their data, that one page searches for a text.
const SEARCHED: u64 = 20_000;
const SEARCHED_BYTES: u64 = 64 << 20;

/// The rows of a page. The events themselves may be large.
#[derive(Default)]
struct Rows {
    list: Vec<Markup>,
    /// The number of events that were looked at, and the offset of the last one.
    searched: u64,
    last: Option<u64>,
    /// Whether no event of the window is left.
    is_last: bool,
}

/// Returns the page.
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Html, Failed> {
    let params = Params::parse(query.as_deref());
    let filter = Filter::parse(&params)?;
    let limit = params.number("limit")?.unwrap_or(LIMIT).clamp(1, MAX_LIMIT);
    let live = params.has("live");
    let (reader, wanted) = (Arc::clone(&shared), filter.clone());
    let window = shared.blocking(move || wanted.window(&reader)).await?;
    let rows = if live { Rows::default() } else { search(&shared, &filter, window, limit).await? };
    let body = html! {
        h1 { "Events" }
        (builder::form(&filter, limit, live))
        @if live { (tail(&filter)) } @else { (found(&filter, &rows, limit)) }
        (builder::copies(&filter, window, limit))
    };
    Ok(Html::page("Events", "/ui/events", &body))
}

/// Reads the events of a page: `limit` that match. With a text, it stops when it has searched much without finding as
/// many.
async fn search(
    shared: &Arc<Shared>,
    filter: &Filter,
    window: Window,
    limit: u64,
) -> Result<Rows, Fault> {
    let range = window.range(shared.head().get());
    let mut cursor = Cursor::new(Arc::new(filter.query()?), range);
    cursor.reverse = !filter.oldest_first;
    cursor.left = if filter.text.is_empty() { limit } else { SEARCHED };
    let (mut rows, mut bytes) = (Rows::default(), 0);
    while !cursor.is_done() && (filter.text.is_empty() || bytes < SEARCHED_BYTES) {
        let mut page = shared.read_page(&mut cursor, ROOM).await?.into_iter();
        for event in page.by_ref() {
            rows.searched += 1;
            rows.last = Some(event.offset);
            bytes += event.event.data_bytes().len() as u64;
            if filter.has_text(&event.event) {
                rows.list.push(row(&event, &filter.text));
                if rows.list.len() as u64 == limit {
                    rows.is_last = cursor.range.is_empty() && page.len() == 0;
                    return Ok(rows);
                }
            }
        }
    }
    rows.is_last = cursor.range.is_empty();
    Ok(rows)
}

/// Returns the table that the tail fills.
fn tail(filter: &Filter) -> Markup {
    let parameters = filter.parameters();
    html! {
        div.bar {
            p { span.live { "live" } " The newest events that match, as they are appended." }
            a.button href=(url("/ui/events", &parameters)) { "Pause" }
        }
        noscript { p.note { "The live tail needs JavaScript. Reload the page without it to see new events." } }
        table.events hx-ext="sse" sse-connect=(url("/ui/tail", &parameters)) {
            (columns())
            tbody sse-swap="rows" { tr { td.dim colspan="5" { "Waiting for the server…" } } }
        }
    }
}

fn found(filter: &Filter, rows: &Rows, limit: u64) -> Markup {
    let limit = limit.to_string();
    let mut live = filter.parameters();
    live.push(("live", "1"));
    html! {
        div.bar {
            p { (counted(rows.list.len() as u64, "event"))
                @if !filter.text.is_empty() { " with the text, of " (counted(rows.searched, "event")) " searched" }
                @if !rows.is_last { ", and there are more" @if !filter.text.is_empty() { " to search" } } }
            a.button href=(url("/ui/events", &live)) { "Live tail" }
        }
        @if !rows.list.is_empty() {
            (table_of(&rows.list))
        } @else if rows.is_last {
            p.empty { "No event matches. " a href="/ui/events" { "Show all events" } }
        } @else {
            p.empty { "None of these events has the text." }
        }
        nav.pager aria-label="Pages of events" {
            @if let (Some(last), false) = (rows.last, rows.is_last) {
                (further(filter, last, &limit))
            }
        }
    }
}

/// Returns the link to the events behind the last one of the page.
fn further(filter: &Filter, last: u64, limit: &str) -> Markup {
    let mut next = filter.clone();
    let name = match (filter.oldest_first, filter.text.is_empty()) {
        (true, true) => "Newer events",
        (true, false) => "Search newer events",
        (false, true) => "Older events",
        (false, false) => "Search older events",
    };
    if filter.oldest_first {
        next.from = last.saturating_add(1).to_string();
    } else {
        next.to = last.to_string();
    }
    let mut parameters = next.parameters();
    parameters.push(("limit", limit));
    html! { a.button rel="next" href=(url("/ui/events", &parameters)) { (name) } }
}

/// Returns the rows of the tail.
pub(super) fn tail_rows(rows: &[Markup]) -> Markup {
    html! {
        @if rows.is_empty() {
            tr { td.dim colspan="5" { "No event matches yet." } }
        } @else {
            @for row in rows { (row) }
        }
    }
}
