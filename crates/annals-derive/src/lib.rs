//! The derive macro of *annals*: [`macro@Event`] makes an enum or a struct an event.
//!
//! ```text
//!   DeriveInput ──parse──▶ model::Event ──expand──▶ impl ::annals::Event for …
//!                  │                        │
//!                  ├ attributes  #[event]   ├ labels    event type, tags, id, metadata
//!                  ├ serde       #[serde]   └ payload   encode and decode
//!                  └ name        kebab-case
//! ```
//!
//! Use it through the crate `annals`, which has it beside the trait of the same name; what it writes begins with
//! `::annals`.

#![forbid(unsafe_code)]

mod attributes;
mod errors;
mod expand;
mod labels;
mod model;
mod name;
mod parse;
mod payload;
mod round_trip;
mod serde;
mod shape;

use proc_macro::TokenStream;

/// Makes an enum or a struct an event: implements `annals::Event`.
///
/// An **enum** is the usual form, with a variant for everything that can happen:
///
/// | Variant | Payload | Tags, id and metadata |
/// |---|---|---|
/// | `SeatSold { seat: String, price: u32 }` | an object of its fields | from its fields |
/// | `StateSigned(State)` | the inner value | those of `State`, which must be an event itself |
/// | `Closed` | none: no bytes, and whatever bytes there are is read | none |
///
/// The enum itself need not implement serde's traits; its field types and inner types must. A variant that may get
/// fields some day is better begun as `Closed {}`: fields with `#[serde(default)]` can join an object, but not
/// nothing. Tuple variants of several fields are refused: name the fields, so that others can join them.
///
/// A **struct** (named fields, one unnamed field, or a unit) implements `Serialize` and `Deserialize` itself, and its
/// payload is what these say. It is an event on its own, or the inner value of a newtype variant, where the
/// variant's name is the event type and the enum's codec writes the payload.
///
/// Nothing is borrowed: a type with lifetimes is refused. Structs may be generic, and are events where they are
/// `Serialize + DeserializeOwned + Send + Sync + 'static` and the fields of their tags and id `Display`.
///
/// # Event types
///
/// An event type is the variant's or struct's name in kebab-case, unless `rename` gives another. A word begins at an
/// upper-case letter behind a lower-case letter or a digit, and at the last of several upper-case letters if a
/// lower-case letter follows. (serde's kebab-case splits every upper-case letter off.)
///
/// | Name | Event type |
/// |---|---|
/// | `StateSigned` | `state-signed` |
/// | `HTTPSeen` | `http-seen` |
/// | `V2Signed` | `v2-signed` |
/// | `Row12Sold` | `row12-sold` |
///
/// The log keeps event types for ever: who renames a variant keeps its event type with `rename`.
///
/// # Attributes
///
/// | Attribute | Where | What it does |
/// |---|---|---|
/// | `#[event(rename = "…")]` | struct, variant | sets the event type: 1 to 255 bytes without control characters |
/// | `#[event(alias = "…")]` | struct, variant | an event type that it had before: events of that type are read as this one, and found when this one is asked for; any number |
/// | `#[event(upcast = path)]` | struct, variant | the function that reads older payloads, see below |
/// | `#[event(codec = Path)]` | struct, enum | the `annals::Codec` of the payload; `annals::Json` by default |
/// | `#[event(tag = "name")]` | field | adds the tag `name:value`, the value by its `Display` |
/// | `#[event(tag)]` | field | adds the value's `Display` as a tag, as it is |
/// | `#[event(id)]` | one field | the value's `Display` is the event's id |
///
/// A field may have several tags, and be the id as well. What is an `Option<…>` adds its tag or id if there is a
/// value; what is a `Vec<…>`, an array or a boxed slice adds a tag for each element, and cannot be the id. The macro
/// sees types as they are written, so an alias of an `Option` is taken for a plain type.
///
/// # serde's attributes
///
/// In an enum these shape the payload of struct variants:
///
/// | Attribute | Where | What it does |
/// |---|---|---|
/// | any | field | as in serde: `rename`, `alias`, `default`, `skip`, `skip_serializing_if`, `with`, `flatten` … |
/// | `#[serde(rename_all = "…")]` | variant | renames its fields |
/// | `#[serde(deny_unknown_fields)]` | variant, enum | refuses fields that are not its own |
/// | `#[serde(rename_all_fields = "…")]` | enum | renames the fields of all variants |
///
/// Attributes that set a variant's name, or how serde tells variants apart, are left to a derive of serde's own
/// traits on the same enum: they say nothing about events. On a struct, serde's attributes do what they always do.
///
/// # Reading
///
/// `decode` goes by the event type. One that is none of this type's is a `CodecError::UnknownType` that lists
/// those that are; a payload that does not fit is the codec's error.
///
/// # Older events
///
/// The log's bytes never change, so what an event was once is read for ever. Fields that joined, were renamed or went
/// need no more than serde's `default` and `alias`. For what does not, `upcast` names a function of the type
///
/// ```text
/// fn(&RawEvent) -> Result<Option<Self>, CodecError>
/// ```
///
/// It is asked first, for events of the type and of its aliases, and answers the event that an older payload is
/// today, or `None` for one of today's, which is then decoded as always. `Self` is the struct or the enum. A newtype
/// variant has its `alias` and `upcast` itself: those of its inner type are for that as an event on its own.
///
/// ```
/// use annals::{Codec, CodecError, Event, Json, RawEvent};
/// use serde::Deserialize;
///
/// #[derive(Event, Debug, PartialEq)]
/// enum Booking {
///     #[event(alias = "seat-booked", upcast = in_euros)]
///     SeatSold { seat: String, cents: u64 },
/// }
///
/// /// While it was called `seat-booked`, prices were in euros.
/// fn in_euros(raw: &RawEvent) -> Result<Option<Booking>, CodecError> {
///     #[derive(Deserialize)]
///     struct SeatBooked { seat: String, price: u64 }
///
///     if raw.event_type() != "seat-booked" {
///         return Ok(None);
///     }
///     let SeatBooked { seat, price } = Json::decode(raw.data_bytes())?;
///     Ok(Some(Booking::SeatSold { seat, cents: 100 * price }))
/// }
///
/// let old = RawEvent::builder("seat-booked").data(r#"{"seat":"12A","price":90}"#).build()?;
/// assert_eq!(Booking::decode(&old)?, Booking::SeatSold { seat: "12A".into(), cents: 9_000 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Examples
///
/// ```
/// use annals::{Event, EventStore, Query};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Event, Debug, PartialEq)]
/// enum Booking {
///     SeatSold {
///         #[event(tag = "seat")]
///         seat: String,
///         #[serde(default, skip_serializing_if = "Option::is_none")]
///         #[event(id)]
///         order: Option<u64>,
///     },
///     #[event(rename = "show-cancelled")]
///     Cancelled(Cancelled),
///     Closed,
/// }
///
/// #[derive(Event, Serialize, Deserialize, Debug, PartialEq)]
/// struct Cancelled {
///     #[event(tag = "show")]
///     show: u32,
/// }
///
/// let store = EventStore::in_memory();
/// store.append(Booking::SeatSold { seat: "12A".into(), order: Some(7) })?;
/// store.append(Booking::Cancelled(Cancelled { show: 3 }))?;
///
/// let found = store.query(&Query::tag("seat:12A")).next().expect("it was sold")?;
/// let sold = &found.event;
/// assert_eq!((sold.event_type(), sold.id().as_deref()), ("seat-sold", Some("7")));
/// assert_eq!(store.query(&Query::tag("show:3")).count(), 1);
///
/// let mut payload = Vec::new();
/// sold.encode(&mut payload)?;
/// assert_eq!(payload, br#"{"seat":"12A","order":7}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[proc_macro_derive(Event, attributes(event, serde))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    match parse::event(&input) {
        Ok(event) => expand::event(&event).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
