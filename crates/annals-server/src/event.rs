//! The type of the events in a served store.

use std::borrow::Cow;

use annals::{Backend, CodecError, Event, EventStore, InvalidEvent, Metadata, RawEvent, Tags};
use bytes::Bytes;

/// The served store, on any backend.
pub(crate) type Store = EventStore<WireEvent, Box<dyn Backend<WireEvent>>>;

/// An event of a served store: one that a client sent, or one that was read from the log.
///
/// A client's event keeps its payload as a slice of the request, so the payload is copied once, into the log's record.
/// A program meets this type only as the event type of the backend that it passes to
/// [`Server::on`](crate::Server::on).
///
/// ```
/// use annals::{Event, RawEvent};
/// use annals_server::WireEvent;
///
/// let event = WireEvent::from(RawEvent::builder("seat-sold").tag("seat:12A").build()?);
/// assert_eq!(event.event_type(), "seat-sold");
/// # Ok::<(), annals::InvalidEvent>(())
/// ```
#[derive(Debug, Clone)]
pub struct WireEvent(Form);

#[derive(Debug, Clone)]
enum Form {
    Sent(Box<Sent>),
    Stored(RawEvent),
}

/// The parts of an event that a client sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    pub(crate) event_type: String,
    pub(crate) tags: Vec<String>,
    pub(crate) id: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) data: Bytes,
}

impl WireEvent {
    /// Returns the event as the log stores it.
    ///
    /// # Errors
    /// [`InvalidEvent`] when the event exceeds a limit. An event that was read from a log does not.
    pub(crate) fn to_raw(&self) -> Result<RawEvent, InvalidEvent> {
        match &self.0 {
            Form::Stored(raw) => Ok(raw.clone()),
            Form::Sent(sent) => {
                let mut builder = RawEvent::builder(&*sent.event_type).data(sent.data.clone());
                for tag in &sent.tags {
                    builder = builder.tag(tag);
                }
                for (name, value) in sent.metadata.iter() {
                    builder = builder.metadata(name, value);
                }
                if let Some(id) = &sent.id {
                    builder = builder.id(&**id);
                }
                builder.build()
            }
        }
    }

    /// Returns the parts of an event that a client sent; `None` for one that was read from the log.
    pub(crate) fn sent(&self) -> Option<&Sent> {
        match &self.0 {
            Form::Sent(sent) => Some(sent),
            Form::Stored(_) => None,
        }
    }

    /// Returns whether the metadata has an entry of this name.
    pub(crate) fn has_metadata(&self, name: &str) -> bool {
        match &self.0 {
            Form::Sent(sent) => sent.metadata.iter().any(|(other, _)| other == name),
            Form::Stored(raw) => raw.metadata().into_iter().any(|(other, _)| other == name),
        }
    }

    /// Adds an entry to the metadata, and replaces the value that it had.
    pub(crate) fn with_metadata(self, name: &str, value: &str) -> Result<Self, InvalidEvent> {
        match self.0 {
            Form::Sent(mut sent) => {
                sent.metadata.set(name, value);
                Ok(Self(Form::Sent(sent)))
            }
            Form::Stored(raw) => {
                let mut builder = RawEvent::builder(raw.event_type()).data(raw.data());
                for tag in raw.tags() {
                    builder = builder.tag(tag);
                }
                for (name, value) in raw.metadata() {
                    builder = builder.metadata(name, value);
                }
                if let Some(id) = raw.id() {
                    builder = builder.id(id);
                }
                Ok(builder.metadata(name, value).build()?.into())
            }
        }
    }
}

impl From<Sent> for WireEvent {
    fn from(sent: Sent) -> Self {
        Self(Form::Sent(Box::new(sent)))
    }
}

impl From<RawEvent> for WireEvent {
    fn from(raw: RawEvent) -> Self {
        Self(Form::Stored(raw))
    }
}

impl Event for WireEvent {
    fn event_type(&self) -> &str {
        match &self.0 {
            Form::Sent(sent) => &sent.event_type,
            Form::Stored(raw) => raw.event_type(),
        }
    }

    fn tags(&self, tags: &mut Tags) {
        match &self.0 {
            Form::Sent(sent) => sent.tags.iter().for_each(|tag| tags.push(tag)),
            Form::Stored(raw) => raw.tags().for_each(|tag| tags.push(tag)),
        }
    }

    fn id(&self) -> Option<Cow<'_, str>> {
        match &self.0 {
            Form::Sent(sent) => sent.id.as_deref().map(Cow::Borrowed),
            Form::Stored(raw) => raw.id().map(Cow::Borrowed),
        }
    }

    fn metadata(&self, metadata: &mut Metadata) {
        match &self.0 {
            Form::Sent(sent) => sent.metadata.clone_into(metadata),
            Form::Stored(raw) => {
                raw.metadata().into_iter().for_each(|(name, value)| metadata.set(name, value));
            }
        }
    }

    fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
        match &self.0 {
            Form::Sent(sent) => data.extend_from_slice(&sent.data),
            Form::Stored(raw) => data.extend_from_slice(raw.data_bytes()),
        }
        Ok(())
    }

    fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
        Ok(raw.clone().into())
    }

    fn decode_taking(raw: &mut RawEvent) -> Result<Self, CodecError> {
        <RawEvent as Event>::decode_taking(raw).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use annals::{EventStore, Memory};

    use super::*;

    fn sent() -> Sent {
        Sent {
            event_type: "seat-sold".into(),
            tags: vec!["seat:12A".into(), "show:7".into()],
            id: Some("order-7".into()),
            metadata: Metadata::from([("user", "alice")]),
            data: Bytes::from_static(b"\xff\x00"),
        }
    }

    #[test]
    fn a_sent_event_is_stored_with_all_its_parts() {
        let store = EventStore::on(Memory::<WireEvent>::encoded());
        store.append(sent().into()).unwrap();
        let raw = store.get(0).unwrap().unwrap().event.to_raw().unwrap();
        assert_eq!(raw, WireEvent::from(sent()).to_raw().unwrap());
        assert_eq!((raw.event_type(), raw.id()), ("seat-sold", Some("order-7")));
        assert_eq!(raw.tags().collect::<Vec<_>>(), ["seat:12A", "show:7"]);
        assert_eq!(raw.metadata(), [("user", "alice")]);
        assert_eq!(raw.data_bytes(), b"\xff\x00");
    }

    #[test]
    fn metadata_is_added_to_either_form() {
        let raw = WireEvent::from(sent()).to_raw().unwrap();
        for event in [WireEvent::from(sent()), raw.into()] {
            let raw = event.with_metadata("$actor", "bob").unwrap().to_raw().unwrap();
            assert_eq!(raw.metadata(), [("$actor", "bob"), ("user", "alice")]);
            assert_eq!((raw.tags().len(), raw.id()), (2, Some("order-7")));
        }
    }
}
