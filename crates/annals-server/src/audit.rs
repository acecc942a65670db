//! Who appended what: the log target `annals::audit`, and the metadata `$actor` and `traceparent`.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use crate::event::WireEvent;
use crate::fault::{Fault, Kind};
use crate::reserved::ACTOR;
use crate::trace::TRACEPARENT;

/// The client behind a request.
#[derive(Debug, Clone)]
pub(crate) struct Appender {
    /// The name of the client's token or certificate; `None` if the server has neither.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) peer: SocketAddr,
    /// The name that is written into each event, as metadata `$actor`.
    pub(crate) actor: Option<Arc<str>>,
    /// The trace that is written into each event, as metadata `traceparent`, unless the client gave one with the event.
    pub(crate) trace: Option<Arc<str>>,
}

impl Appender {
    /// Adds the client's name and trace to the events, if the server does that.
    pub(crate) fn sign(&self, mut events: Vec<WireEvent>) -> Result<Vec<WireEvent>, Fault> {
        if let Some(actor) = &self.actor {
            events = with_metadata(events, |_| Some((ACTOR, actor)))?;
        }
        if let Some(trace) = &self.trace {
            let absent = |event: &WireEvent| !event.has_metadata(TRACEPARENT);
            events = with_metadata(events, |event| absent(event).then_some((TRACEPARENT, trace)))?;
        }
        Ok(events)
    }

    /// Logs an append, if clients have names.
    pub(crate) fn log(&self, offsets: &Range<u64>) {
        let Some(name) = self.name.as_deref().filter(|_| !offsets.is_empty()) else { return };
        tracing::info!(
            target: "annals::audit",
            name,
            first = offsets.start,
            last = offsets.end - 1,
            peer = %self.peer,
            "appended"
        );
    }
}

/// Adds an entry to the metadata of the events for which `entry` returns one.
fn with_metadata<'v>(
    events: Vec<WireEvent>,
    entry: impl Fn(&WireEvent) -> Option<(&'static str, &'v Arc<str>)>,
) -> Result<Vec<WireEvent>, Fault> {
    let signed = events.into_iter().map(|event| match entry(&event) {
        Some((name, value)) => event.with_metadata(name, value),
        None => Ok(event),
    });
    signed
        .collect::<Result<_, _>>()
        .map_err(|problem| Fault::new(Kind::InvalidEvent, problem.to_string()))
}
