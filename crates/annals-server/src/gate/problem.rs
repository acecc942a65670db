//! A failure as a response: a status of gRPC, or a problem in JSON as RFC 9457 has it.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use tonic::Status;

use crate::fault::{Fault, Kind};

/// The beginning of the `type` of a problem.
pub(crate) const TYPES: &str = "urn:annals:problem:";

/// Returns whether a request is gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Returns a failure as a response of the request's protocol.
pub(crate) fn respond(fault: Fault, grpc: bool) -> Response {
    if grpc { Status::from(fault).into_http() } else { fault.into_response() }
}

impl Fault {
    /// Returns the problem as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let (status, name) = self.kind.http();
        let mut problem = self.fields.clone();
        problem.insert("type".into(), format!("{TYPES}{name}").into());
        problem.insert("title".into(), name.replace('-', " ").into());
        problem.insert("status".into(), status.as_u16().into());
        problem.insert("detail".into(), self.message.clone().into());
        problem.into()
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json().to_string()));
        *response.status_mut() = self.kind.http().0;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.kind.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == Kind::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
