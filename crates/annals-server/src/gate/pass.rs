//! The way of a request to its face: hosts, the drain, media types, rights, and metrics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};
use tracing::Instrument as _;

use super::granted::while_granted;
use super::problem::{is_grpc, respond};
use crate::access::rights;
use crate::call::Call;
use crate::client::Client;
use crate::fault::{Fault, Kind};
use crate::guarded::panicked;
use crate::inspector::cookie::session;
use crate::inspector::failure::refusal;
use crate::inspector::paths::is_page;
use crate::shared::Shared;
use crate::trace::traceparent;

/// One of what a gauge counts, until it is dropped: also when the client is gone before the end.
pub(crate) struct Counted(metrics::Gauge);

impl Counted {
    pub(crate) fn one(gauge: &'static str) -> Self {
        let gauge = metrics::gauge!(gauge);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Lets a request pass to its face, or answers it.
pub(crate) async fn pass(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let begin = Instant::now();
    let grpc = is_grpc(request.headers());
    let face = if grpc { "grpc" } else { "http" };
    let in_flight = Counted::one("annals_rpc_in_flight");
    let origin = foreign_origin(&shared, &request);
    let call = Call::of(request.uri().path()).filter(|_| grpc);
    let method = method_name(request.method(), grpc, call);
    let is_preflight = origin.is_some() && request.method() == Method::OPTIONS;
    // Kept until the face has answered. What a stream keeps of its request is small.
    let share = request.extensions().get::<Client>().map(|client| Arc::clone(&client.share));
    let mut response = match admit(&shared, &mut request, is_preflight) {
        Err(fault) if is_page(request.uri().path()) => refusal(&fault, request.uri()),
        Err(fault) => respond(fault, grpc),
        Ok(()) if is_preflight => preflight(),
        Ok(()) => {
            let span = span(&request, face, method);
            let grant = request.extensions().get::<Client>().and_then(|client| client.grant);
            let answered = AssertUnwindSafe(next.run(request).instrument(span));
            let answered = answered.catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(method, "a request panicked");
                respond(panicked(), grpc)
            });
            match grant {
                Some(grant) => {
                    while_granted(answered, &shared, grant, !call.is_some_and(Call::is_unary))
                }
                None => answered,
            }
        }
    };
    drop((in_flight, share));
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Annals-Head"));
        headers.insert(VARY, HeaderValue::from_static("Origin"));
    }
    let code = code(&response, grpc);
    metrics::histogram!("annals_rpc_duration_seconds", "face" => face, "method" => method, "code" => code)
        .record(begin.elapsed().as_secs_f64());
    response
}

/// Returns the span of a request, with the client's trace in it.
fn span(request: &Request, face: &'static str, method: &'static str) -> tracing::Span {
    let client = request.extensions().get::<Client>();
    tracing::info_span!(
        "request",
        face,
        method,
        peer = client.map(|client| tracing::field::display(client.peer)),
        traceparent = client.and_then(|client| client.trace.as_deref()),
    )
}

/// Checks whether the server takes a request, and writes the client's name into it. A preflight, which a browser sends
/// without a token and no face sees, needs no right.
fn admit(shared: &Shared, request: &mut Request, is_preflight: bool) -> Result<(), Fault> {
    shared.hosts.check(request, is_page(request.uri().path()))?;
    let needed = rights::needed(request.method(), request.uri().path());
    let is_health = needed.is_none();
    if shared.is_draining() && !is_health {
        return Err(Fault::closing());
    }
    check_media_type(request)?;
    if is_preflight {
        return Ok(());
    }
    let Some(needed) = needed else { return Ok(()) };
    let mut client = request.extensions().get::<Client>().cloned().unwrap_or_default();
    client.trace = traceparent(request.headers());
    // A cookie counts for pages only, so no page of a browser can use the other faces with it.
    let session = session(request.headers()).filter(|_| is_page(request.uri().path()));
    let certificate = client.certificate.as_ref();
    let admitted = shared.access.admit(request.headers(), certificate, session, needed)?;
    (client.name, client.grant) = (admitted.name, admitted.grant);
    request.extensions_mut().insert(client);
    Ok(())
}

/// Refuses writes in the media types that a web page may send without asking.
fn check_media_type(request: &Request) -> Result<(), Fault> {
    if !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) {
        return Ok(());
    }
    let given = request.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let given = given.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let given = given.to_ascii_lowercase();
    if matches!(&*given, b"application/json" | b"application/x-ndjson")
        || given.starts_with(b"application/grpc")
    {
        return Ok(());
    }
    // A browser says which page a form is on. The page was checked to be one of this server's.
    let is_form = *given == *b"application/x-www-form-urlencoded";
    if is_form && is_page(request.uri().path()) && request.headers().contains_key(ORIGIN) {
        return Ok(());
    }
    let message = "the header Content-Type must be application/json, application/x-ndjson or application/grpc";
    Err(Fault::new(Kind::MediaType, message))
}

/// Returns the origin of another host whose pages may use the server, if the request comes from one. Such pages may not
/// use the inspector.
fn foreign_origin(shared: &Shared, request: &Request) -> Option<HeaderValue> {
    let origin = request.headers().get(ORIGIN).filter(|_| !is_page(request.uri().path()))?;
    shared.hosts.allows_origin(origin.to_str().ok()?).then(|| origin.clone())
}

/// Answers the question of a browser, whether a page may send a request.
fn preflight() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static("GET, POST, PUT, DELETE");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let allowed = HeaderValue::from_static("authorization, content-type, last-event-id");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    response
}

/// Returns the name of the method for metrics: never a text that a client chose freely.
fn method_name(method: &Method, grpc: bool, call: Option<Call>) -> &'static str {
    if grpc {
        return call.map_or("other", Call::name);
    }
    match *method {
        Method::GET | Method::HEAD => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Returns the code of a response. A stream's is that of its beginning.
fn code(response: &Response, grpc: bool) -> String {
    if !grpc {
        return response.status().as_str().to_owned();
    }
    let status = response.headers().get("grpc-status").and_then(|status| status.to_str().ok());
    status.unwrap_or("0").to_owned()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_request_that_comes_during_the_drain_is_refused_in_the_form_of_its_face() {
        let shared = Arc::new(Shared::in_memory());
        let gate = axum::middleware::from_fn_with_state(Arc::clone(&shared), pass);
        let router = axum::Router::new().fallback(async || "answered").layer(gate);
        let send = async |path: &'static str, kind: &'static str| {
            let request =
                Request::post(path).header("host", "localhost").header(CONTENT_TYPE, kind);
            let request = request.body(Body::empty()).expect("a request");
            router.clone().oneshot(request).await.expect("a response")
        };
        let json = "application/json";
        assert_eq!(send("/v1/events", json).await.status(), StatusCode::OK);
        shared.drain();
        let refused = send("/v1/events", json).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()["retry-after"], "1");
        let body = axum::body::to_bytes(refused.into_body(), 1_000).await.expect("a body");
        assert!(String::from_utf8_lossy(&body).contains("urn:annals:problem:closing"));
        let refused = send("/umadb.v1.DCB/Append", "application/grpc").await;
        assert_eq!(refused.headers()["grpc-status"], "14");
        let page = send("/ui/verify", json).await;
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(page.headers().contains_key("content-security-policy"));
        assert_eq!(send("/health/live", json).await.status(), StatusCode::OK);
    }
}
