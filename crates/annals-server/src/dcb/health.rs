//! The health service of gRPC: `grpc.health.v1.Health`.

use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream::unfold;
use prost::Message;
use tokio::time::sleep;
use tonic::{Code, Status};

use super::codec::Plain;
use super::count::Counted;
use crate::shared::{Phase, Shared, draining};

/// The time between two looks at the state for `Watch`. The state of a store has no signal to wait for.
const LOOK: Duration = Duration::from_secs(1);

/// The service that the DCB face offers, and the name of the whole server.
const SERVICES: [&str; 2] = ["", "umadb.v1.DCB"];

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
}

impl Counted for HealthCheckRequest {}

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

/// Returns the states of a service: the present one, and each other one that `Check` returns later. Once the server
/// drains, the last one is `NOT_SERVING`, and the stream ends.
pub(crate) fn watch(
    shared: &Arc<Shared>,
    request: &HealthCheckRequest,
) -> impl Stream<Item = Result<Plain<HealthCheckResponse>, Status>> + Send + use<> {
    let known = SERVICES.contains(&&*request.service);
    let state = (Arc::clone(shared), shared.phase(), None);
    unfold(state, move |(shared, mut phase, last)| async move {
        let next = loop {
            // An unknown service stays unknown until the server ends.
            let now = if known { status(&shared) } else { SERVICE_UNKNOWN };
            if last != Some(now) {
                break now;
            }
            if *phase.borrow() == Phase::Draining {
                return None;
            }
            tokio::select! {
                () = draining(&mut phase) => {}
                () = sleep(LOOK) => {}
            }
        };
        Some((Ok(Plain(HealthCheckResponse { status: next })), (shared, phase, Some(next))))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn watch_follows_check_both_ways_and_ends_with_the_server() {
        let ready = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&ready);
        let shared = Arc::new(Shared::in_memory().with_readiness(move || {
            (!asked.load(Ordering::SeqCst)).then(|| "the follower is lost".to_owned())
        }));
        let service = |name: &str| HealthCheckRequest { service: name.into() };
        let mut watch = std::pin::pin!(watch(&shared, &service("umadb.v1.DCB")));
        let mut unknown = std::pin::pin!(super::watch(&shared, &service("other")));
        let mut next = async || watch.next().await.map(|message| message.unwrap().0.status);
        for is_ready in [true, false, true] {
            ready.store(is_ready, Ordering::SeqCst);
            let status = next().await.unwrap();
            let checked = check(&shared, &service("")).unwrap().status;
            assert_eq!((status == SERVING, checked), (is_ready, status));
        }
        assert_eq!(unknown.next().await.unwrap().unwrap().0.status, SERVICE_UNKNOWN);
        shared.drain();
        assert_eq!((next().await, next().await), (Some(NOT_SERVING), None));
        assert!(unknown.next().await.is_none());
    }
}
