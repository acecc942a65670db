//! The page of one event: its parts, its neighbours in the log and per tag, what caused it and what it caused.

use std::sync::Arc;

use annals::{RawEvent, Recorded};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use maud::{Markup, html};

use super::causes::{Causes, causes};
use super::failure::Failed;
use super::layout::{Html, protect};
use super::neighbours::{Neighbours, neighbours};
use super::params::Params;
use super::payload::payload;
use super::rows::{table_of, tag_link};
use super::text::{event_url, grouped, shown, shown_up_to, time};
use crate::fault::{Fault, Kind};
use crate::segment::Segment;
use crate::shared::Shared;

/// The longest value of metadata that is shown, in bytes.
const VALUE: usize = 4_096;

/// Everything that the page shows.
struct Found {
    event: Recorded<RawEvent>,
    head: u64,
    per_tag: Vec<Neighbours>,
    causes: Causes,
}

/// Returns the page.
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    Segment(offset, ..): Segment<Failed>,
    RawQuery(query): RawQuery,
) -> Result<Html, Failed> {
    let offset = number(&offset)?;
    let reader = Arc::clone(&shared);
    let found = shared.blocking(move || find(&reader, offset)).await?;
    let Some(found) = found else {
        let head = shared.head().get();
        let message = format!("the log has no event at offset {offset}; its head is {head}");
        return Err(Failed(Fault::new(Kind::NotFound, message)));
    };
    let params = Params::parse(query.as_deref());
    let event = &found.event.event;
    let body = html! {
        div.bar {
            h1 { "Event " (grouped(offset)) }
            (around(offset, found.head))
        }
        (parts(&found.event))
        (payload(offset, event.data_bytes(), params.text("show")))
        (metadata(event))
        (per_tag(&found.per_tag))
        (chain(&found.causes))
    };
    Ok(Html::page(&format!("Event {offset}"), "/ui/events", &body))
}

/// Returns the data of an event, to save: a browser must not show what a client sent as a page.
pub(super) async fn data(
    State(shared): State<Arc<Shared>>,
    Segment(offset, ..): Segment<Failed>,
) -> Result<Response, Failed> {
    let offset = number(&offset)?;
    let reader = Arc::clone(&shared);
    let found = shared.blocking(move || reader.event_at(offset)).await?;
    let Some(found) = found else {
        let message = format!("the log has no event at offset {offset}");
        return Err(Failed(Fault::new(Kind::NotFound, message)));
    };
    let mut response = Response::new(Body::from(found.event.data()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let name = format!("attachment; filename=\"event-{offset}\"");
    headers.insert(
        CONTENT_DISPOSITION,
        HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("attachment")),
    );
    protect(&mut response);
    Ok(response)
}

fn number(offset: &str) -> Result<u64, Fault> {
    let digits = offset.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { offset.parse().ok() } else { None };
    number.ok_or_else(|| Fault::invalid("an offset must be a whole number, 0 or more"))
}

fn find(shared: &Shared, offset: u64) -> Result<Option<Found>, Fault> {
    let Some(event) = shared.event_at(offset)? else { return Ok(None) };
    let head = shared.head().get();
    let tags = event.event.tags();
    let per_tag = tags.map(|tag| neighbours(shared, tag, offset)).collect::<Result<_, _>>()?;
    let causes = causes(shared, &event)?;
    Ok(Some(Found { event, head, per_tag, causes }))
}

/// Returns the links to the neighbours in the log.
fn around(offset: u64, head: u64) -> Markup {
    html! {
        nav.tabs aria-label="Neighbours in the log" {
            @if let Some(before) = offset.checked_sub(1) {
                a rel="prev" href=(event_url(before)) { "← " (grouped(before)) }
            }
            @if offset + 1 < head {
                a rel="next" href=(event_url(offset + 1)) { (grouped(offset + 1)) " →" }
            }
        }
    }
}

fn parts(recorded: &Recorded<RawEvent>) -> Markup {
    let event = &recorded.event;
    html! {
        dl.facts {
            div { dt { "Type" } dd { (shown(event.event_type())) } }
            div { dt { "Recorded" } dd { (time(recorded.time_ms)) } }
            div { dt { "Id" } dd { @match event.id() { Some(id) => (shown(id)), None => { span.dim { "none" } } } } }
        }
        @if event.tags().len() > 0 {
            p.tags { @for tag in event.tags() { (tag_link(tag)) " " } }
        }
    }
}

fn metadata(event: &RawEvent) -> Markup {
    let entries = event.metadata();
    html! {
        @if !entries.is_empty() {
            h2 { "Metadata" }
            table.pairs {
                thead.hidden { tr { th scope="col" { "Name" } th scope="col" { "Value" } } }
                tbody {
                    @for (name, value) in entries {
                        tr { th scope="row" { (shown(name)) } td { (shown_up_to(value, VALUE)) } }
                    }
                }
            }
        }
    }
}

fn per_tag(found: &[Neighbours]) -> Markup {
    let link = |offset: Option<u64>| {
        html! { @match offset { Some(offset) => { a href=(event_url(offset)) { (grouped(offset)) } } None => {
        span.dim { "–" } } } }
    };
    html! {
        @if !found.is_empty() {
            h2 { "Neighbours by tag" }
            table.pairs {
                thead { tr { th scope="col" { "Tag" } th scope="col" { "Its number" } th scope="col" { "Before" } th
                    scope="col" { "After" } } }
                tbody {
                    @for tag in found {
                        tr {
                            th scope="row" { (tag_link(&tag.tag)) }
                            td { (grouped(tag.rank + 1)) " of " (grouped(tag.count)) }
                            td { (link(tag.before)) }
                            td { (link(tag.after)) }
                        }
                    }
                }
            }
        }
    }
}

fn chain(found: &Causes) -> Markup {
    html! {
        @if !found.chain.is_empty() {
            h2 { "What caused it" }
            p.dim { "The event that the metadata names as the cause, the cause of that event, and so on." }
            (table_of(&found.chain))
        }
        @if let Some(missing) = &found.missing {
            p.note { "The metadata names " (shown_up_to(missing, 300))
                " as a cause, but no event of this log has that id." }
        }
        @if !found.effects.is_empty() {
            h2 { "What it caused" }
            p.dim { "Those of the next " (grouped(super::causes::WINDOW)) " events that name it as their cause." }
            (table_of(&found.effects))
        }
        @if !found.correlated.is_empty() {
            h2 { "Of the same correlation" }
            p.dim { "Those of the " (grouped(super::causes::WINDOW))
                " events before and after it that have the same correlation id." }
            (table_of(&found.correlated))
        }
    }
}
