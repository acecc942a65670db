//! The pages of consumers: the open subscriptions, the durable consumers and groups, and the parked events of a group.

use std::sync::Arc;

use annals_consumer::{
    ConsumerAdmin, ConsumerError, ConsumerInfo, ConsumerKind, GroupStatus, ParkedEvent,
    ParkedEvents,
};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::failure::Failed;
use super::layout::Html;
use super::login::form;
use super::text::{counted, event_url, grouped, moment, shown, shown_up_to, time, url};
use crate::cursors::Cursor;
use crate::fault::{Fault, Kind};
use crate::segment::Segment;
use crate::shared::Shared;

/// The largest number of parked events that are shown.
const MAX_PARKED: usize = 500;
/// The largest number of subscriptions that are shown.
const MAX_SUBSCRIPTIONS: usize = 500;

/// What the pages show of a consumer or group.
struct Row {
    name: String,
    kind: ConsumerKind,
    position: u64,
    lag: u64,
    in_flight: u64,
    retrying: u64,
    parked: u64,
    problem: Option<String>,
}

impl Row {
    /// Returns the row of a consumer, or of a group that the server does not run.
    fn of(info: ConsumerInfo) -> Self {
        let ConsumerInfo { name, kind, position, lag, in_flight, retrying, parked, .. } = info;
        let problem = info.problem.map(|problem| problem.to_string());
        Self { name, kind, position, lag, in_flight, retrying, parked, problem }
    }

    /// Returns the row of a group that the server runs; `None` if it does not run it.
    fn of_open(shared: &Shared, name: &str) -> Option<Self> {
        let report = shared.groups.report_open(name)?;
        let GroupStatus { position, lag, in_flight, retrying, parked, .. } = report.status?;
        let (name, kind, problem) = (report.name, ConsumerKind::Group, None);
        Some(Self { name, kind, position, lag, in_flight, retrying, parked, problem })
    }
}

/// Returns the consumers and groups; none if the backend has no storage for them.
fn list(shared: &Shared) -> Result<Option<Vec<Row>>, Fault> {
    let admin = match ConsumerAdmin::of(&shared.store) {
        Err(ConsumerError::NoStorage) => return Ok(None),
        admin => admin?,
    };
    let row =
        |info: ConsumerInfo| Row::of_open(shared, &info.name).unwrap_or_else(|| Row::of(info));
    Ok(Some(admin.list()?.into_iter().map(row).collect()))
}

/// Returns one consumer or group, and the parked events of a group.
fn find(shared: &Shared, name: &str) -> Result<(Row, Vec<ParkedEvent>), Fault> {
    let row = match Row::of_open(shared, name) {
        Some(row) => row,
        None => Row::of(
            ConsumerAdmin::of(&shared.store)?.get(name).map_err(|error| not_found(name, error))?,
        ),
    };
    let parked = match row.kind {
        ConsumerKind::Group => shared.groups.parked(name, 0, MAX_PARKED)?,
        _ => Vec::new(),
    };
    Ok((row, parked))
}

/// Returns the fault of a name that may be one of a consumer, too.
fn not_found(name: &str, error: ConsumerError) -> Fault {
    match error {
        ConsumerError::NotFound { .. } => {
            Fault::new(Kind::NotFound, format!("the store has no consumer and no group {name:?}"))
        }
        error => error.into(),
    }
}

/// Returns the page of all consumers.
pub(super) async fn page(State(shared): State<Arc<Shared>>) -> Result<Html, Failed> {
    let reader = Arc::clone(&shared);
    let rows = shared.blocking(move || list(&reader)).await?;
    let (head, cursors) = (shared.head().get(), shared.cursors.list());
    let body = html! {
        h1 { "Consumers" }
        h2 { "Consumers and groups" }
        @match rows.as_deref() {
            None => { p.empty { "This store has no storage for consumers and groups." } }
            Some([]) => { p.empty { "The store has no consumers and no groups. docs/CONSUMERS.md says what they do." } }
            Some(rows) => { (table(rows)) }
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

fn table(rows: &[Row]) -> Markup {
    html! {
        table.consumers {
            thead { tr { th scope="col" { "Name" } th scope="col" { "Kind" } th.number scope="col" { "Position" }
                th.number scope="col" { "Lag" }
                th.number scope="col" { "In flight" } th.number scope="col" { "Parked" } } }
            tbody { @for row in rows { (table_row(row)) } }
        }
    }
}

fn table_row(row: &Row) -> Markup {
    let group = |count: u64| {
        if row.kind == ConsumerKind::Group { grouped(count) } else { "–".to_owned() }
    };
    html! {
        tr {
            td { a href=(page_of(&row.name)) { (shown(&row.name)) }
                @if let Some(problem) = &row.problem { p.bad { (shown_up_to(problem, 1_000)) } } }
            td.word { (row.kind) }
            td.number { (grouped(row.position)) }
            td.number { (grouped(row.lag)) }
            td.number { (group(row.in_flight)) @if row.retrying > 0 { " (" (grouped(row.retrying)) " retrying)" } }
            td.number { (group(row.parked)) }
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
                        td.word { (cursor.face) }
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
    Segment(name, ..): Segment<Failed>,
) -> Result<Html, Failed> {
    let (reader, wanted) = (Arc::clone(&shared), name.clone());
    let (row, parked) = shared.blocking(move || find(&reader, &wanted)).await?;
    let is_writable = shared.groups.check_writable().is_ok();
    let kind = row.kind.to_string();
    let body = html! {
        h1 { @if kind == "group" { "Group " } @else { "Consumer " } (shown(&name)) }
        (table(std::slice::from_ref(&row)))
        @if row.kind == ConsumerKind::Group { (parked_events(&row, &parked, is_writable)) }
        p { a href="/ui/consumers" { "All consumers" } }
    };
    Ok(Html::page(&name, "/ui/consumers", &body))
}

fn parked_events(row: &Row, parked: &[ParkedEvent], is_writable: bool) -> Markup {
    let action = format!("{}/parked", page_of(&row.name));
    html! {
        h2 { "Parked events" }
        @if parked.is_empty() {
            p.empty { "No event is parked." }
        } @else {
            table.parked {
                thead { tr { th.number scope="col" { "Offset" } th.number scope="col" { "Attempts" } th scope="col" {
                    "Parked" } th scope="col" { "Reason" } } }
                tbody {
                    @for event in parked {
                        tr {
                            td.number { a href=(event_url(event.offset)) { (grouped(event.offset)) } }
                            td.number.attempts { (event.attempts) }
                            td.time { (time(event.at_ms)) }
                            td.reason { (shown_up_to(&event.reason, 2_000)) }
                        }
                    }
                }
            }
            @if row.parked > parked.len() as u64 { p.note
                { (counted(row.parked - parked.len() as u64, "further event")) } }
            @if is_writable {
                form.buttons method="post" action=(action) {
                    button.main name="action" value="replay" { "Deliver all of them again" }
                    button name="action" value="drop" { "Drop all of them" }
                }
                p.dim { "Both work only while no program beside the server runs the group: such a program "
                    "replays its parked events itself." }
            } @else {
                p.note { "The server is read-only, so it neither replays nor drops them." }
            }
        }
    }
}

/// Replays or drops the parked events of a group.
pub(super) async fn settle(
    State(shared): State<Arc<Shared>>,
    Segment(name, ..): Segment<Failed>,
    request: Request,
) -> Result<Response, Failed> {
    shared.groups.check_writable()?;
    let form = form(request).await?;
    let replays = match form.text("action") {
        Some("replay") => true,
        Some("drop") => false,
        _ => return Err(Failed(Fault::invalid("action must be replay or drop"))),
    };
    // The server runs the group from now on, as after a pull of a worker.
    let group = shared.groups.group(&name).await?;
    let all = ParkedEvents::All;
    shared
        .blocking(move || {
            Ok(if replays { group.replay_parked(all)? } else { group.drop_parked(all)? })
        })
        .await?;
    Ok(Redirect::to(&url(&page_of(&name), &[])).into_response())
}
