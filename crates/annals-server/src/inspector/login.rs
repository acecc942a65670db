//! The way in and out: a form that takes a token, and the cookie that stands for it.

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, StatusCode};
use maud::html;

use super::cookie::{NAME, session};
use super::failure::{Failed, sign_in};
use super::layout::Html;
use super::params::Params;
use super::paths::is_page;
use crate::access::sessions::LIFE;
use crate::fault::Fault;
use crate::refused_body::RefusedBody;
use crate::shared::Shared;

/// The largest body of a form, in bytes.
const MAX_FORM: usize = 64 << 10;

/// Reads the fields of a form.
pub(super) async fn form(request: Request) -> Result<Params, Fault> {
    let body = axum::body::to_bytes(request.into_body(), MAX_FORM).await;
    match body {
        Ok(body) => Ok(Params::of_form(&body)),
        Err(error) => Err(RefusedBody::fault_of(&error).unwrap_or_else(|| {
            Fault::invalid("the form is too large, or did not come to its end")
        })),
    }
}

/// Returns the page with the form.
pub(super) async fn page(RawQuery(query): RawQuery) -> Html {
    let params = Params::parse(query.as_deref());
    let body = html! { h1 { "Sign in" } (sign_in(params.text("next").unwrap_or("/ui"))) };
    Html::page("Sign in", "", &body)
}

/// Takes the token of the form, and leads to the page that was asked for.
pub(super) async fn sign(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Failed> {
    let form = form(request).await?;
    // Only to pages of the inspector: the form may have been filled in by another page.
    let next = form.text("next").filter(|next| is_page(next.split('?').next().unwrap_or_default()));
    let next = next.unwrap_or("/ui");
    let Some(id) = form.text("token").and_then(|token| shared.access.sign_in(token.as_bytes()))
    else {
        let body = html! { h1 { "Sign in" } p.bad { "The server does not know this token." } (sign_in(next)) };
        let page = Html::page("Sign in", "", &body).status(StatusCode::UNAUTHORIZED);
        return Ok(page.into_response());
    };
    let secure = if shared.access.tls(false).is_some() { "; Secure" } else { "" };
    let life = LIFE.as_secs();
    let cookie =
        format!("{NAME}={id}; Path=/ui; Max-Age={life}; HttpOnly; SameSite=Strict{secure}");
    Ok(leads_to(next, &cookie))
}

/// Ends the session.
pub(super) async fn out(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(id) = session(&headers) {
        shared.access.sign_out(id);
    }
    leads_to("/ui", &format!("{NAME}=; Path=/ui; Max-Age=0; HttpOnly; SameSite=Strict"))
}

fn leads_to(path: &str, cookie: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    super::layout::protect(&mut response);
    response
}
