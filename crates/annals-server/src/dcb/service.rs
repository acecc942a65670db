//! The methods of the DCB face, and those of the health service.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{post, post_service};
use futures_core::Stream;
use tonic::server::Grpc;
use tonic::{Response as Reply, Status};
use tower::service_fn;

use super::codec::{Outbound, Plain, Wire};
use super::count::Counted;
use super::messages::{
    AppendRequest, HeadRequest, HeadResponse, TrackingRequest, TrackingResponse,
};
use super::outgoing::EventsMessage;
use super::status::unimplemented;
use super::{append, health, read};
use crate::call::Call;
use crate::client::Client;
use crate::fault::Fault;
use crate::guarded::guarded;
use crate::limits::MAX_REQUEST_BYTES;
use crate::memory::Share;
use crate::shared::Shared;

/// The compiled `.proto` files, for the reflection service. A test compiles them again and compares.
const DESCRIPTORS: &[u8] = include_bytes!("../../proto/descriptors.bin");

/// The largest message to the reflection service, in bytes. It has the name of a service or a file.
const MAX_QUESTION: usize = 4 << 10;

/// Returns the routes of the DCB face.
pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/umadb.v1.DCB/{method}", post(dcb))
        // The path of the service's first version.
        .route("/umadb.UmaDBService/{method}", post(dcb))
        .route("/grpc.health.v1.Health/{method}", post(health_check))
        .with_state(Arc::clone(shared))
}

async fn dcb(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let client = request.extensions().get::<Client>().cloned().unwrap_or_default();
    match Call::of(request.uri().path()) {
        Some(Call::Append) => {
            let appender = client.appender(&shared);
            unary(request, |message: AppendRequest| async move {
                append::append(&shared, message, &appender).await.map(Plain)
            })
            .await
        }
        Some(Call::Head) => {
            unary(request, |_: HeadRequest| async move {
                let head = shared.head().get();
                Ok(Plain(HeadResponse { position: (head > 0).then_some(head) }))
            })
            .await
        }
        Some(Call::GetTrackingInfo) => {
            unary(request, |message: TrackingRequest| async move {
                let reader = Arc::clone(&shared);
                let position = shared
                    .blocking(move || append::tracking_position(&reader, &message.source))
                    .await?;
                Ok(Plain(TrackingResponse { position }))
            })
            .await
        }
        Some(Call::Read) => {
            streaming::<_, EventsMessage, _>(request, |message| read::read(&shared, message)).await
        }
        Some(Call::Subscribe) => {
            streaming::<_, EventsMessage, _>(request, |message| {
                read::subscribe(&shared, message, client.to_string())
            })
            .await
        }
        _ => unimplemented(request.uri().path()).into_http(),
    }
}

async fn health_check(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match Call::of(request.uri().path()) {
        Some(Call::Check) => {
            let mut grpc =
                Grpc::new(Wire::<_, Plain<health::HealthCheckResponse>>::new(share(&request)));
            let call = service_fn(|request: tonic::Request<health::HealthCheckRequest>| {
                let reply = health::check(&shared, request.get_ref());
                std::future::ready(reply.map(|reply| Reply::new(Plain(reply))))
            });
            grpc.unary(call, request).await.map(axum::body::Body::new)
        }
        Some(Call::Watch) => {
            streaming::<_, Plain<health::HealthCheckResponse>, _>(request, |message| {
                Ok(health::watch(&shared, &message))
            })
            .await
        }
        _ => unimplemented(request.uri().path()).into_http(),
    }
}

/// Returns the memory that a request has taken.
fn share(request: &Request) -> Arc<Share> {
    let client = request.extensions().get::<Client>();
    client.map(|client| Arc::clone(&client.share)).unwrap_or_default()
}

/// Runs a call with one response.
async fn unary<In, Out, Done>(request: Request, call: impl FnOnce(In) -> Done) -> Response
where
    In: Counted + Default + 'static,
    Out: Outbound,
    Done: Future<Output = Result<Out, Fault>>,
{
    let wire = Wire::<In, Out>::new(share(&request));
    let mut grpc = Grpc::new(wire).max_decoding_message_size(MAX_REQUEST_BYTES);
    let mut call = Some(call);
    let service = service_fn(|request: tonic::Request<In>| {
        let call = call.take();
        async move {
            match call {
                Some(call) => Ok(Reply::new(call(request.into_inner()).await?)),
                None => Err(Status::internal("a call has one request")),
            }
        }
    });
    grpc.unary(service, request).await.map(axum::body::Body::new)
}

/// Runs a call with a stream of responses.
async fn streaming<In, Out, Messages>(
    request: Request,
    call: impl FnOnce(In) -> Result<Messages, Fault>,
) -> Response
where
    In: Counted + Default + 'static,
    Out: Outbound,
    Messages: Stream<Item = Result<Out, Status>> + Send + 'static,
{
    let wire = Wire::<In, Out>::new(share(&request));
    let mut grpc = Grpc::new(wire).max_decoding_message_size(MAX_REQUEST_BYTES);
    let mut call = Some(call);
    let service = service_fn(|request: tonic::Request<In>| {
        let reply = match call.take() {
            Some(call) => match call(request.into_inner()) {
                Ok(messages) => Ok(Reply::new(guarded(messages, |fault| Err(fault.into())))),
                Err(fault) => Err(fault.into()),
            },
            None => Err(Status::internal("a call has one request")),
        };
        std::future::ready(reply)
    });
    grpc.server_streaming(service, request).await.map(axum::body::Body::new)
}

/// Returns the routes of the reflection service, with which tools such as `grpcurl` find the methods.
pub(crate) fn reflection() -> Result<Router, tonic_reflection::server::Error> {
    let descriptors = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
    };
    let (v1, v1alpha) = (descriptors().build_v1()?, descriptors().build_v1alpha()?);
    let v1 = v1.max_decoding_message_size(MAX_QUESTION);
    let v1alpha = v1alpha.max_decoding_message_size(MAX_QUESTION);
    Ok(Router::new()
        .route("/grpc.reflection.v1.ServerReflection/{*method}", post_service(Quiet(v1)))
        .route("/grpc.reflection.v1alpha.ServerReflection/{*method}", post_service(Quiet(v1alpha))))
}

/// A tonic service whose errors cannot happen, for axum.
#[derive(Debug, Clone)]
struct Quiet<S>(S);

impl<S> tower::Service<Request> for Quiet<S>
where
    S: tower::Service<Request, Response = http::Response<tonic::body::Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future =
        futures_util::future::MapOk<S::Future, fn(http::Response<tonic::body::Body>) -> Response>;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        use futures_util::TryFutureExt as _;
        self.0.call(request).map_ok(|response| response.map(axum::body::Body::new))
    }
}
