//! One connection: HTTP/1.1 or HTTP/2, until it ends or the server drains.

use std::sync::Arc;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

use super::first_bytes::FirstBytes;
use crate::access::rights;
use crate::client::Client;
use crate::limits::{Limits, MAX_HEADER_BYTES, MAX_REQUEST_BYTES};
use crate::memory::{Share, SharedBody};
use crate::shared::{Shared, draining};
use crate::timed_body::TimedBody;

/// The bytes that a client may send ahead of the server in one HTTP/2 stream, and in all of a connection.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// The largest HTTP/2 frame that the server takes.
const FRAME: u32 = 1 << 20;
/// The bytes that wait in one stream for a slow reader.
const SEND_BUFFER: usize = 1 << 20;

/// The largest body of a request that needs no right, in bytes: a check of the health, or a token.
const MAX_OPEN_BYTES: usize = 16 << 10;
/// The bytes of a body around the largest message.
const FRAMING: usize = 1 << 10;

fn protocol(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.keep_alive)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_send_buf_size(SEND_BUFFER)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(MAX_HEADER_BYTES);
    builder
}

/// Returns whether the client of a request sends messages for as long as it likes.
fn is_conversation(path: &str) -> bool {
    path.starts_with("/grpc.reflection.")
}

/// Serves a connection. When the server drains, requests at work finish and no further ones are taken.
pub(super) async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    shared: Arc<Shared>,
    client: Client,
) {
    let (peer, body_time) = (client.peer, shared.limits.body_time);
    let memory = Arc::clone(&shared.memory);
    let io = TokioIo::new(FirstBytes::within(io, shared.limits.header_time));
    let service = tower::ServiceBuilder::new()
        .map_request(move |mut request: http::Request<hyper::body::Incoming>| {
            let is_conversation = is_conversation(request.uri().path());
            let share = Arc::new(Share::new(&memory));
            let client = Client { share: Arc::clone(&share), ..client.clone() };
            request.extensions_mut().insert(client);
            let time = (!is_conversation).then_some(body_time);
            let is_open = rights::needed(request.method(), request.uri().path()).is_none();
            let most = match (is_conversation, is_open) {
                (true, _) => usize::MAX,
                (false, true) => MAX_OPEN_BYTES,
                (false, false) => MAX_REQUEST_BYTES + FRAMING,
            };
            // The messages of a conversation are small, and none is kept. A client without a token takes nothing from
            // the others.
            let share = if is_conversation || is_open { Arc::default() } else { share };
            request.map(|body| SharedBody::new(TimedBody::new(body, time), share, most))
        })
        .service(router);
    let protocol = protocol(&shared.limits);
    let connection = protocol.serve_connection(io, TowerToHyperService::new(service));
    tokio::pin!(connection);
    let mut phase = shared.phase();
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = draining(&mut phase) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "a connection failed");
    }
}
