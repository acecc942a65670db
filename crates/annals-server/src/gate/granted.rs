//! Responses that go on for as long as the client likes: each ends when its client loses the right to it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::{Body as HttpBody, Frame};
use tonic::Status;

use crate::access::access::Grant;
use crate::fault::Fault;
use crate::guarded::{error_line, sent_error};
use crate::shared::Shared;

/// Returns the response with an end of its own if the grant is lost: a last line, event or status with the failure.
/// Responses in other media types end soon by themselves, and are returned as they are.
/// A response over gRPC ends early only if it is a stream: the one message of another may say what was appended.
pub(super) fn while_granted(
    response: Response,
    shared: &Arc<Shared>,
    grant: Grant,
    is_stream: bool,
) -> Response {
    let kind = response.headers().get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let ending: fn(Fault) -> Frame<Bytes> = match kind {
        b"application/x-ndjson" => |fault| Frame::data(error_line(&fault)),
        b"text/event-stream" => |fault| Frame::data(sent_error(&fault)),
        kind if kind.starts_with(b"application/grpc") && is_stream => trailers,
        _ => return response,
    };
    let shared = Arc::clone(shared);
    let lost = Box::pin(async move { shared.access.lost(grant).await });
    response.map(|body| Body::new(Granted { body: Some(body), lost, last: ending }))
}

/// Returns the end of a response over gRPC.
fn trailers(fault: Fault) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    // A status that does not fit into headers leaves the stream without one, which clients take for a failure.
    let _ = Status::from(fault).add_header(&mut trailers);
    Frame::trailers(trailers)
}

/// A body that ends with `last` once `lost` is ready. Its pieces are whole lines, events or messages.
struct Granted {
    /// `None` after the end.
    body: Option<Body>,
    lost: Pin<Box<dyn Future<Output = Fault> + Send>>,
    last: fn(Fault) -> Frame<Bytes>,
}

impl HttpBody for Granted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if let Poll::Ready(fault) = this.lost.as_mut().poll(context) {
            this.body = None;
            return Poll::Ready(Some(Ok((this.last)(fault))));
        }
        Pin::new(body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::fault::Kind;

    #[test]
    fn a_lost_grant_ends_a_stream_over_grpc_with_a_status() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<Fault>();
        let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from("a"))]);
        let body = Body::from_stream(futures_util::StreamExt::chain(
            pieces,
            futures_util::stream::pending(),
        ));
        let lost = Box::pin(receiver.map(|fault| fault.expect("a fault")));
        let mut body = Granted { body: Some(body), lost, last: trailers };
        let mut next =
            || body.frame().now_or_never().map(|frame| frame.transpose().expect("a frame"));
        assert!(next().flatten().is_some_and(|frame| frame.is_data()));
        assert!(next().is_none(), "the stream goes on");
        sender.send(Fault::new(Kind::Unauthenticated, "gone")).expect("sent");
        let end = next().flatten().and_then(|frame| frame.into_trailers().ok());
        assert_eq!(end.expect("trailers")["grpc-status"], "16");
        assert!(next().is_some_and(|frame| frame.is_none()), "the end");
    }
}
