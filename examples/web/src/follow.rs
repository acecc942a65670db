//! The stream of events to browsers and other followers, as server-sent events.

use annals::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt as _};

use crate::service::{Failure, Service};

/// Sends each event of the log, and then new events as they are appended. The id of an event is its offset. A follower
/// that was cut off sends the last id that it received in the header `Last-Event-ID`, as browsers do, and continues
/// behind it: it sees no gap and no repeat.
pub(crate) async fn events(
    State(service): State<Service>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, axum::Error>>>, Failure> {
    let from = match headers.get("last-event-id") {
        None => 0,
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse::<u64>().ok());
            id.and_then(|id| id.checked_add(1)).ok_or(Failure::LastEventId)?
        }
    };
    let mut stopping = service.stopping;
    let stopped = async move { drop(stopping.wait_for(|stopping| *stopping).await) };
    let events = service.store.into_stream(Query::all(), from).take_until(Box::pin(stopped));
    let messages = events.map(|event| {
        let event = event.map_err(axum::Error::new)?;
        Event::default().id(event.offset.to_string()).json_data(&event.event)
    });
    Ok(Sse::new(messages).keep_alive(KeepAlive::default()))
}
