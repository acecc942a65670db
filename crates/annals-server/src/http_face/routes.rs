//! The paths of the HTTP face, and their methods.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use http::Method;
use http::header::CONTENT_TYPE;

use super::groups::{admin, work};
use super::params::Params;
use super::{append, facts, read, subscribe, verify};
use crate::shared::Shared;

/// The description of the face.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

/// What a path takes behind the question mark of a GET. No other method takes anything there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// These parameters, which its function checks.
    Parameters(&'static [&'static str]),
    Nothing,
    /// Whatever a scraper or a probe sends. It is ignored.
    Anything,
}

/// The paths of the face, as `openapi.json` has them, and their methods.
pub(super) fn table() -> Vec<(&'static str, MethodRouter<Arc<Shared>>, Takes)> {
    use Takes::{Anything, Nothing, Parameters};
    vec![
        ("/v1/events", get(read::events).post(append::append), Parameters(&read::PARAMETERS)),
        ("/v1/query", post(read::query), Nothing),
        ("/v1/events/{offset}", get(read::event), Nothing),
        ("/v1/events/{offset}/data", get(read::data), Nothing),
        ("/v1/subscribe", get(subscribe::subscribe), Parameters(&subscribe::PARAMETERS)),
        ("/v1/head", get(facts::head), Nothing),
        ("/v1/stats", get(facts::stats), Nothing),
        ("/v1/types", get(facts::types), Parameters(&facts::PARAMETERS)),
        ("/v1/tags", get(facts::tags), Parameters(&facts::PARAMETERS)),
        ("/v1/streams/{tag}", get(facts::stream), Nothing),
        ("/v1/groups", get(admin::list), Nothing),
        ("/v1/groups/{name}", get(admin::get).put(admin::put).delete(admin::delete), Nothing),
        ("/v1/groups/{name}/pull", post(work::pull), Nothing),
        ("/v1/groups/{name}/ack", post(work::ack), Nothing),
        ("/v1/groups/{name}/nack", post(work::nack), Nothing),
        ("/v1/groups/{name}/extend", post(work::extend), Nothing),
        ("/v1/groups/{name}/parked", get(admin::parked), Parameters(&admin::PARAMETERS)),
        ("/v1/groups/{name}/replay", post(admin::replay), Nothing),
        ("/v1/groups/{name}/drop", post(admin::drop_parked), Nothing),
        ("/v1/groups/{name}/reset", post(admin::reset), Nothing),
        ("/v1/verify", post(verify::verify), Nothing),
        ("/health/live", get(facts::live), Anything),
        ("/health/ready", get(facts::ready), Anything),
        ("/metrics", get(facts::metrics), Anything),
        ("/openapi.json", get(openapi), Anything),
    ]
}

/// Returns the routes of the face.
pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    let routes = table().into_iter().fold(Router::new(), |router, (path, methods, takes)| {
        let check = move |request, next| check_parameters(takes, request, next);
        router.route(path, methods.route_layer(axum::middleware::from_fn(check)))
    });
    routes.with_state(Arc::clone(shared))
}

async fn openapi() -> ([(http::HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}

/// Refuses parameters that a request does not take: a filter at the wrong path must not return everything.
async fn check_parameters(takes: Takes, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if takes == Takes::Anything || matches!(takes, Takes::Parameters(_)) && reads {
        return next.run(request).await;
    }
    match Params::parse(request.uri().query(), &[]) {
        Ok(_) => next.run(request).await,
        Err(fault) => fault.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_second_verification_is_refused_as_busy() {
        let mut shared = Shared::in_memory();
        shared.path = Some("nowhere".into());
        let shared = Arc::new(shared);
        let _first = Arc::clone(&shared.verification).try_acquire_owned().unwrap();
        let request = Request::post("/v1/verify").body(axum::body::Body::empty()).unwrap();
        let refused = routes(&shared).oneshot(request).await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (429, &"1".parse().unwrap())
        );
        let body = axum::body::to_bytes(refused.into_body(), 1_000).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("urn:annals:problem:busy"));
    }
}
