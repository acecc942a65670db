//! A failed request as a page.

use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Uri};
use maud::{Markup, html};

use super::layout::Html;
use super::text::shown_up_to;
use crate::fault::{Fault, Kind};

/// The longest message that a page shows, in bytes.
const MESSAGE: usize = 2_048;

/// A failed request of the inspector.
#[derive(Debug)]
pub(super) struct Failed(pub(super) Fault);

impl<F: Into<Fault>> From<F> for Failed {
    fn from(fault: F) -> Self {
        Self(fault.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        respond(&self.0, "/ui")
    }
}

/// Returns a refusal by the server's gate as a page: for a stranger, the form that takes a token.
pub(crate) fn refusal(fault: &Fault, uri: &Uri) -> Response {
    respond(fault, uri.path_and_query().map_or("/ui", |path| path.as_str()))
}

fn respond(fault: &Fault, wanted: &str) -> Response {
    let (status, name) = fault.kind.http();
    let title = if fault.kind == Kind::Unauthenticated { "Sign in" } else { name };
    let body = html! {
        h1 { (title.replace('-', " ")) }
        @if fault.kind == Kind::Unauthenticated {
            (sign_in(wanted))
        } @else {
            p.bad { (shown_up_to(&fault.message, MESSAGE)) }
            @if fault.kind == Kind::Forbidden {
                form method="post" action="/ui/logout" { button { "Sign in with another token" } }
            }
        }
    };
    let mut response = Html::page(title, "", &body).status(status).into_response();
    if let Some(seconds) = fault.kind.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Returns the form that takes a token.
pub(super) fn sign_in(wanted: &str) -> Markup {
    html! {
        p { "This server wants a token. The inspector keeps it for this browser until you sign out, or for 12 hours." }
        form.stack method="post" action="/ui/login" {
            input type="hidden" name="next" value=(wanted);
            label { "Token" input type="password" name="token" required autofocus autocomplete="current-password"; }
            button.main { "Sign in" }
        }
    }
}
