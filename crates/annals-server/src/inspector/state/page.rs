//! The page of states, and its parts: the state after one of the projection's events, what that event changed, and a
//! slider that moves along them.

use std::sync::Arc;

use annals::{RawEvent, Recorded};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use maud::{Markup, html};

use super::diff::{Change, changes};
use super::timeline::{Timeline, Timelines, event_of};
use super::view::View;
use super::views::Views;
use crate::fault::{Fault, Kind};
use crate::inspector::failure::Failed;
use crate::inspector::layout::{Html, protect};
use crate::inspector::params::Params;
use crate::inspector::payload::value;
use crate::inspector::rows::table;
use crate::inspector::text::{counted, grouped, shown, shown_up_to, unmasked, url};
use crate::shared::Shared;

/// The header with which htmx sets the URL of the page.
const REPLACE_URL: HeaderName = HeaderName::from_static("hx-replace-url");
/// The longest value of a change that is shown, in bytes.
const VALUE: usize = 400;

/// What the URL asks for.
#[derive(Debug, Clone)]
struct Wanted {
    view: String,
    of: String,
    step: Option<usize>,
    at: Option<u64>,
    play: bool,
}

impl Wanted {
    fn parse(query: Option<&str>) -> Result<Self, Fault> {
        let params = Params::parse(query);
        let step = params.number("step")?.map(|step| usize::try_from(step).unwrap_or(usize::MAX));
        Ok(Self {
            view: params.text("view").unwrap_or_default().to_owned(),
            of: params.exact("of").unwrap_or_default().to_owned(),
            step,
            at: params.number("at")?,
            play: params.has("play"),
        })
    }

    /// Returns the URL of a page, with further parameters.
    fn url(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut parameters = vec![("view", &*self.view), ("of", &*self.of)];
        parameters.extend(more);
        url(path, &parameters)
    }

    /// Returns the URL of the page of a state that others can use: it names an offset, which never changes its meaning.
    fn shared_url(&self, found: &Found) -> String {
        match &found.event {
            Some(event) => self.url("/ui/state", &[("at", &event.offset.to_string())]),
            None => self.url("/ui/state", &[("step", "0")]),
        }
    }
}

/// A state, and how it came about.
struct Found {
    /// The number of the projection's events.
    steps: usize,
    /// The number of events in the state.
    step: usize,
    event: Option<Recorded<RawEvent>>,
    json: String,
    skipped: u64,
    changes: Option<(Vec<Change>, bool)>,
}

async fn find(
    shared: &Arc<Shared>,
    views: &Views,
    timelines: &Timelines,
    wanted: &Wanted,
) -> Result<Found, Fault> {
    let (reader, views, timelines) = (Arc::clone(shared), views.clone(), timelines.clone());
    let wanted = wanted.clone();
    let permit = timelines.permit().await?;
    shared
        .blocking(move || {
            // Moved here: the fold goes on if the browser does not wait for it.
            let _permit = permit;
            let key = format!("{}\0{}", wanted.view, wanted.of);
            let open = || {
                let view = views.find(&wanted.view).ok_or_else(|| no_view(&wanted.view))?;
                view.open(&wanted.of).ok_or_else(|| no_projection(&wanted))
            };
            timelines.with(&reader, &key, open, |timeline| state(&reader, timeline, &wanted))
        })
        .await
}

fn no_view(name: &str) -> Fault {
    Fault::new(Kind::NotFound, format!("the server has no projection {name:?}"))
}

fn no_projection(wanted: &Wanted) -> Fault {
    let message = format!("{:?} names no projection of {:?}", wanted.of, wanted.view);
    Fault::new(Kind::NotFound, message)
}

fn state(shared: &Shared, timeline: &Timeline, wanted: &Wanted) -> Result<Found, Fault> {
    let steps = timeline.len();
    let failure = match (wanted.step, wanted.at) {
        (Some(step), _) => timeline.failure().filter(|_| step > steps),
        (None, Some(at)) => timeline.failure_at(at),
        (None, None) => timeline.failure(),
    };
    if let Some(fault) = failure {
        let message = format!(
            "{}; the states up to step {steps} of the projection can be shown",
            fault.message
        );
        return Err(Fault { message, ..fault.clone() });
    }
    let step = match (wanted.step, wanted.at) {
        (Some(step), _) => step.min(steps),
        (None, Some(at)) => timeline.steps_at(at),
        (None, None) => steps,
    };
    let event = event_of(shared, timeline, step)?;
    let Some(event) = event else {
        let state = timeline.state(shared, 0)?;
        let (json, skipped) = (state.to_json()?, state.skipped());
        return Ok(Found { steps, step: 0, event: None, json, skipped, changes: None });
    };
    let mut state = timeline.state(shared, step - 1)?;
    let before = state.to_json()?;
    state.apply(&event)?;
    let json = state.to_json()?;
    let changes = changes(&before, &json);
    Ok(Found { steps, step, event: Some(event), json, skipped: state.skipped(), changes })
}

/// Returns the page.
pub(in crate::inspector) async fn page(
    State(shared): State<Arc<Shared>>,
    Extension(views): Extension<Views>,
    Extension(timelines): Extension<Timelines>,
    RawQuery(query): RawQuery,
) -> Result<Html, Failed> {
    let wanted = Wanted::parse(query.as_deref())?;
    let view = views.find(&wanted.view);
    let needs_more = view.is_none_or(|view| view.open(&wanted.of).is_none());
    let found = if needs_more && (wanted.view.is_empty() || wanted.of.is_empty()) {
        None
    } else {
        Some(find(&shared, &views, &timelines, &wanted).await?)
    };
    let body = html! {
        h1 { "State" }
        (forms(&views, &wanted))
        @match &found {
            None => { p.empty {
                    "Choose a projection. The page shows its state after each of its events, "
                    "and what the event changed."
                } }
            Some(found) => { div #panel { (panel(&wanted, found)) } }
        }
    };
    Ok(Html::page("State", "/ui/state", &body))
}

/// Returns one form for each projection.
fn forms(views: &Views, wanted: &Wanted) -> Markup {
    html! {
        div.views {
            @for view in views.all() {
                form.builder method="get" action="/ui/state" {
                    input type="hidden" name="view" value=(view.name());
                    (choice(view, wanted))
                }
            }
        }
    }
}

fn choice(view: &dyn View, wanted: &Wanted) -> Markup {
    let is_chosen = view.name() == wanted.view;
    let list = format!("of-{}", view.name());
    html! {
        div.choice {
            strong { (shown(view.name())) @if is_chosen { span.dim { " shown below" } } }
            @if let Some(parameter) = view.parameter() {
                label { (shown(&parameter))
                    @if let Some(of) = unmasked(&wanted.of).filter(|_| is_chosen) { " " (of) }
                    input name="of" value=[is_chosen.then_some(&*wanted.of)] list=(list) maxlength="255"
                        autocomplete="off"
                        hx-get={ "/ui/suggest/tags?prefix="
                            (form_urlencoded::byte_serialize(view.tag_prefix().as_bytes()).collect::<String>()) }
                        hx-trigger="focus once, input changed delay:150ms" hx-target="next datalist";
                }
                datalist id=(list) {}
            }
            button.main { "Show" }
        }
    }
}

/// Returns the slider and the state below it.
fn panel(wanted: &Wanted, found: &Found) -> Markup {
    let Found { steps, step, .. } = *found;
    let to = |step: usize| wanted.url("/ui/state", &[("step", &step.to_string())]);
    let next = (step + 1).min(steps).to_string();
    html! {
        @if steps == 0 {
            p.empty { "The log has no events of this projection." }
        }
        form.slider method="get" action="/ui/state" {
            input type="hidden" name="view" value=(wanted.view);
            input type="hidden" name="of" value=(wanted.of);
            label { "Events in the state, 0 to " (grouped(steps as u64))
                input #step type="range" name="step" min="0" max=(steps) value=(step) step="1" autocomplete="off"
                    hx-get=(wanted.url("/ui/state/part", &[])) hx-trigger="input delay:60ms" hx-target="#result"
                        hx-sync="this:replace";
            }
            div.buttons {
                button { "Go" }
                @if step > 0 {
                    a.button href=(to(0)) { "First" }
                    a.button rel="prev" href=(to(step - 1)) { "← Step back" }
                }
                @if step < steps {
                    a.button rel="next" href=(to(step + 1)) { "Step on →" }
                    a.button href=(to(steps)) { "Last" }
                }
                @if wanted.play {
                    a.button href=(to(step)) { "Stop" }
                } @else if step < steps {
                    a.button href=(wanted.url("/ui/state", &[("step", &step.to_string()), ("play", "1")])) { "Play" }
                }
            }
        }
        @if wanted.play && step < steps {
            div hx-get=(wanted.url("/ui/state/part", &[("step", &next), ("play", "1")])) hx-trigger="load delay:900ms"
                hx-target="#panel" {}
            noscript { p.note { "Playing needs JavaScript; the buttons do not." } }
        }
        div #result { (result(wanted, found)) }
    }
}

/// Returns the state, the event that led to it, and what the event changed.
fn result(wanted: &Wanted, found: &Found) -> Markup {
    let step = found.step.to_string();
    html! {
        div.bar {
            h2 {
                @match &found.event {
                    None => { "Before the first event" }
                    Some(event) => { "At offset " (grouped(event.offset)) span.dim { ", event "
                        (grouped(found.step as u64)) " of " (grouped(found.steps as u64)) } }
                }
            }
            nav.tabs aria-label="Other forms of this state" {
                a href=(wanted.shared_url(found)) { "Link to this state" }
                a href=(wanted.url("/ui/state/json", &[("step", &step)])) { "JSON" }
            }
        }
        @if found.skipped > 0 {
            p.note { (counted(found.skipped, "event")) " up to here could not be used, and were skipped." }
        }
        div.columns {
            section { h2 { "State" } (value(&found.json)) }
            section {
                @if let Some(event) = &found.event {
                    h2 { "What the event changed" }
                    (changed(found.changes.as_ref()))
                    h2 { "The event" }
                    (table(std::slice::from_ref(event)))
                }
            }
        }
    }
}

fn changed(changes: Option<&(Vec<Change>, bool)>) -> Markup {
    let Some((changes, all)) = changes else {
        return html! { p.note { "The states are too large to compare." } };
    };
    let text = |value: Option<&String>| {
        html! { @match value
        { Some(text) => (shown_up_to(text, VALUE)), None => { span.dim { "–" } } } }
    };
    html! {
        @if changes.is_empty() {
            p.empty { "Nothing." }
        } @else {
            table.changes {
                thead { tr { th scope="col" { "Path" } th scope="col" { "Before" } th scope="col" { "After" } } }
                tbody {
                    @for change in changes {
                        tr {
                            th scope="row" { code { (shown_up_to(if change.path.is_empty() { "(all)" } else {
                                &change.path }, VALUE)) } }
                            td.data { (text(change.before.as_ref())) }
                            td.data { (text(change.after.as_ref())) }
                        }
                    }
                }
            }
            @if !all { p.note { "There are further changes." } }
        }
    }
}

/// Returns a part of the page: the state, or with `play` also the slider. It sets the URL of the page.
pub(in crate::inspector) async fn part(
    State(shared): State<Arc<Shared>>,
    Extension(views): Extension<Views>,
    Extension(timelines): Extension<Timelines>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let wanted = Wanted::parse(query.as_deref())?;
    let found = find(&shared, &views, &timelines, &wanted).await?;
    let part = if wanted.play { panel(&wanted, &found) } else { result(&wanted, &found) };
    let mut response = Html::part(part).into_response();
    if let Ok(url) = HeaderValue::try_from(wanted.shared_url(&found)) {
        response.headers_mut().insert(REPLACE_URL, url);
    }
    Ok(response)
}

/// Returns the state as JSON, for programs.
pub(in crate::inspector) async fn json(
    State(shared): State<Arc<Shared>>,
    Extension(views): Extension<Views>,
    Extension(timelines): Extension<Timelines>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let wanted = Wanted::parse(query.as_deref())?;
    let found = find(&shared, &views, &timelines, &wanted).await?;
    let mut response = found.json.into_response();
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    protect(&mut response);
    Ok(response)
}
