//! The style sheet and the scripts. Their names have their versions or a hash, so that a browser may keep them.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest as _, Sha256};

/// The URL below which these files are. Every client may read them: they are part of the program.
const PATH: &str = "/ui/assets/";

const HTMX: &str = include_str!("assets/htmx-2.0.11.min.js");
const HTMX_SSE: &str = include_str!("assets/htmx-ext-sse-2.2.4.min.js");
const STYLE: &str = include_str!("assets/style.css");
const ICON: &str = include_str!("assets/icon.svg");

/// A file of the program.
struct Asset {
    name: String,
    kind: &'static str,
    text: &'static str,
}

/// The files: htmx, its extension for server-sent events, the style sheet, and the icon.
static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        asset("htmx", "js", "text/javascript; charset=utf-8", HTMX),
        asset("sse", "js", "text/javascript; charset=utf-8", HTMX_SSE),
        asset("style", "css", "text/css; charset=utf-8", STYLE),
        asset("icon", "svg", "image/svg+xml", ICON),
    ]
});

fn asset(name: &str, suffix: &str, kind: &'static str, text: &'static str) -> Asset {
    let hash = Sha256::digest(text.as_bytes());
    let name =
        format!("{name}-{:02x}{:02x}{:02x}{:02x}.{suffix}", hash[0], hash[1], hash[2], hash[3]);
    Asset { name, kind, text }
}

/// Returns the URL of the file whose name begins with `name`.
pub(super) fn url(name: &str) -> String {
    let found = ASSETS.iter().find(|asset| asset.name.starts_with(name));
    format!("{PATH}{}", found.map_or("", |asset| &asset.name))
}

/// Returns the file with this name.
pub(super) fn find(name: &str) -> Option<Response> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    let mut response = asset.text.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    let keep = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(CACHE_CONTROL, keep);
    Some(response)
}
