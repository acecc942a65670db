//! The streams of responses. If code of the server panics while it makes a part of a response, the response ends with a
//! message that says so: a client must not take a part for the whole, and other requests of its connection go on.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use axum::body::Body;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;

use crate::fault::{Fault, Kind};

/// Returns the failure of a request whose code panicked. The panic itself is in the log.
pub(crate) fn panicked() -> Fault {
    Fault::new(Kind::Internal, "the server failed; its log says more")
}

/// Returns a stream that ends with `last` of the failure if the given stream panics.
pub(crate) fn guarded<S: Stream>(
    stream: S,
    mut last: impl FnMut(Fault) -> S::Item,
) -> impl Stream<Item = S::Item> {
    AssertUnwindSafe(stream).catch_unwind().map(move |item| {
        item.unwrap_or_else(|_| {
            tracing::error!("a stream panicked");
            last(panicked())
        })
    })
}

/// Returns the body of a response in pieces, which ends with `last` of the failure if making a piece panics.
pub(crate) fn body(
    pieces: impl Stream<Item = Bytes> + Send + 'static,
    last: impl FnMut(Fault) -> Bytes + Send + 'static,
) -> Body {
    Body::from_stream(guarded(pieces, last).map(Ok::<_, Infallible>))
}

/// Returns the last line of a response that fails after its beginning.
pub(crate) fn error_line(fault: &Fault) -> Bytes {
    format!("{}\n", serde_json::json!({ "error": fault.to_json() })).into()
}

/// Returns a failure as a server-sent event, the last one of its stream.
pub(crate) fn sent_error(fault: &Fault) -> Bytes {
    format!("event: error\ndata: {}\n\n", fault.to_json()).into()
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, stream};

    use super::*;

    #[test]
    fn a_stream_that_panics_ends_with_the_failure() {
        let pieces = stream::iter(1..).map(|piece| {
            assert!(piece < 3, "on purpose");
            Ok(piece)
        });
        let all = guarded(pieces, |fault| Err(fault.kind)).collect::<Vec<_>>();
        let all = all.now_or_never().expect("it waits for nothing");
        assert!(matches!(all[..], [Ok(1), Ok(2), Err(Kind::Internal)]), "{} pieces", all.len());
    }
}
