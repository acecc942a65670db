//! The cookie that stands for a token, and the requests that have it.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::COOKIE;

/// The name of the cookie.
pub(super) const NAME: &str = "annals_session";

tokio::task_local! {
    /// Whether the request at work has the cookie, so that its page offers a way out.
    static HAS_SESSION: bool;
}

/// Returns the id of the session in the cookies of a request.
pub(crate) fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.split_once('='));
    pairs.find(|(name, _)| name.trim() == NAME).map(|(_, id)| id.trim())
}

/// Remembers while a request is at work whether it has the cookie.
pub(super) async fn remember(request: Request, next: Next) -> Response {
    HAS_SESSION.scope(session(request.headers()).is_some(), next.run(request)).await
}

/// Returns whether the request at work has the cookie.
pub(super) fn is_remembered() -> bool {
    HAS_SESSION.try_with(|has| *has).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(session(&headers), None);
        headers.append(COOKIE, HeaderValue::from_static("a=b; xannals_session=1"));
        headers.append(COOKIE, HeaderValue::from_static("c; annals_session=abc; d=e"));
        assert_eq!(session(&headers), Some("abc"));
    }
}
