//! Deserializes the fields of a line: each at most once, no unknown fields, and only values of the right type.
//!
//! An error's message states the problem; [`ADVICE`] separates it from what would be right.

use std::borrow::Cow;
use std::collections::BTreeMap;

use annals::{MAX_METADATA, MAX_TAGS};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::time::{TimeError, parse_time, time_of_number};

/// Separates the problem from the advice in an error's message. serde escapes line feeds in the names and values that
/// it quotes, so the first line feed is this one.
pub(crate) const ADVICE: char = '\n';

/// The number of tags or metadata entries after which parsing stops. It is far above the limits, so that the error for
/// a smaller excess states the exact number.
const MAX_PARSED_ITEMS: usize = 4_096;

const FIELDS: &str = "type, tags, data, data_base64, id, metadata";

/// The fields of a line, borrowed from the line where they contain no escapes.
pub(crate) struct Fields<'l> {
    pub(crate) event_type: Cow<'l, str>,
    pub(crate) tags: Vec<Cow<'l, str>>,
    pub(crate) data: Option<&'l RawValue>,
    pub(crate) data_base64: Option<Cow<'l, str>>,
    pub(crate) id: Option<Cow<'l, str>>,
    pub(crate) metadata: BTreeMap<Cow<'l, str>, Cow<'l, str>>,
    /// Only of lines that were read from a store.
    pub(crate) time_ms: Option<u64>,
}

/// Which fields a line may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line that describes a new event: the store assigns its offset and its time.
    New,
    /// A line that was read from a store, so it may have an offset, which is not used, and a time.
    Store,
}

impl<'l> DeserializeSeed<'l> for Origin {
    type Value = Fields<'l>;

    fn deserialize<D: Deserializer<'l>>(self, line: D) -> Result<Fields<'l>, D::Error> {
        line.deserialize_map(self)
    }
}

impl<'l> Visitor<'l> for Origin {
    type Value = Fields<'l>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            r#"an object such as {"type":"seat-sold","tags":["seat:12A"],"data":{"price":90}}"#,
        )
    }

    fn visit_map<A: MapAccess<'l>>(self, mut line: A) -> Result<Fields<'l>, A::Error> {
        let (mut event_type, mut tags, mut id, mut metadata) = (None, None, None, None);
        let (mut data, mut data_base64) = (None, None);
        let (mut offset, mut time_ms) = (None, None);
        while let Some(field) = line.next_key_seed(Text("a field name"))? {
            match &*field {
                "type" => once(&mut event_type, &field, &mut line, Text("a string for \"type\""))?,
                "tags" => once(&mut tags, &field, &mut line, Tags)?,
                "data" => once(&mut data, &field, &mut line, std::marker::PhantomData)?,
                "data_base64" => {
                    once(
                        &mut data_base64,
                        &field,
                        &mut line,
                        Text("a string for \"data_base64\""),
                    )?;
                }
                "id" => once(&mut id, &field, &mut line, Text("a string for \"id\""))?,
                "metadata" => once(&mut metadata, &field, &mut line, Metadata)?,
                "offset" if self == Self::Store => {
                    once(&mut offset, &field, &mut line, Offset)?;
                }
                "time" if self == Self::Store => once(&mut time_ms, &field, &mut line, Time)?,
                "offset" | "time" => {
                    return Err(A::Error::custom(format_args!(
                        "the store assigns the field {field:?}{ADVICE}for lines that annals printed: \
                        `annals import STORE` takes them (with --keep-times also their times), and \
                        `annals append STORE --reread` ignores their offsets and times"
                    )));
                }
                _ => {
                    return Err(A::Error::custom(format_args!(
                        "unknown field {:?}{ADVICE}the fields are {FIELDS}; put anything else into \"data\"",
                        start(&field)
                    )));
                }
            }
            if data.is_some() && data_base64.is_some() {
                return Err(A::Error::custom(format_args!(
                    "both \"data\" and \"data_base64\"{ADVICE}give only one of them"
                )));
            }
        }
        let event_type = event_type.ok_or_else(|| {
            A::Error::custom(format_args!("missing field \"type\"{ADVICE}every event needs a type"))
        })?;
        Ok(Fields {
            event_type,
            tags: tags.unwrap_or_default(),
            data,
            data_base64,
            id,
            metadata: metadata.unwrap_or_default(),
            time_ms,
        })
    }
}

/// Reads the value of a field, and fails if the field was read before.
fn once<'l, A: MapAccess<'l>, S: DeserializeSeed<'l>>(
    value: &mut Option<S::Value>,
    field: &str,
    line: &mut A,
    seed: S,
) -> Result<(), A::Error> {
    if value.is_some() {
        return Err(A::Error::custom(format_args!(
            "duplicate field {field:?}{ADVICE}give it once"
        )));
    }
    *value = Some(line.next_value_seed(seed)?);
    Ok(())
}

/// Fails after too many items. A parsed list takes many times the memory of its line, so parsing must not go on.
fn check_count<E: serde::de::Error>(count: usize, what: &str, limit: usize) -> Result<(), E> {
    if count <= MAX_PARSED_ITEMS {
        return Ok(());
    }
    Err(E::custom(format_args!("more than {MAX_PARSED_ITEMS} {what}{ADVICE}the limit is {limit}")))
}

/// Returns the first 40 characters of a name.
fn start(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(40) {
        Some((end, _)) => Cow::Owned(format!("{}…", &name[..end])),
        None => Cow::Borrowed(name),
    }
}

/// Deserializes a string; the field is the description for errors.
#[derive(Clone, Copy)]
struct Text(&'static str);

impl<'l> DeserializeSeed<'l> for Text {
    type Value = Cow<'l, str>;

    fn deserialize<D: Deserializer<'l>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_str(self)
    }
}

impl<'l> Visitor<'l> for Text {
    type Value = Cow<'l, str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }

    fn visit_borrowed_str<E>(self, text: &'l str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Deserializes a time: RFC 3339, or after the year 9999 a number of milliseconds since 1970.
struct Time;

impl<'l> DeserializeSeed<'l> for Time {
    type Value = u64;

    fn deserialize<D: Deserializer<'l>>(self, value: D) -> Result<u64, D::Error> {
        value.deserialize_any(self)
    }
}

/// The offset of a line, which is checked and not used.
struct Offset;

impl<'l> DeserializeSeed<'l> for Offset {
    type Value = ();

    fn deserialize<D: Deserializer<'l>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_u64(self)
    }
}

impl Visitor<'_> for Offset {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a whole number from 0 for \"offset\"")
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
}

impl Visitor<'_> for Time {
    type Value = u64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a time such as \"2026-01-05T09:30:00.000Z\" for \"time\"")
    }

    fn visit_u64<E: serde::de::Error>(self, ms: u64) -> Result<u64, E> {
        let wrong = || E::invalid_value(serde::de::Unexpected::Unsigned(ms), &self);
        time_of_number(ms).ok_or_else(wrong)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u64, E> {
        parse_time(text).map_err(|problem| match problem {
            TimeError::Malformed => {
                E::invalid_value(serde::de::Unexpected::Str(&start(text)), &self)
            }
            TimeError::Before1970 => E::custom(format_args!("\"time\": {text:?} is {problem}")),
        })
    }
}

struct Tags;

impl<'l> DeserializeSeed<'l> for Tags {
    type Value = Vec<Cow<'l, str>>;

    fn deserialize<D: Deserializer<'l>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_seq(self)
    }
}

impl<'l> Visitor<'l> for Tags {
    type Value = Vec<Cow<'l, str>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of strings for \"tags\"")
    }

    fn visit_seq<A: SeqAccess<'l>>(self, mut value: A) -> Result<Self::Value, A::Error> {
        let mut tags = Vec::new();
        while let Some(tag) = value.next_element_seed(Text("a string in \"tags\""))? {
            tags.push(tag);
            check_count(tags.len(), "tags", MAX_TAGS)?;
        }
        Ok(tags)
    }
}

struct Metadata;

impl<'l> DeserializeSeed<'l> for Metadata {
    type Value = BTreeMap<Cow<'l, str>, Cow<'l, str>>;

    fn deserialize<D: Deserializer<'l>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_map(self)
    }
}

impl<'l> Visitor<'l> for Metadata {
    type Value = BTreeMap<Cow<'l, str>, Cow<'l, str>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of strings for \"metadata\"")
    }

    fn visit_map<A: MapAccess<'l>>(self, mut value: A) -> Result<Self::Value, A::Error> {
        let mut metadata = BTreeMap::new();
        while let Some(name) = value.next_key_seed(Text("a name in \"metadata\""))? {
            let text = value.next_value_seed(Text("a string for each name in \"metadata\""))?;
            if metadata.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "duplicate name {:?} in \"metadata\"{ADVICE}give it once",
                    start(&name)
                )));
            }
            metadata.insert(name, text);
            check_count(metadata.len(), "metadata entries", MAX_METADATA)?;
        }
        Ok(metadata)
    }
}
