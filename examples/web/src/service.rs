//! The service: its routes, and what each handler does with the log.

use std::sync::Arc;
use std::time::Duration;

use annals::{
    AppendError, DecideError, EventStore, JournalStore, LiveError, LiveProjection, Projection,
    ReadError, Rejection,
};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::booking::{Booking, Holder, Shows};
use crate::follow;

/// The longest time that a reader waits for the read model to reach an offset.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);

/// The header in which a client names its request.
const REQUEST: &str = "idempotency-key";

/// What every handler can use.
#[derive(Clone)]
pub(crate) struct Service {
    /// The log.
    pub(crate) store: JournalStore<Booking>,
    /// The read model.
    shows: Arc<LiveProjection<<Shows as Projection>::State>>,
    /// The metrics of the process.
    recorder: PrometheusHandle,
    /// Becomes true when the process shuts down. Event streams end then.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Service {
    /// Opens the log in the directory `path` and folds the read model.
    pub(crate) fn open(
        path: &str,
        recorder: PrometheusHandle,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let store: JournalStore<Booking> = EventStore::open(path)?;
        let shows = Arc::new(store.reconstruct(Shows).live()?);
        Ok(Self { store, shows, recorder, stopping })
    }

    /// Returns the routes.
    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route("/shows/{show}", get(show))
            .route("/shows/{show}/seats/{seat}", post(sell).delete(free))
            .route("/events", get(follow::events))
            .route("/health", get(health))
            .route("/metrics", get(metrics))
            .with_state(self)
    }

    /// Decides on the holder of a seat. A request that was accepted before gets its first answer again.
    async fn decide(
        self,
        seat: String,
        request: String,
        decision: impl Fn(&Option<String>) -> Result<Booking, Rejection> + Send + 'static,
    ) -> Result<Response, Failure> {
        let holder = Holder { seat };
        let decided =
            self.store.decide_async(&holder, |guest| decision(guest).map(|event| vec![event]));
        match decided.await {
            Ok(decision) if decision.known => Ok(accepted(StatusCode::OK, decision.offsets.start)),
            Ok(decision) => Ok(accepted(StatusCode::CREATED, decision.offsets.start)),
            // The decision may have been rejected because this very request was accepted before.
            Err(DecideError::Rejected(rejection)) => {
                match self.store.find(&request_id(&request))? {
                    Some(offset) => Ok(accepted(StatusCode::OK, offset)),
                    None => Err(Failure::Refused(rejection)),
                }
            }
            Err(error) => Err(Failure::Decide(error)),
        }
    }
}

fn accepted(status: StatusCode, offset: u64) -> Response {
    (status, Json(json!({ "offset": offset }))).into_response()
}

/// The id of the event that a request appends.
fn request_id(request: &str) -> String {
    format!("request:{request}")
}

/// The body of a sale.
#[derive(Deserialize)]
struct Order {
    guest: String,
}

/// Sells a seat.
async fn sell(
    State(service): State<Service>,
    Path((show, seat)): Path<(String, String)>,
    headers: HeaderMap,
    Json(Order { guest }): Json<Order>,
) -> Result<Response, Failure> {
    let (seat, request) = (format!("{show}/{seat}"), request_of(&headers)?);
    let sold = Booking::SeatSold { show, seat: seat.clone(), guest, request: request.clone() };
    service
        .decide(seat, request, move |holder| match holder {
            Some(_) => Err(Rejection::new("the seat is sold")),
            None => Ok(sold.clone()),
        })
        .await
}

/// Takes a seat back.
async fn free(
    State(service): State<Service>,
    Path((show, seat)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (seat, request) = (format!("{show}/{seat}"), request_of(&headers)?);
    let freed = Booking::SeatFreed { show, seat: seat.clone(), request: request.clone() };
    service
        .decide(seat, request, move |holder| match holder {
            Some(_) => Ok(freed.clone()),
            None => Err(Rejection::new("the seat is not sold")),
        })
        .await
}

/// Returns the client's name for its request.
fn request_of(headers: &HeaderMap) -> Result<String, Failure> {
    let name = headers.get(REQUEST).and_then(|name| name.to_str().ok());
    name.filter(|name| !name.is_empty()).map(str::to_owned).ok_or(Failure::NoRequestName)
}

/// What a reader asks for.
#[derive(Deserialize)]
struct Wanted {
    /// The read model must contain the event at this offset. A client that passes the offset of its own sale sees it.
    at: Option<u64>,
}

/// Shows the seats of a show, from the read model.
async fn show(
    State(service): State<Service>,
    Path(show): Path<String>,
    Query(Wanted { at }): Query<Wanted>,
) -> Result<Response, Failure> {
    if let Some(offset) = at {
        let caught_up = timeout(CATCH_UP_MAX, service.shows.wait_for_async(offset)).await;
        caught_up.map_err(|_| Failure::NotThere { offset })??;
    }
    let shows = service.shows.load();
    let seats = shows.get(&show).cloned().unwrap_or_default();
    Ok(Json(json!({ "show": show, "seats": seats, "head": shows.head() })).into_response())
}

/// Says whether the service can do its work. A load balancer asks this.
async fn health(State(service): State<Service>) -> Response {
    let health = service.store.health();
    let stalled = service.shows.failure();
    let well = health.takes_appends() && stalled.is_none();
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let model = stalled.map_or_else(|| "up to date".to_owned(), |failure| failure.to_string());
    (status, Json(json!({ "log": health.to_string(), "read_model": model }))).into_response()
}

/// Returns the metrics as Prometheus reads them.
async fn metrics(State(service): State<Service>) -> String {
    // The sizes go to the recorder when the store is asked for them.
    let _ = service.store.stats();
    service.recorder.render()
}

/// Why a request was not served.
#[derive(Debug)]
pub(crate) enum Failure {
    NoRequestName,
    Refused(Rejection),
    NotThere { offset: u64 },
    Decide(DecideError<Rejection>),
    Read(ReadError),
    ReadModel(LiveError),
    LastEventId,
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<LiveError> for Failure {
    fn from(error: LiveError) -> Self {
        Self::ReadModel(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::NoRequestName => (
                StatusCode::BAD_REQUEST,
                format!("the header {REQUEST} is missing; pass a new name with each request, and the same name with a retry"),
            ),
            Self::LastEventId => (
                StatusCode::BAD_REQUEST,
                "the header last-event-id is not an offset; pass the id of the last event that was received".to_owned(),
            ),
            Self::Refused(rejection) => (StatusCode::CONFLICT, rejection.to_string()),
            Self::NotThere { offset } => (
                StatusCode::GATEWAY_TIMEOUT,
                format!("the log has no event at offset {offset} yet"),
            ),
            // The names of seats, shows and requests become tags and ids, which have limits.
            Self::Decide(DecideError::Read(error @ ReadError::InvalidQuery(_))) => {
                (StatusCode::BAD_REQUEST, error.to_string())
            }
            Self::Decide(DecideError::Append(error @ AppendError::Invalid { .. })) => {
                (StatusCode::BAD_REQUEST, error.to_string())
            }
            Self::Decide(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            Self::Read(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            Self::ReadModel(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        };
        if status.is_server_error() {
            tracing::error!(error, "a request failed");
        }
        (status, Json(json!({ "error": error }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[tokio::test]
    async fn a_service_that_takes_no_appends_is_unavailable() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("bookings.store");
        let recorder = PrometheusBuilder::new().build_recorder().handle();
        let (_stop, stopping) = watch::channel(false);
        let path = path.to_str().expect("UTF-8");
        let service = Service::open(path, recorder, stopping).expect("it opens");
        assert_eq!(health(State(service.clone())).await.status(), StatusCode::OK);
        service.store.close().expect("closed");
        let answer = health(State(service)).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
