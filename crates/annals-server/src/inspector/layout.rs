//! The frame of every page, and the headers of its response.

use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::cookie::is_remembered;

/// What a browser may do with a page: load the program's own files, and nothing that is written in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The limits of htmx: it evaluates no code, and sends requests to this server only.
const HTMX: &str = concat!(
    r#"{"allowEval":false,"allowScriptTags":false,"includeIndicatorStyles":false,"#,
    r#""selfRequestsOnly":true,"historyEnabled":true,"historyCacheSize":0,"refreshOnHistoryMiss":true}"#
);

/// The pages that the navigation leads to.
const PAGES: [(&str, &str); 6] = [
    ("Overview", "/ui"),
    ("Events", "/ui/events"),
    ("Tags", "/ui/tags"),
    ("State", "/ui/state"),
    ("Consumers", "/ui/consumers"),
    ("Verify", "/ui/verify"),
];

/// A page or a part of one, with the headers that keep what clients wrote from doing anything.
#[derive(Debug)]
pub(super) struct Html {
    status: StatusCode,
    body: Markup,
}

impl Html {
    /// Returns a whole page. `active` is the path of the page in the navigation that it belongs to.
    pub(super) fn page(title: &str, active: &str, body: &Markup) -> Self {
        Self { status: StatusCode::OK, body: frame(title, active, body) }
    }

    /// Returns a part of a page, which htmx puts into it.
    pub(super) fn part(body: Markup) -> Self {
        Self { status: StatusCode::OK, body }
    }

    pub(super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl IntoResponse for Html {
    fn into_response(self) -> Response {
        let mut response = self.body.into_string().into_response();
        *response.status_mut() = self.status;
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        protect(&mut response);
        response
    }
}

/// Adds the headers of all responses of the inspector but its files.
pub(super) fn protect(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn frame(title: &str, active: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(HTMX);
                title { (title) " · annals" }
                link rel="icon" href=(assets::url("icon"));
                link rel="stylesheet" href=(assets::url("style"));
                script src=(assets::url("htmx")) defer {}
                script src=(assets::url("sse")) defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/ui" { "annals" }
                    nav aria-label="Pages" {
                        @for (name, path) in PAGES {
                            @if path == active {
                                a href=(path) aria-current="page" { (name) }
                            } @else {
                                a href=(path) { (name) }
                            }
                        }
                    }
                    @if is_remembered() {
                        form method="post" action="/ui/logout" { button { "Sign out" } }
                    }
                }
                main #main tabindex="-1" { (body) }
            }
        }
    }
}
