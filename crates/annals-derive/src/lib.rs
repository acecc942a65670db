//! The derive macro of *annals*: [`macro@Event`] implements the trait `Event` for an enum or a struct.
//!
//! ```text
//!   DeriveInput ──parse──▶ model::Event ──expand──▶ impl ::annals::Event for …
//!                  │                        │
//!                  ├ attributes  #[event]   ├ labels    event type, tags, id
//!                  ├ serde       #[serde]   ├ metadata  the field with the metadata
//!                  └ name        kebab-case ├ payload   encode and decode
//!                                           └ associated  constants and functions with the names
//! ```
//!
//! Use it through the crate `annals`, which exports it beside the trait of the same name. The code that it writes
//! refers to `::annals`.

#![forbid(unsafe_code)]

mod associated;
mod attributes;
mod errors;
mod expand;
mod labels;
mod metadata;
mod model;
mod name;
mod parse;
mod payload;
mod round_trip;
mod serde;
mod shape;

use proc_macro::TokenStream;

/// Implements `annals::Event` for an enum or a struct.
///
/// An **enum** is the usual form, with a variant for each kind of event:
///
/// | Variant | Payload | Tags, id and metadata |
/// |---|---|---|
/// | `SeatSold { seat: String, price: u32 }` | an object of its fields | from its fields |
/// | `StateSigned(State)` | the inner value | those of `State`, which must be an event as well |
/// | `Closed` | none: it is written as no bytes, and any bytes are read | none |
///
/// The enum itself need not implement serde's traits, but the types of its fields and its inner types must. If a
/// variant may get fields later, declare it as `Closed {}`: fields with `#[serde(default)]` can be added to an object,
/// but not to an empty payload. Tuple variants of more than one field are refused. Name the fields, so that fields can
/// be added later.
///
/// A **struct** (named fields, one unnamed field, or a unit) implements `Serialize` and `Deserialize` itself, and its
/// payload is what they write. It is an event on its own, or the inner value of a newtype variant. There the variant's
/// name is the event type, and the enum's codec writes the payload.
///
/// Events own their data: a type with lifetimes and a field that borrows are refused. Use `String` instead of `&str`.
/// Structs may be generic. They are events if they are `Serialize + DeserializeOwned + Send + Sync + 'static` and the
/// fields with tags and the id are `Display`.
///
/// # Event types
///
/// An event type is the variant's or struct's name in kebab-case, unless `rename` gives another. A word begins at an
/// upper-case letter after a lower-case letter or a digit, and at the last of several upper-case letters if a
/// lower-case letter follows. serde's kebab-case is different: there every upper-case letter begins a word.
///
/// | Name | Event type |
/// |---|---|
/// | `StateSigned` | `state-signed` |
/// | `HTTPSeen` | `http-seen` |
/// | `V2Signed` | `v2-signed` |
/// | `Row12Sold` | `row12-sold` |
///
/// Event types in the log never change. When you rename a variant, keep its event type with `rename`.
///
/// # Attributes
///
/// | Attribute | Where | What it does |
/// |---|---|---|
/// | `#[event(rename = "…")]` | struct, variant | sets the event type: 1 to 255 bytes without control characters |
/// | `#[event(alias = "…")]` | struct, variant | an older event type: events of that type are read as this one, and queries for this type find them; any number of aliases |
/// | `#[event(upcast = path)]` | struct, variant | sets the function that reads older payloads, see below |
/// | `#[event(no_names)]` | struct, enum | writes no constants and functions with the event's names, see below |
/// | `#[event(codec = Path)]` | struct, enum | sets the `annals::Codec` of the payload; the default is `annals::Json` |
/// | `#[event(tag = "name")]` | field | adds the tag `name:value`, the value by its `Display` |
/// | `#[event(tag)]` | field | adds the value's `Display` as the whole tag |
/// | `#[event(id = "name")]` | one field | makes `name:value` the event's id, the value by its `Display` |
/// | `#[event(id)]` | one field | makes the value's `Display` the whole id |
/// | `#[event(metadata)]` | one field, an `annals::Metadata` | stores it beside the payload, see below |
///
/// A field may have more than one tag, and be the id as well. An `Option<…>` adds its tag or id if it has a value. A
/// `Vec<…>`, an array or a boxed slice adds a tag for each element, and cannot be the id. The macro sees types as they
/// are written, so it treats a type alias of an `Option` as a plain type.
///
/// Ids are one space for the whole log, over all event types. Give ids of different kinds different names: with
/// `id = "order"` and `id = "invoice"`, order 7 has the id `order:7` and invoice 7 the id `invoice:7`. A UUID needs no
/// name. The name of an id is part of what the log stores, so do not change it later.
///
/// # Names that the compiler checks
///
/// A mistyped name in a query finds nothing. So the derive also writes the names as items of the type, with the type's
/// visibility:
///
/// | Item | For | Value |
/// |---|---|---|
/// | `Booking::SEAT_SOLD_TYPE` | each variant, here `SeatSold` | its event type, also if it was renamed |
/// | `Cancelled::EVENT_TYPE` | a struct | its event type |
/// | `Booking::seat_tag(value)` | each name of a tag, here `tag = "seat"` | the tag `seat:value` |
/// | `Booking::request_id(value)` | each name of an id, here `id = "request"` | the id `request:value` |
///
/// In names of functions, characters other than letters and digits become `_`. The tags of a newtype variant are items
/// of its inner type. An item of a generic struct is named with a type, `Paid::<u32>::EVENT_TYPE`. If the type has an
/// item of the same name, which the compiler reports as a duplicate definition, rename that item, or write
/// `#[event(no_names)]` on the type: then the derive writes none.
///
/// ```
/// use annals::{Event, EventStore, Query, QueryItem};
///
/// #[derive(Event)]
/// enum Booking {
///     SeatSold {
///         #[event(tag = "seat")]
///         seat: String,
///         #[event(id = "request")]
///         request: u32,
///     },
/// }
///
/// let store = EventStore::in_memory();
/// store.append(Booking::SeatSold { seat: "12A".into(), request: 7 })?;
///
/// let sales = QueryItem::new().event_type(Booking::SEAT_SOLD_TYPE).tag(Booking::seat_tag("12A"));
/// assert_eq!(store.query(&Query::item(sales)).count(), 1);
/// assert_eq!(store.find(&Booking::request_id(7))?, Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Metadata
///
/// A field `#[event(metadata)]` of the type `annals::Metadata` has what belongs to the append rather than to the fact:
/// the user, the request, the event that caused this one. The log stores it beside the payload, and the field has it
/// again when the event is read, with all entries that the record has. It is never part of an event's identity: a retry
/// with other metadata is the same event.
///
/// In a variant nothing else is needed. In a struct, which serde's derive writes as a whole, the field also has
/// `#[serde(skip)]`. An `upcast` function sets the field itself, from `raw.metadata()`.
///
/// ```
/// use annals::{Event, EventStore, Metadata};
///
/// #[derive(Event, Debug, Clone, PartialEq)]
/// enum Booking {
///     SeatSold {
///         seat: String,
///         #[event(metadata)]
///         cause: Metadata,
///     },
/// }
///
/// let store = EventStore::in_memory_encoded();
/// let cause = Metadata::from([("user", "alice"), ("request", "7")]);
/// store.append(Booking::SeatSold { seat: "12A".into(), cause })?;
///
/// let Booking::SeatSold { cause, .. } = &store.get(0)?.expect("it was sold").event;
/// assert_eq!(cause.get("user"), Some("alice"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # serde's attributes
///
/// In an enum these shape the payload of struct variants:
///
/// | Attribute | Where | What it does |
/// |---|---|---|
/// | any | field | as in serde: `rename`, `alias`, `default`, `skip`, `skip_serializing_if`, `with`, `flatten` … |
/// | `#[serde(rename_all = "…")]` | variant | renames its fields |
/// | `#[serde(deny_unknown_fields)]` | variant, enum | refuses unknown fields |
/// | `#[serde(rename_all_fields = "…")]` | enum | renames the fields of all variants |
///
/// Attributes that set a variant's name, or how serde distinguishes variants, are for a derive of serde's own traits on
/// the same enum. They do not affect events. On a struct, serde's attributes do what they always do.
///
/// # Reading
///
/// `decode` chooses the variant by the event type. An unknown event type is a `CodecError::UnknownType`, which lists
/// the known types. A payload that does not fit is the codec's error.
///
/// # Older events
///
/// The log's bytes never change, so a program must read events in their old forms. For fields that were added, renamed
/// or removed, serde's `default` and `alias` are enough. For other changes, `upcast` names a function of the type
///
/// ```text
/// fn(&RawEvent) -> Result<Option<Self>, CodecError>
/// ```
///
/// It is called first, for events of the type and of its aliases. It returns the current form of an older event, or
/// `None` for a payload in the current form, which is then decoded as usual. `Self` is the struct or the enum. On a
/// newtype variant, put `alias` and `upcast` on the variant: those of its inner type apply only to that type as an
/// event on its own.
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
/// /// Reads events from the time when they were called `seat-booked` and prices were in euros.
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
