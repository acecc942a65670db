//! `#[derive(Event)]`: how each form of type is stored, read back and found.
//!
//! The directory `derive/` has a file for each kind of type that the derive refuses.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use annals::{Codec, CodecError, Event, EventStore, Metadata, Query, QueryItem, RawEvent, Tags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Returns the event as the log stores it.
fn raw<E: Event>(event: &E) -> RawEvent {
    let mut data = Vec::new();
    event.encode(&mut data).expect("it has an encoding");
    let mut builder = RawEvent::builder(event.event_type()).data(data);
    let mut tags = Tags::default();
    event.tags(&mut tags);
    for tag in tags.iter() {
        builder = builder.tag(tag);
    }
    let mut metadata = Metadata::default();
    event.metadata(&mut metadata);
    for (name, value) in metadata.iter() {
        builder = builder.metadata(name, value);
    }
    if let Some(id) = event.id() {
        builder = builder.id(id);
    }
    builder.build().expect("it is within the limits")
}

/// Asserts how the log stores an event, and that the event is read back unchanged.
#[track_caller]
fn kept<E: Event + fmt::Debug + PartialEq>(event: &E, event_type: &str, tags: &[&str], data: &str) {
    let raw = raw(event);
    assert_eq!(raw.event_type(), event_type);
    assert_eq!(raw.tags().collect::<Vec<_>>(), tags);
    assert_eq!(std::str::from_utf8(raw.data_bytes()), Ok(data));
    assert_eq!(&E::decode(&raw).expect("it fits"), event);
}

/// Decodes an event with this type and payload.
fn read<E: Event>(event_type: &str, data: &str) -> Result<E, CodecError> {
    let raw = RawEvent::builder(event_type).data(data.to_owned()).build();
    E::decode(&raw.expect("it is within the limits"))
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Seat {
    row: u8,
    letter: char,
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.row, self.letter)
    }
}

#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq)]
struct StateSigned {
    #[event(tag = "channel")]
    channel: String,
    nonce: u64,
    #[event(id)]
    hash: String,
}

/// An event with a hand-written implementation and with metadata.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Traced {
    by: String,
}

impl Event for Traced {
    fn event_type(&self) -> &'static str {
        "never-shown"
    }

    fn metadata(&self, metadata: &mut Metadata) {
        metadata.set("by", &self.by);
    }

    fn encode(&self, _: &mut Vec<u8>) -> Result<(), CodecError> {
        unreachable!("the enum's codec encodes the inner value")
    }

    fn decode(_: &RawEvent) -> Result<Self, CodecError> {
        unreachable!("the enum's codec decodes the inner value")
    }
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Booking {
    SeatSold {
        #[event(tag = "seat")]
        seat: Seat,
        price: u32,
        #[event(tag = "buyer", id)]
        order: Option<String>,
        #[event(tag)]
        labels: Vec<String>,
    },
    #[event(rename = "seat.freed")]
    SeatFreed {
        #[event(tag = "seat")]
        #[event(tag = "freed")]
        seat: Seat,
    },
    StateSigned(StateSigned),
    #[event(rename = "state-signed-again")]
    Again(StateSigned),
    Asked(Traced),
    Opened {},
    Closed,
}

fn seat() -> Seat {
    Seat { row: 12, letter: 'A' }
}

fn signed() -> StateSigned {
    StateSigned { channel: "7".into(), nonce: 3, hash: "0x5f".into() }
}

fn sold(order: Option<&str>, labels: &[&str]) -> Booking {
    let labels = labels.iter().map(ToString::to_string).collect();
    Booking::SeatSold { seat: seat(), price: 90, order: order.map(Into::into), labels }
}

#[test]
fn a_struct_variant_is_stored_as_an_object_of_its_fields() {
    kept(
        &sold(Some("o-1"), &["vip", "late"]),
        "seat-sold",
        &["seat:12A", "buyer:o-1", "vip", "late"],
        r#"{"seat":{"row":12,"letter":"A"},"price":90,"order":"o-1","labels":["vip","late"]}"#,
    );
    let freed = Booking::SeatFreed { seat: seat() };
    kept(&freed, "seat.freed", &["seat:12A", "freed:12A"], r#"{"seat":{"row":12,"letter":"A"}}"#);
    kept(&Booking::Opened {}, "opened", &[], "{}");
}

#[test]
fn a_missing_value_gives_no_tag_and_no_id() {
    let bare = sold(None, &[]);
    kept(
        &bare,
        "seat-sold",
        &["seat:12A"],
        r#"{"seat":{"row":12,"letter":"A"},"price":90,"order":null,"labels":[]}"#,
    );
    assert_eq!(bare.id(), None);
    assert_eq!(sold(Some("o-1"), &[]).id(), Some(Cow::Borrowed("o-1")));
    assert_eq!(Booking::Closed.id(), None);
}

#[test]
fn a_newtype_variant_has_its_own_type_and_the_labels_of_its_inner_value() {
    let payload = r#"{"channel":"7","nonce":3,"hash":"0x5f"}"#;
    for (event, event_type) in [
        (Booking::StateSigned(signed()), "state-signed"),
        (Booking::Again(signed()), "state-signed-again"),
    ] {
        kept(&event, event_type, &["channel:7"], payload);
        assert_eq!(event.id().as_deref(), Some("0x5f"));
    }
    let asked = Booking::Asked(Traced { by: "ö".into() });
    kept(&asked, "asked", &[], r#"{"by":"ö"}"#);
    assert_eq!(raw(&asked).metadata(), [("by", "ö")]);
}

#[test]
fn a_unit_variant_has_an_empty_payload_and_decodes_any_payload() {
    kept(&Booking::Closed, "closed", &[], "");
    assert_eq!(read::<Booking>("closed", r#"{"by":"x"}"#).unwrap(), Booking::Closed);
}

#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Noted(#[event(tag = "word", id)] String);

#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq)]
struct HTTPSeen;

#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[event(rename = "Über alles")]
#[serde(rename_all = "UPPERCASE")]
struct Renamed {
    r#type: u8,
}

#[test]
fn a_struct_is_stored_as_its_own_serde_implementation_writes_it() {
    kept(&signed(), "state-signed", &["channel:7"], r#"{"channel":"7","nonce":3,"hash":"0x5f"}"#);
    kept(&Noted("hi".into()), "noted", &["word:hi"], r#""hi""#);
    assert_eq!(Noted("hi".into()).id().as_deref(), Some("hi"));
    kept(&HTTPSeen, "http-seen", &[], "null");
    kept(&Renamed { r#type: 1 }, "Über alles", &[], r#"{"TYPE":1}"#);
}

/// A type with `Display`, for which the struct has no bound.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Measured<T, const N: usize = 0> {
    #[event(tag = "value")]
    values: Vec<Option<T>>,
    #[event(tag = "pair")]
    pair: [u8; 2],
    #[event(tag = "boxed")]
    boxed: Box<[T]>,
}

#[test]
fn a_generic_struct_is_an_event_where_it_can_be() {
    let measured = Measured::<i32> {
        values: vec![Some(1), None, Some(-2)],
        pair: [3, 4],
        boxed: Box::new([5]),
    };
    kept(
        &measured,
        "measured",
        &["value:1", "value:-2", "pair:3", "pair:4", "boxed:5"],
        r#"{"values":[1,null,-2],"pair":[3,4],"boxed":[5]}"#,
    );
}

/// Generic over every type, so that it does not mistake a reference for the type that it refers to.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{value:#x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).map_err(serde::de::Error::custom)
    }
}

fn doubled<T: Copy + Into<u64>, S: serde::Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(2 * (*value).into())
}

fn seven() -> u8 {
    7
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Extra {
    left: u8,
    right: u8,
}

#[derive(Event, Debug, Clone, PartialEq)]
#[serde(rename_all_fields = "SCREAMING_SNAKE_CASE")]
enum Shaped {
    #[event(rename = "strict")]
    #[serde(rename_all = "camelCase", deny_unknown_fields, rename = "left to serde")]
    Strict {
        first_name: String,
        #[serde(rename = "last", alias = "surname")]
        last_name: String,
    },
    Lenient {
        #[serde(skip_serializing_if = "is_default", default)]
        row_number: u32,
        #[serde(skip_serializing_if = "str::is_empty", default)]
        note: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        price: Option<u32>,
        #[serde(with = "hex")]
        hash: u64,
        #[serde(serialize_with = "doubled")]
        twice: u32,
        #[serde(default = "seven", skip_serializing)]
        written: u8,
        #[serde(flatten)]
        extra: Extra,
        #[serde(skip)]
        #[event(tag = "shown")]
        shown: Option<Arc<str>>,
    },
    Nested {
        r#type: u8,
        inner: Option<Box<Self>>,
        __annals: u8,
    },
}

// An enum may be in its own payload if it implements serde's traits. The log does not use these for the event itself.
impl Serialize for Shaped {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

impl<'de> Deserialize<'de> for Shaped {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer)?;
        Ok(Self::Strict { first_name: String::new(), last_name: String::new() })
    }
}

#[test]
fn serdes_attributes_shape_a_payload() {
    let strict = Shaped::Strict { first_name: "Ada".into(), last_name: "L".into() };
    kept(&strict, "strict", &[], r#"{"firstName":"Ada","last":"L"}"#);
    assert_eq!(read::<Shaped>("strict", r#"{"firstName":"Ada","surname":"L"}"#).unwrap(), strict);
    let error = read::<Shaped>("strict", r#"{"firstName":"Ada","last":"L","age":9}"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("unknown field `age`"), "{error}");

    let lenient = |twice, shown: Option<&str>| Shaped::Lenient {
        row_number: 0,
        note: String::new(),
        price: None,
        hash: 255,
        twice,
        written: 7,
        extra: Extra { left: 1, right: 2 },
        shown: shown.map(Into::into),
    };
    let written = raw(&lenient(4, Some("x")));
    assert_eq!(written.tags().collect::<Vec<_>>(), ["shown:x"]);
    assert_eq!(written.data_bytes(), br#"{"HASH":"0xff","TWICE":8,"left":1,"right":2}"#);
    assert_eq!(Shaped::decode(&written).unwrap(), lenient(8, None));

    let inner =
        Some(Box::new(Shaped::Strict { first_name: String::new(), last_name: String::new() }));
    kept(
        &Shaped::Nested { r#type: 1, inner, __annals: 2 },
        "nested",
        &[],
        r#"{"TYPE":1,"INNER":true,"__ANNALS":2}"#,
    );
}

#[test]
fn an_unknown_type_is_an_error_that_lists_the_known_types() {
    let error = read::<Shaped>("seat-stolen", "{}").unwrap_err();
    assert!(matches!(&error, CodecError::UnknownType { found, .. } if found == "seat-stolen"));
    assert_eq!(
        error.to_string(),
        r#"unknown event type "seat-stolen"; expected strict, lenient, nested"#
    );
    let error = read::<Noted>("seat-stolen", "{}").unwrap_err();
    assert_eq!(error.to_string(), r#"unknown event type "seat-stolen"; expected noted"#);
    // The name of the inner type is not a type of the enum.
    assert!(matches!(read::<Booking>("never-shown", "{}"), Err(CodecError::UnknownType { .. })));
}

#[test]
fn a_payload_that_cannot_be_decoded_is_an_error_of_the_codec() {
    let error = read::<Booking>("seat.freed", r#"["x"]"#).unwrap_err();
    assert!(matches!(error, CodecError::Payload(_)));
    let error = read::<Booking>("seat.freed", "7").unwrap_err().to_string();
    assert!(error.contains("expected struct variant Booking::SeatFreed"), "{error}");
    for (event_type, data) in
        [("seat-sold", "{}"), ("seat-sold", ""), ("state-signed", "null"), ("opened", "")]
    {
        assert!(
            matches!(read::<Booking>(event_type, data), Err(CodecError::Payload(_))),
            "{event_type} {data}"
        );
    }
}

/// JSON after a mark.
struct Marked;

impl Codec for Marked {
    fn encode<T: Serialize>(payload: &T, data: &mut Vec<u8>) -> Result<(), CodecError> {
        data.push(b'#');
        annals::Json::encode(payload, data)
    }

    fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T, CodecError> {
        annals::Json::decode(data.strip_prefix(b"#").unwrap_or_default())
    }
}

mod inside {
    /// A generic codec that is named by a path.
    pub(crate) struct Through<C>(std::marker::PhantomData<C>);

    impl<C: super::Codec> super::Codec for Through<C> {
        fn encode<T: serde::Serialize>(
            payload: &T,
            data: &mut Vec<u8>,
        ) -> Result<(), super::CodecError> {
            C::encode(payload, data)
        }

        fn decode<T: serde::de::DeserializeOwned>(data: &[u8]) -> Result<T, super::CodecError> {
            C::decode(data)
        }
    }
}

#[derive(Event, Debug, Clone, PartialEq)]
#[event(codec = inside::Through<Marked>)]
#[serde(deny_unknown_fields)]
enum Coded {
    Object { number: u8 },
    Inner(StateSigned),
    Unit,
}

#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[event(codec = Marked, rename = "coded")]
struct CodedStruct {
    number: u8,
}

#[test]
fn the_named_codec_writes_all_payloads() {
    kept(&Coded::Object { number: 1 }, "object", &[], r#"#{"number":1}"#);
    kept(
        &Coded::Inner(signed()),
        "inner",
        &["channel:7"],
        r#"#{"channel":"7","nonce":3,"hash":"0x5f"}"#,
    );
    kept(&Coded::Unit, "unit", &[], "");
    let error = read::<Coded>("object", r#"#{"number":1,"colour":2}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `colour`"), "{error}");
    kept(&CodedStruct { number: 1 }, "coded", &[], r#"#{"number":1}"#);
}

/// Names that must not collide with names in the generated code.
#[expect(dead_code, unused_imports, reason = "they are there to be in the way")]
mod hygiene {
    use annals::Event;

    pub(crate) struct String;
    pub(crate) struct Vec;
    pub(crate) struct Option;
    pub(crate) struct Result;
    pub(crate) enum Shadow {
        Some,
        None,
        Ok,
        Err,
    }
    pub(crate) use Shadow::{Err, None, Ok, Some};
    pub(crate) mod std {}
    pub(crate) mod core {}
    pub(crate) mod serde {}

    #[derive(Event)]
    pub(crate) enum Crossed {
        Payload {
            #[event(tag = "tags", id)]
            tags: u32,
            #[event(tag)]
            data: ::std::option::Option<u32>,
            #[event(tag)]
            raw: ::std::vec::Vec<u32>,
            field_0: ::std::string::String,
            element: (),
            some: (),
            found: (),
            metadata: (),
            value: (),
            serializer: (),
        },
        Event,
        CodecError {},
    }
}

#[test]
fn the_generated_code_does_not_collide_with_the_users_names() {
    let event = hygiene::Crossed::Payload {
        tags: 1,
        data: Some(2),
        raw: vec![3, 4],
        field_0: "five".into(),
        element: (),
        some: (),
        found: (),
        metadata: (),
        value: (),
        serializer: (),
    };
    let raw = raw(&event);
    assert_eq!(raw.tags().collect::<Vec<_>>(), ["tags:1", "2", "3", "4"]);
    assert!(matches!(
        hygiene::Crossed::decode(&raw),
        Ok(hygiene::Crossed::Payload { tags: 1, .. })
    ));
    assert_eq!(hygiene::Crossed::Event.event_type(), "event");
    assert_eq!(hygiene::Crossed::CodecError {}.event_type(), "codec-error");
}

macro_rules! event_of {
    ($name:ident, $ty:ty) => {
        #[derive(Event, Debug, PartialEq)]
        enum $name {
            Happened {
                #[event(tag = "to")]
                to: $ty,
            },
        }
    };
}

event_of!(FromMacro, Option<u32>);

#[test]
fn an_event_may_come_from_a_macro() {
    kept(&FromMacro::Happened { to: Some(1) }, "happened", &["to:1"], r#"{"to":1}"#);
}

#[test]
fn the_log_finds_events_by_their_types_tags_and_ids() {
    let store = EventStore::<Booking>::in_memory();
    let events = [
        sold(Some("o-1"), &["vip"]),
        Booking::StateSigned(signed()),
        Booking::SeatFreed { seat: seat() },
        Booking::Closed,
    ];
    assert_eq!(store.append_batch(events.clone()).unwrap(), 0..4);
    let offsets =
        |query: Query| store.query(&query).map(|found| found.unwrap().offset).collect::<Vec<_>>();
    assert_eq!(offsets(Query::tag("seat:12A")), [0, 2]);
    assert_eq!(offsets(Query::tag("buyer:o-1")), [0]);
    assert_eq!(offsets(Query::tag("vip")), [0]);
    assert_eq!(offsets(Query::tag("channel:7")), [1]);
    assert_eq!(offsets(Query::item(QueryItem::new().event_type("closed"))), [3]);
    assert_eq!(
        offsets(Query::item(QueryItem::new().event_type("seat.freed").tag("seat:12A"))),
        [2]
    );
    assert_eq!(store.get(1).unwrap().unwrap().event, events[1]);
    // Because of the id, the second append returns the offset of the first.
    assert_eq!(store.append(events[1].clone()).unwrap(), 1);
    assert_eq!(store.len(), 4);
}
