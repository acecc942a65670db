//! The page of events: a query builder, the events that match, and the tail.

use std::sync::Arc;

use annals::{RawEvent, Recorded};
use axum::extract::{RawQuery, State};
use maud::{Markup, html};

use super::builder;
use super::failure::Failed;
use super::filter::Filter;
use super::layout::Html;
use super::params::Params;
use super::rows::{columns, table};
use super::text::{counted, url};
use crate::pages::{Cursor, Room};
use crate::shared::Shared;

/// The number of events on a page, unless the URL says otherwise, and the largest.
const LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 500;

/// A page of events holds this much at most: what is shown of each event is bounded, too.
const ROOM_BYTES: usize = 32 << 20;

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
    let mut events = Vec::new();
    while !live && !cursor.is_done() {
        let room = Room { events: usize::try_from(cursor.left).unwrap_or(1), bytes: ROOM_BYTES };
        events.extend(shared.read_page(&mut cursor, room).await?);
    }
    let is_last = cursor.range.is_empty();
    let body = html! {
        h1 { "Events" }
        (builder::form(&filter, limit, live))
        @if live { (tail(&filter)) } @else { (found(&filter, &events, limit, is_last)) }
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

fn found(filter: &Filter, events: &[Recorded<RawEvent>], limit: u64, is_last: bool) -> Markup {
    let limit = limit.to_string();
    let mut live = filter.parameters();
    live.push(("live", "1"));
    html! {
        div.bar {
            p { (counted(events.len() as u64, "event")) @if !is_last { ", and there are more" } }
            a.button href=(url("/ui/events", &live)) { "Live tail" }
        }
        @if events.is_empty() {
            p.empty { "No event matches. " a href="/ui/events" { "Show all events" } }
        } @else {
            (table(events))
        }
        nav.pager aria-label="Pages of events" {
            @if let (Some(last), false) = (events.last(), is_last) {
                (further(filter, last.offset, &limit))
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
