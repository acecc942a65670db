//! The paths of the inspector. All are below `/ui`, and `/` leads there.

use std::sync::Arc;

use axum::response::{Redirect, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use http::Uri;

use super::cookie::remember;
use super::failure::Failed;
use super::scans::Scans;
use super::state::page as state;
use super::state::timeline::Timelines;
use super::state::views::Views;
use super::verification::Verification;
use super::{assets, consumers, event, events, login, names, overview, tag, tail, verification};
use crate::fault::{Fault, Kind};
use crate::segment::Segment;
use crate::shared::Shared;

/// Returns the routes of the inspector. `views` is what the page of states shows.
pub(crate) fn routes(shared: &Arc<Shared>, views: Views) -> Router {
    Router::new()
        .route("/", get(async || Redirect::to("/ui")))
        .route("/ui", get(overview::page))
        .route("/ui/", get(async || Redirect::to("/ui")))
        .route("/ui/pulse", get(tail::pulse))
        .route("/ui/events", get(events::page))
        .route("/ui/tail", get(tail::tail))
        .route("/ui/events/{offset}", get(event::page))
        .route("/ui/events/{offset}/data", get(event::data))
        .route("/ui/tags", get(names::page))
        .route("/ui/tag", get(tag::page))
        .route("/ui/state", get(state::page))
        .route("/ui/state/part", get(state::part))
        .route("/ui/state/json", get(state::json))
        .route("/ui/consumers", get(consumers::page))
        .route("/ui/consumers/{name}", get(consumers::one))
        .route("/ui/consumers/{name}/parked", post(consumers::settle))
        .route("/ui/verify", get(verification::page).post(verification::start))
        .route("/ui/verify/progress", get(verification::part))
        .route("/ui/suggest/{list}", get(names::suggest))
        .route("/ui/login", get(login::page).post(login::sign))
        .route("/ui/logout", post(login::out))
        .route("/ui/assets/{name}", get(asset))
        .route("/ui/{*path}", any(missing))
        .layer(Extension(Verification::default()))
        .layer(Extension(Timelines::default()))
        .layer(Extension(Scans::default()))
        .layer(Extension(views))
        .layer(axum::middleware::from_fn(remember))
        .with_state(Arc::clone(shared))
}

/// Returns a script, the style sheet or the icon.
async fn asset(Segment(name, ..): Segment<Failed>) -> Result<Response, Failed> {
    assets::find(&name).ok_or_else(|| {
        Failed(Fault::new(Kind::NotFound, format!("the inspector has no file {name:?}")))
    })
}

/// Answers a path below `/ui` that is none of the inspector's.
async fn missing(uri: Uri) -> Failed {
    let message = format!("the inspector has no page {:?}", uri.path());
    Failed(Fault::new(Kind::NotFound, message))
}
