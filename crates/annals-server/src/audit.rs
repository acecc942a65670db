//! Who appended what: the log target `annals::audit`, and the metadata `$actor`.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use crate::event::WireEvent;
use crate::fault::{Fault, Kind};
use crate::reserved::ACTOR;

/// The client behind a request.
#[derive(Debug, Clone)]
pub(crate) struct Appender {
    /// The name of the client's token or certificate; `None` if the server has neither.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) peer: SocketAddr,
    /// Whether the name is written into each event.
    pub(crate) signs: bool,
}

impl Appender {
    /// Adds the client's name to the events, if the server does that.
    pub(crate) fn sign(&self, events: Vec<WireEvent>) -> Result<Vec<WireEvent>, Fault> {
        let Some(name) = self.name.as_deref().filter(|_| self.signs) else { return Ok(events) };
        let signed = events.into_iter().map(|event| event.with_metadata(ACTOR, name));
        signed
            .collect::<Result<_, _>>()
            .map_err(|problem| Fault::new(Kind::InvalidEvent, problem.to_string()))
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
