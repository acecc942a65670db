//! `POST /v1/verify`: checks every byte of the store, and sends progress and findings as lines.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::json;
use tokio::sync::mpsc;

use crate::fault::{Fault, Kind};
use crate::shared::Shared;

/// Verifies the store. A line of progress has `checked` and `of`, in bytes; the last line has `ok` and the findings.
pub(super) async fn verify(State(shared): State<Arc<Shared>>) -> Result<Response, Fault> {
    let Some(path) = shared.path.clone() else {
        let message = "only a store in files can be verified while it is served";
        return Err(Fault::new(Kind::NotFound, message));
    };
    let permit = Arc::clone(&shared.verification)
        .try_acquire_owned()
        .map_err(|_| Fault::new(Kind::Busy, "the store is being verified; wait for that"))?;
    let (lines, receiver) = mpsc::unbounded_channel::<Bytes>();
    tokio::task::spawn_blocking(move || {
        let mut percent = None;
        let report = annals::verify_watched(&path, |checked, of| {
            let now = checked.saturating_mul(100) / of.max(1);
            if percent != Some(now) {
                percent = Some(now);
                // A client that is gone misses nothing.
                let _ = lines.send(format!("{}\n", json!({ "checked": checked, "of": of })).into());
            }
        });
        shared.keep_verified(report.as_ref().ok().map(|report| report.problems.len()));
        let last = match report {
            Ok(report) => json!({
                "ok": report.problems.is_empty(),
                "events": report.events,
                "segments": report.segments,
                "bytes": report.bytes,
                "problems": report.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "notes": report.notes,
            }),
            Err(error) => {
                json!({ "error": Fault::new(Kind::Io, error.to_string()).to_json() })
            }
        };
        let _ = lines.send(format!("{last}\n").into());
        drop(permit);
    });
    let lines = unfold(receiver, |mut receiver| async move {
        let line = receiver.recv().await?;
        Some((Ok::<_, Infallible>(line), receiver))
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}
