//! The trait [`Event`], which a program's events implement, and [`Recorded`], an event in the log.
//!
//! ```text
//!   E: Event ──event_type()──▶ "state-signed"          what happened
//!            ──tags()────────▶ "channel:0xab…", …       the things that the event is about
//!            ──id()──────────▶ "0x5f…"                  optional: makes an append idempotent
//!            ──encode()──────▶ payload bytes            what the log stores
//! ```

use std::borrow::Cow;
use std::ops::Deref;
use std::time::SystemTime;

use annals_base::SharedRef;

use super::codec::Codec;
use super::raw::RawEvent;
use super::tags::{Metadata, Tags};
use crate::event::error::CodecError;
use crate::util::time::from_ms;

/// A type whose values can be appended to a log. Implement it with `#[derive(Event)]`.
///
/// The derive takes the event type from the name of the variant (in kebab-case), the tags from the fields that are
/// marked `#[event(tag = "…")]`, and writes the payload as JSON.
///
/// ```
/// use annals::Event;
///
/// #[derive(Event, Debug, Clone, PartialEq)]
/// enum Booking {
///     SeatSold {
///         #[event(tag = "seat")]
///         seat: String,
///         price: u32,
///     },
///     SeatFreed {
///         #[event(tag = "seat")]
///         seat: String,
///     },
/// }
///
/// let event = Booking::SeatSold { seat: "12A".into(), price: 90 };
/// assert_eq!(event.event_type(), "seat-sold");
/// ```
///
/// Written by hand, an event may have any payload. Here it is the bytes of a picture:
///
/// ```
/// use annals::{CodecError, Event, EventStore, RawEvent, Tags};
/// use std::borrow::Cow;
///
/// #[derive(Debug, Clone, PartialEq)]
/// struct Scanned {
///     document: String,
///     picture: Vec<u8>,
/// }
///
/// impl Event for Scanned {
///     fn event_type(&self) -> &str {
///         "scanned"
///     }
///     fn tags(&self, tags: &mut Tags) {
///         tags.add("document", &self.document);
///     }
///     fn id(&self) -> Option<Cow<'_, str>> {
///         Some(format!("scan:{}", self.document).into()) // a document is scanned once
///     }
///     fn event_types() -> Option<&'static [&'static str]> {
///         Some(&["scanned"])
///     }
///     fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
///         data.extend_from_slice(&self.picture);
///         Ok(())
///     }
///     fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
///         if raw.event_type() != "scanned" {
///             return Err(CodecError::UnknownType { found: raw.event_type().into(), expected: "scanned".into() });
///         }
///         let document = raw.tags().find_map(|tag| tag.strip_prefix("document:")).unwrap_or_default();
///         Ok(Self { document: document.into(), picture: raw.data_bytes().into() })
///     }
/// }
///
/// let store = EventStore::in_memory_encoded();
/// let scanned = Scanned { document: "7".into(), picture: vec![0xFF, 0xD8] };
/// store.append(scanned.clone())?;
/// assert_eq!(store.get(0)?.unwrap().event, scanned);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "derive it: `#[derive(annals::Event, serde::Serialize, serde::Deserialize)]` on a struct, \
            `#[derive(annals::Event)]` on an enum"
)]
pub trait Event: Sized + Send + Sync + 'static {
    /// Returns the event's type, its name in the log: 1 to 255 bytes of UTF-8 without control characters.
    fn event_type(&self) -> &str;

    /// Adds the event's tags, which name the things that it is about: up to 64 tags of 1 to 255 bytes each. Adds no
    /// tags by default.
    fn tags(&self, tags: &mut Tags) {
        let _ = tags;
    }

    /// Returns the event's own id, 1 to 255 bytes, if it has one. An append of events with ids can be repeated safely.
    ///
    /// An id means "this event, once". Appending an id that the log has already appends nothing and returns the offset
    /// of the event in the log. The payload, the tags and the metadata may differ: a retry may encode a map in another
    /// order, have another trace id, or come from a version of the program that writes one more field. Only an event of
    /// another type under the same id is an error, [`AppendError::IdConflict`](crate::AppendError::IdConflict). An
    /// older name of the same type ([`aliases`](Self::aliases)) is the same type.
    ///
    /// A batch is repeated as a whole. If the log has one of its ids, the log must have all of its events, each with
    /// its id, next to each other and in the same order. If the log has only a part of the batch, or if the batch also
    /// has an event without an id, the append fails with `IdConflict`, because appending the rest would split the
    /// batch. A batch with the same id twice fails with [`AppendError::IdTwice`](crate::AppendError::IdTwice).
    fn id(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// Adds the event's metadata, which the log stores beside the payload, for example a trace id or the user who
    /// caused the event. Adds none by default. The derive adds the entries of the field `#[event(metadata)]`, which has
    /// them again when the event is read.
    fn metadata(&self, metadata: &mut Metadata) {
        let _ = metadata;
    }

    /// Sets the event's metadata to that of `raw`, from which the event was decoded. The derive implements it.
    #[doc(hidden)]
    fn restore_metadata(&mut self, raw: &RawEvent) {
        let _ = raw;
    }

    /// Appends the payload's bytes to `data`, up to 16 MiB.
    ///
    /// # Errors
    /// When the payload cannot be encoded, for example a map with keys that are not valid in JSON.
    fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Whether [`encode_as`](Self::encode_as) uses the codec `C`. The derive sets it.
    #[doc(hidden)]
    const ANY_CODEC: bool = false;

    /// Encodes with the codec `C` instead of the event's own codec. The derive implements it.
    #[doc(hidden)]
    fn encode_as<C: Codec>(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
        self.encode(data)
    }

    /// Returns the older names of the type `event_type`, under which the log may still have events. Returns none by
    /// default.
    ///
    /// A query for `event_type` finds the events with the older names as well. The derive returns those that
    /// `#[event(alias = "…")]` gives.
    ///
    /// ```
    /// use annals::{Event, RawEvent};
    ///
    /// #[derive(Event)]
    /// enum Booking {
    ///     #[event(alias = "seat-booked")]
    ///     SeatSold { seat: String },
    /// }
    ///
    /// assert_eq!(Booking::aliases("seat-sold"), ["seat-booked"]);
    /// let old = RawEvent::builder("seat-booked").data(r#"{"seat":"12A"}"#).build()?;
    /// assert_eq!(Booking::decode(&old)?.event_type(), "seat-sold");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    fn aliases(event_type: &str) -> &'static [&'static str] {
        let _ = event_type;
        &[]
    }

    /// Returns all event types that events of this Rust type may have in the log, with the older names of each. Returns
    /// `None` by default: any type. The derive lists them.
    ///
    /// A query or a condition with a type that is not in the list is refused, because it could not find anything.
    #[must_use]
    fn event_types() -> Option<&'static [&'static str]> {
        None
    }

    /// Decodes the event that `raw` contains.
    ///
    /// # Errors
    /// When `raw` has an unknown event type, or its payload cannot be decoded.
    fn decode(raw: &RawEvent) -> Result<Self, CodecError>;

    /// Decodes the event that `raw` contains, and may move parts out of `raw` instead of copying them. The caller must
    /// not use `raw` after a success. By default it decodes and moves nothing. An event that keeps the raw event, or
    /// that has one in it, overrides it:
    ///
    /// ```
    /// use annals::{CodecError, Event, RawEvent};
    ///
    /// /// An event of any program, with the part of its type before the first point.
    /// struct Foreign {
    ///     program: String,
    ///     raw: RawEvent,
    /// }
    ///
    /// impl Event for Foreign {
    ///     fn event_type(&self) -> &str {
    ///         self.raw.event_type()
    ///     }
    ///     fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
    ///         self.raw.encode(data)
    ///     }
    ///     fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
    ///         Self::decode_taking(&mut raw.clone())
    ///     }
    ///     fn decode_taking(raw: &mut RawEvent) -> Result<Self, CodecError> {
    ///         let program = raw.event_type().split('.').next().unwrap_or_default().to_owned();
    ///         Ok(Self { program, raw: RawEvent::decode_taking(raw)? }) // not cloned
    ///     }
    /// }
    ///
    /// let mut raw = RawEvent::builder("billing.paid").build()?;
    /// assert_eq!(Foreign::decode_taking(&mut raw)?.program, "billing");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`decode`](Self::decode). After an error, `raw` is unchanged.
    fn decode_taking(raw: &mut RawEvent) -> Result<Self, CodecError> {
        Self::decode(raw)
    }
}

impl Event for RawEvent {
    fn event_type(&self) -> &str {
        Self::event_type(self)
    }

    fn tags(&self, tags: &mut Tags) {
        Self::tags(self).for_each(|tag| tags.push(tag));
    }

    fn id(&self) -> Option<Cow<'_, str>> {
        Self::id(self).map(Cow::Borrowed)
    }

    fn metadata(&self, metadata: &mut Metadata) {
        for (name, value) in Self::metadata(self) {
            metadata.set(name, value);
        }
    }

    fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
        data.extend_from_slice(self.data_bytes());
        Ok(())
    }

    fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
        Ok(raw.clone())
    }

    fn decode_taking(raw: &mut RawEvent) -> Result<Self, CodecError> {
        Ok(raw.take())
    }
}

/// An event in the log, with its offset and the time of its append.
///
/// ```
/// use annals::{EventStore, RawEvent};
///
/// let store = EventStore::in_memory();
/// let offset = store.append(RawEvent::builder("seat-sold").build()?)?;
/// for recorded in store.read(..) {
///     let recorded = recorded?;
///     assert_eq!(recorded.offset, offset);
///     assert_eq!(recorded.event.event_type(), "seat-sold");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded<E> {
    /// The offset of the event in the log. Offsets start at 0 and have no gaps.
    pub offset: u64,
    /// The time of the append, in milliseconds since 1970-01-01 UTC. It is never less than that of the event before.
    pub time_ms: u64,
    /// The event itself.
    pub event: E,
}

impl<E> Recorded<E> {
    /// Returns the time of the append: [`time_ms`](Self) as a time of the standard library. A time that the system
    /// cannot represent, far beyond the year 9999, becomes the end of that year.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        from_ms(self.time_ms)
    }
}

/// An event that was read from the log. Use it like a `&Recorded<E>`.
///
/// It is a reference if the backend stores the events as Rust values (memory), and the event itself if the backend
/// decodes it for each reader. [`Cow`] works the same way. An `EventRef<'static, E>` borrows nothing: a task or another
/// thread may keep it.
///
/// ```
/// use annals::{EventStore, RawEvent, Recorded};
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("seat-sold").build()?)?;
/// let event = store.get(0)?.expect("the log has one event");
/// assert_eq!(event.offset, 0); // like a `&Recorded`
/// let owned: Recorded<RawEvent> = event.into_owned();
/// assert_eq!(owned.event.event_type(), "seat-sold");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub enum EventRef<'a, E> {
    /// A reference into the backend. The event does not move while the store exists.
    Borrowed(&'a Recorded<E>),
    /// An event that was decoded for this reader.
    Owned(Recorded<E>),
    /// A reference into the backend that keeps the backend alive. Only owned subscriptions and streams return it; see
    /// [`EventStore::into_subscription`](crate::EventStore::into_subscription).
    Shared(SharedRef<Recorded<E>>),
}

impl<E> Deref for EventRef<'_, E> {
    type Target = Recorded<E>;

    fn deref(&self) -> &Recorded<E> {
        match self {
            Self::Borrowed(recorded) => recorded,
            Self::Owned(recorded) => recorded,
            Self::Shared(recorded) => recorded,
        }
    }
}

impl<E: Clone> EventRef<'_, E> {
    /// Returns the recorded event itself. Clones it if it is borrowed or shared.
    #[must_use]
    pub fn into_owned(self) -> Recorded<E> {
        match self {
            Self::Borrowed(recorded) => recorded.clone(),
            Self::Owned(recorded) => recorded,
            Self::Shared(recorded) => recorded.clone(),
        }
    }
}
