//! The pages of consumers: the open subscriptions, the durable consumers and groups, and the parked events of a group.

use std::sync::Arc;

use annals_consumer::{
    ConsumerAdmin, ConsumerError, ConsumerInfo, ConsumerKind, ParkedEvent, ParkedEvents,
};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::failure::Failed;
use super::layout::Html;
use super::login::form;
use super::text::{counted, event_url, grouped, moment, shown, shown_up_to, time, url};
use crate::cursors::Cursor;
use crate::fault::{Fault, Kind};
use crate::shared::Shared;

/// The largest number of parked events that are shown.
const MAX_PARKED: usize = 500;
/// The largest number of subscriptions that are shown.
const MAX_SUBSCRIPTIONS: usize = 500;

fn fault(error: &ConsumerError) -> Fault {
    let kind = match error {
        ConsumerError::NotFound { .. } => Kind::NotFound,
        ConsumerError::Running { .. } | ConsumerError::NotParked { .. } => Kind::Conflict,
        _ => Kind::Io,
    };
    Fault::new(kind, error.to_string())
}

/// Returns the consumers and groups; none if the backend has no place for them.
fn list(shared: &Shared) -> Result<Option<Vec<ConsumerInfo>>, Fault> {
    match ConsumerAdmin::of(&shared.store) {
        Ok(admin) => admin.list().map(Some).map_err(|error| fault(&error)),
        Err(ConsumerError::NoPlace) => Ok(None),
        Err(error) => Err(fault(&error)),
    }
}

/// Returns the page of all consumers.
pub(super) async fn page(State(shared): State<Arc<Shared>>) -> Result<Html, Failed> {
    let reader = Arc::clone(&shared);
    let infos = shared.blocking(move || list(&reader)).await?;
    let (head, cursors) = (shared.head().get(), shared.cursors.list());
    let body = html! {
        h1 { "Consumers" }
        h2 { "Consumers and groups" }
        @match infos.as_deref() {
            None => { p.empty { "This store has no place for consumers and groups." } }
            Some([]) => { p.empty { "The store has no consumers and no groups. docs/CONSUMERS.md says what they do." } }
            Some(infos) => { (table(infos)) }
        }
        h2 { "Open subscriptions" }
        @if cursors.is_empty() {
            p.empty { "No client follows the log now." }
        } @else {
            (subscriptions(&cursors, head))
        }
    };
    Ok(Html::page("Consumers", "/ui/consumers", &body))
}

fn table(infos: &[ConsumerInfo]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Name" } th scope="col" { "Kind" } th.number scope="col" { "Position" }
                th.number scope="col" { "Lag" }
                th.number scope="col" { "In flight" } th.number scope="col" { "Parked" } } }
            tbody { @for info in infos { (row(info)) } }
        }
    }
}

fn row(info: &ConsumerInfo) -> Markup {
    let group = |count: u64| {
        if info.kind == ConsumerKind::Group { grouped(count) } else { "–".to_owned() }
    };
    html! {
        tr {
            td { a href=(page_of(&info.name)) { (shown(&info.name)) }
                @if let Some(problem) = &info.problem { p.bad { (shown_up_to(&problem.to_string(), 1_000)) } } }
            td { (info.kind) }
            td.number { (grouped(info.position)) }
            td.number { (grouped(info.lag)) }
            td.number { (group(info.in_flight)) @if info.retrying > 0 { " (" (grouped(info.retrying)) " retrying)" } }
            td.number { (group(info.parked)) }
        }
    }
}

fn page_of(name: &str) -> String {
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    // In a path, a plus sign is a plus sign.
    format!("/ui/consumers/{}", name.replace('+', "%20"))
}

fn subscriptions(cursors: &[Arc<Cursor>], head: u64) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Client" } th scope="col" { "Face" } th scope="col" { "Query" } th.number
                scope="col" { "Position" }
                th.number scope="col" { "Lag" } th scope="col" { "Since" } } }
            tbody {
                @for cursor in cursors.iter().take(MAX_SUBSCRIPTIONS) {
                    tr {
                        td { (shown_up_to(&cursor.client, 300)) }
                        td { (cursor.face) }
                        td { (query(cursor)) }
                        td.number { (grouped(cursor.position())) }
                        td.number { (grouped(head.saturating_sub(cursor.position()))) }
                        td.time { (moment(cursor.since)) }
                    }
                }
            }
        }
        @if cursors.len() > MAX_SUBSCRIPTIONS {
            p.note { (counted((cursors.len() - MAX_SUBSCRIPTIONS) as u64, "further subscription")) }
        }
    }
}

/// Returns a query in words.
fn query(cursor: &Cursor) -> Markup {
    if cursor.query.is_all() {
        return html! { "every event" };
    }
    html! {
        @for (index, item) in cursor.query.items().iter().take(8).enumerate() {
            @if index > 0 { " or " }
            @for name in item.types().iter().take(8) { (shown_up_to(name, 80)) " " }
            @for name in item.tags().iter().take(8) { span.tag { (shown_up_to(name, 80)) } " " }
        }
        @if cursor.query.items().len() > 8 { "…" }
    }
}

/// Returns the page of one consumer or group.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Html, Failed> {
    let (reader, wanted) = (Arc::clone(&shared), name.clone());
    let (info, parked) = shared
        .blocking(move || {
            let failed = |error: ConsumerError| fault(&error);
            let admin = ConsumerAdmin::of(&reader.store).map_err(failed)?;
            let info = admin.get(&wanted).map_err(failed)?;
            let parked = match info.kind {
                ConsumerKind::Group => admin.parked(&wanted, 0, MAX_PARKED).map_err(failed)?,
                _ => Vec::new(),
            };
            Ok((info, parked))
        })
        .await?;
    let kind = info.kind.to_string();
    let body = html! {
        h1 { @if kind == "group" { "Group " } @else { "Consumer " } (shown(&name)) }
        (table(std::slice::from_ref(&info)))
        @if info.kind == ConsumerKind::Group { (parked_events(&info, &parked)) }
        p { a href="/ui/consumers" { "All consumers" } }
    };
    Ok(Html::page(&name, "/ui/consumers", &body))
}

fn parked_events(info: &ConsumerInfo, parked: &[ParkedEvent]) -> Markup {
    let action = format!("{}/parked", page_of(&info.name));
    html! {
        h2 { "Parked events" }
        @if parked.is_empty() {
            p.empty { "No event is parked." }
        } @else {
            table {
                thead { tr { th.number scope="col" { "Offset" } th.number scope="col" { "Attempts" } th scope="col" {
                    "Parked" } th scope="col" { "Reason" } } }
                tbody {
                    @for event in parked {
                        tr {
                            td.number { a href=(event_url(event.offset)) { (grouped(event.offset)) } }
                            td.number { (event.attempts) }
                            td.time { (time(event.at_ms)) }
                            td { (shown_up_to(&event.reason, 2_000)) }
                        }
                    }
                }
            }
            @if info.parked > parked.len() as u64 { p.note
                { (counted(info.parked - parked.len() as u64, "further event")) } }
            form.buttons method="post" action=(action) {
                button.main name="action" value="replay" { "Deliver all of them again" }
                button name="action" value="drop" { "Drop all of them" }
            }
            p.dim { "Both work only while no program has the group open: such a program "
                "replays its parked events itself." }
        }
    }
}

/// Replays or drops the parked events of a group.
pub(super) async fn settle(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Failed> {
    let form = form(request).await?;
    let replays = match form.text("action") {
        Some("replay") => true,
        Some("drop") => false,
        _ => return Err(Failed(Fault::invalid("action must be replay or drop"))),
    };
    let reader = Arc::clone(&shared);
    let wanted = name.clone();
    shared
        .blocking(move || {
            let failed = |error: ConsumerError| fault(&error);
            let admin = ConsumerAdmin::of(&reader.store).map_err(failed)?;
            if replays {
                admin.replay_parked(&wanted, ParkedEvents::All).map_err(failed)
            } else {
                admin.drop_parked(&wanted, ParkedEvents::All).map_err(failed)
            }
        })
        .await?;
    Ok(Redirect::to(&url(&page_of(&name), &[])).into_response())
}
