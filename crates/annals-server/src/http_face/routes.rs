//! The paths of the HTTP face, and their methods.

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, get, post};
use http::header::CONTENT_TYPE;

use super::groups::{admin, work};
use super::{append, facts, read, subscribe, verify};
use crate::shared::Shared;

/// The description of the face.
const OPENAPI: &str = include_str!("openapi.json");

/// The paths of the face, as `openapi.json` has them, and their methods.
fn table() -> Vec<(&'static str, MethodRouter<Arc<Shared>>)> {
    vec![
        ("/v1/events", get(read::events).post(append::append)),
        ("/v1/query", post(read::query)),
        ("/v1/events/{offset}", get(read::event)),
        ("/v1/events/{offset}/data", get(read::data)),
        ("/v1/subscribe", get(subscribe::subscribe)),
        ("/v1/head", get(facts::head)),
        ("/v1/stats", get(facts::stats)),
        ("/v1/types", get(facts::types)),
        ("/v1/tags", get(facts::tags)),
        ("/v1/streams/{tag}", get(facts::stream)),
        ("/v1/groups", get(admin::list)),
        ("/v1/groups/{name}", get(admin::get).put(admin::put).delete(admin::delete)),
        ("/v1/groups/{name}/pull", post(work::pull)),
        ("/v1/groups/{name}/ack", post(work::ack)),
        ("/v1/groups/{name}/nack", post(work::nack)),
        ("/v1/groups/{name}/extend", post(work::extend)),
        ("/v1/groups/{name}/parked", get(admin::parked)),
        ("/v1/groups/{name}/replay", post(admin::replay)),
        ("/v1/groups/{name}/drop", post(admin::drop_parked)),
        ("/v1/groups/{name}/reset", post(admin::reset)),
        ("/v1/verify", post(verify::verify)),
        ("/health/live", get(facts::live)),
        ("/health/ready", get(facts::ready)),
        ("/metrics", get(facts::metrics)),
        ("/openapi.json", get(openapi)),
    ]
}

/// Returns the routes of the face.
pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    let routes = table()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    routes.with_state(Arc::clone(shared))
}

async fn openapi() -> ([(http::HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_description_has_every_path_and_method() {
        let described: Value = serde_json::from_str(OPENAPI).unwrap();
        let described = described["paths"].as_object().unwrap();
        let paths: BTreeSet<&str> = described.keys().map(String::as_str).collect();
        assert_eq!(paths, table().iter().map(|(path, _)| *path).collect());
        for (path, methods) in table() {
            let code = format!("{methods:?}");
            for method in ["get", "post", "put", "delete"] {
                let has = !code.contains(&format!("{method}: None"));
                assert_eq!(described[path].get(method).is_some(), has, "{method} {path}");
            }
        }
    }
}
