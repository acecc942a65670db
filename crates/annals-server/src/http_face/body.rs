//! The body of a request.

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use serde::de::DeserializeOwned;

use crate::fault::{Fault, Kind};
use crate::limits::MAX_REQUEST_BYTES;
use crate::refused_body::RefusedBody;

/// Reads the whole body, up to the largest request.
pub(super) async fn read(request: Request) -> Result<Bytes, Fault> {
    let too_large = || {
        let message = format!(
            "the body is larger than {MAX_REQUEST_BYTES} bytes (33 MiB); send several requests"
        );
        Fault::new(Kind::RequestTooLarge, message)
    };
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<u64>().ok()) > Some(MAX_REQUEST_BYTES as u64) {
        return Err(too_large());
    }
    let body = http_body_util::Limited::new(request.into_body(), MAX_REQUEST_BYTES);
    match axum::body::to_bytes(Body::new(body), usize::MAX).await {
        Ok(bytes) => Ok(bytes),
        Err(error) if is_limit(&error) => Err(too_large()),
        Err(error) => Err(RefusedBody::fault_of(&error)
            .unwrap_or_else(|| Fault::invalid("the body did not come to its end"))),
    }
}

/// Returns whether an error, or one of its causes, is that of the limit.
fn is_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut error = Some(error);
    while let Some(cause) = error {
        if cause.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        error = cause.source();
    }
    false
}

/// Parses a body of JSON.
pub(super) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| not_json(&error))
}

/// Returns the failure of a body that is not the expected JSON.
pub(super) fn not_json(error: &serde_json::Error) -> Fault {
    Fault::invalid(format!("the body is not valid: {error}"))
}
