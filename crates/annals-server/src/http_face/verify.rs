//! `POST /v1/verify`: checks every byte of the store, and sends progress and findings as lines.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use annals::{OpenError, VerifyReport};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::json;
use tokio::sync::mpsc;

use crate::fault::{Fault, Kind};
use crate::guarded;
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
        let problems = run(&lines, |progress| annals::verify_watched(&path, progress));
        shared.keep_verified(problems);
        drop(permit);
    });
    let lines = unfold(receiver, |mut receiver| async move {
        let line = receiver.recv().await?;
        Some((line, receiver))
    });
    let mut response = Response::new(guarded::body(lines, |fault| guarded::error_line(&fault)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

/// Runs a check, and sends its progress and a last line: the findings, or that it failed, also if it panics. Returns
/// the number of problems; `None` if it failed.
fn run(
    lines: &mpsc::UnboundedSender<Bytes>,
    check: impl FnOnce(&mut dyn FnMut(u64, u64)) -> Result<VerifyReport, OpenError>,
) -> Option<usize> {
    // A client that is gone misses nothing.
    let send = |line: Bytes| drop(lines.send(line));
    let mut percent = None;
    let mut progress = |checked: u64, of: u64| {
        let now = checked.saturating_mul(100) / of.max(1);
        if percent != Some(now) {
            percent = Some(now);
            send(format!("{}\n", json!({ "checked": checked, "of": of })).into());
        }
    };
    let report = match catch_unwind(AssertUnwindSafe(|| check(&mut progress))) {
        Ok(report) => report.map_err(|error| Fault::new(Kind::Io, error.to_string())),
        Err(_) => Err(guarded::panicked()),
    };
    match report {
        Ok(report) => {
            let problems: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
            let last = json!({
                "ok": problems.is_empty(),
                "events": report.events,
                "segments": report.segments,
                "bytes": report.bytes,
                "problems": problems,
                "notes": report.notes,
            });
            send(format!("{last}\n").into());
            Some(problems.len())
        }
        Err(fault) => {
            send(guarded::error_line(&fault));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_panics_has_a_last_line() {
        let (lines, mut receiver) = mpsc::unbounded_channel();
        let problems = run(&lines, |progress| {
            progress(1, 2);
            panic!("a check that panics");
        });
        drop(lines);
        let lines = std::iter::from_fn(|| receiver.try_recv().ok());
        let lines: Vec<serde_json::Value> =
            lines.map(|line| serde_json::from_slice(&line).unwrap()).collect();
        assert_eq!((problems, lines.len()), (None, 2));
        assert_eq!(lines[0], json!({ "checked": 1, "of": 2 }));
        assert_eq!(lines[1]["error"]["type"], "urn:annals:problem:internal");
    }
}
