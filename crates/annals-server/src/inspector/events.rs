//! The page of events: a query builder, the events that match, and the tail.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use maud::{Markup, html};

use super::builder;
use super::failure::Failed;
use super::filter::Filter;
use super::layout::Html;
use super::params::Params;
use super::rows::{columns, row};
use super::text::{counted, url};
use crate::pages::{Cursor, Room};
use crate::shared::Shared;

/// The number of events on a page, unless the URL says otherwise, and the largest.
const LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 500;

/// The events that are in memory at once.
const ROOM: Room = Room { events: 256, bytes: 8 << 20 };

/// The rows of a page, and the offset of the last one. The events themselves may be large.
#[derive(Default)]
struct Rows {
    list: Vec<Markup>,
    last: Option<u64>,
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
    let range = shared.blocking(move || wanted.window(&reader)).await?;
    let mut cursor = Cursor::new(Arc::new(filter.query()?), range);
    cursor.reverse = !filter.oldest_first;
    cursor.left = limit;
    let mut rows = Rows::default();
    while !live && !cursor.is_done() {
        for event in shared.read_page(&mut cursor, ROOM).await? {
            rows.last = Some(event.offset);
            rows.list.push(row(&event));
        }
    }
    let is_last = cursor.range.is_empty();
    let body = html! {
        h1 { "Events" }
        (builder::form(&filter, limit, live))
        @if live { (tail(&filter)) } @else { (found(&filter, &rows, limit, is_last)) }
        (builder::copies(&filter, limit))
    };
    Ok(Html::page("Events", "/ui/events", &body))
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

fn found(filter: &Filter, rows: &Rows, limit: u64, is_last: bool) -> Markup {
    let limit = limit.to_string();
    let mut live = filter.parameters();
    live.push(("live", "1"));
    html! {
        div.bar {
            p { (counted(rows.list.len() as u64, "event")) @if !is_last { ", and there are more" } }
            a.button href=(url("/ui/events", &live)) { "Live tail" }
        }
        @if rows.list.is_empty() {
            p.empty { "No event matches. " a href="/ui/events" { "Show all events" } }
        } @else {
            table.events { (columns()) tbody { @for row in &rows.list { (row) } } }
        }
        nav.pager aria-label="Pages of events" {
            @if let (Some(last), false) = (rows.last, is_last) {
                (further(filter, last, &limit))
            }
        }
    }
}

/// Returns the link to the events behind the last one of the page.
fn further(filter: &Filter, last: u64, limit: &str) -> Markup {
    let mut next = filter.clone();
    let name = if filter.oldest_first {
        next.from = last.saturating_add(1).to_string();
        "Newer events"
    } else {
        next.to = last.to_string();
        "Older events"
    };
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
