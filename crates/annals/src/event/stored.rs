//! The bytes that a log would store of an event.

use super::labels::Labels;
use super::raw::{RawEvent, write_body};
use super::tags::{Metadata, Tags};
use crate::event::error::InvalidEvent;
use crate::event::event::Event;

impl RawEvent {
    /// Encodes `event` as a log would store it today.
    pub(crate) fn of<E: Event>(event: &E) -> Result<Self, InvalidEvent> {
        let (mut labels, mut tags) = (Labels::default(), Tags::default());
        event.tags(&mut tags);
        labels.add(event.event_type(), &tags, event.id().as_deref())?;
        let mut metadata = Metadata::default();
        event.metadata(&mut metadata);
        let mut body = Vec::new();
        write_body(&mut body, &labels, 0, &metadata, |out| event.encode(out))?;
        Ok(Self::from_encoded(body))
    }
}
