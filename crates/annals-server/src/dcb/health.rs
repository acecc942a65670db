//! The health service of gRPC: `grpc.health.v1.Health`.

use std::sync::Arc;

use futures_core::Stream;
use futures_util::stream::unfold;
use prost::Message;
use tonic::{Code, Status};

use super::codec::Plain;
use crate::shared::{Shared, draining};

/// The service that the DCB face offers, and the name of the whole server.
const SERVICES: [&str; 2] = ["", "umadb.v1.DCB"];

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
}

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;
const SERVICE_UNKNOWN: i32 = 3;

fn status(shared: &Shared) -> i32 {
    if shared.not_ready().is_none() { SERVING } else { NOT_SERVING }
}

/// Returns whether a service is served.
pub(crate) fn check(
    shared: &Shared,
    request: &HealthCheckRequest,
) -> Result<HealthCheckResponse, Status> {
    if SERVICES.contains(&&*request.service) {
        return Ok(HealthCheckResponse { status: status(shared) });
    }
    Err(Status::new(Code::NotFound, "there is no such service"))
}

/// Returns the states of a service: the present one, and `NOT_SERVING` once the server drains. Then the stream ends.
pub(crate) fn watch(
    shared: &Arc<Shared>,
    request: &HealthCheckRequest,
) -> impl Stream<Item = Result<Plain<HealthCheckResponse>, Status>> + Send + use<> {
    let known = SERVICES.contains(&&*request.service);
    let first = if known { status(shared) } else { SERVICE_UNKNOWN };
    let message = |status| Ok(Plain(HealthCheckResponse { status }));
    unfold((Some(first), shared.phase(), known), move |(first, mut phase, known)| async move {
        match first {
            Some(NOT_SERVING) => Some((message(NOT_SERVING), (None, phase, false))),
            Some(first) => Some((message(first), (None, phase, known))),
            None if known => {
                draining(&mut phase).await;
                Some((message(NOT_SERVING), (None, phase, false)))
            }
            // An unknown service stays unknown until the server ends.
            None => {
                draining(&mut phase).await;
                None
            }
        }
    })
}
