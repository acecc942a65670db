//! Requests that no face takes: an unknown path, or a method that a path does not have.

use axum::extract::Request;
use axum::response::Response;

use super::problem::{is_grpc, respond};
use crate::fault::{Fault, Kind};
use crate::inspector::failure::refusal;
use crate::inspector::paths::is_page;

/// Answers a path that no face has.
pub(crate) async fn no_path(request: Request) -> Response {
    let path = request.uri().path();
    let message = format!("there is no {path:?} here; GET /openapi.json lists what there is");
    refuse(&request, Fault::new(Kind::NotFound, message))
}

/// Answers a method that a path does not have.
pub(crate) async fn no_method(request: Request) -> Response {
    let message = format!("{} is not a method of {:?}", request.method(), request.uri().path());
    refuse(&request, Fault::new(Kind::Method, message))
}

/// Returns a failure as the face of the request's path shows it.
fn refuse(request: &Request, fault: Fault) -> Response {
    if is_page(request.uri().path()) {
        return refusal(&fault, request.uri());
    }
    respond(fault, is_grpc(request.headers()))
}
