//! Deserializes the fields of a line: each at most once, no unknown fields, and only values of the right type.
//!
//! An error's message states the problem; [`ADVICE`] separates it from what would be right.

use std::borrow::Cow;
use std::collections::BTreeMap;

use annals::{MAX_METADATA, MAX_TAGS};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

/// Separates the problem from the advice in an error's message. serde escapes line feeds in the names and values that
/// it quotes, so the first line feed is this one.
pub(super) const ADVICE: char = '\n';

/// The number of tags or metadata entries after which parsing stops. It is far above the limits, so that the error for
/// a smaller excess states the exact number.
const MAX_PARSED_ITEMS: usize = 4_096;

const FIELDS: &str = "type, tags, data, data_base64, id, metadata";

/// The fields of a line, borrowed from the line where they contain no escapes.
pub(super) struct Fields<'l> {
    pub(super) event_type: Cow<'l, str>,
    pub(super) tags: Vec<Cow<'l, str>>,
    pub(super) data: Option<&'l RawValue>,
    pub(super) data_base64: Option<Cow<'l, str>>,
    pub(super) id: Option<Cow<'l, str>>,
    pub(super) metadata: BTreeMap<Cow<'l, str>, Cow<'l, str>>,
}

impl<'l> Deserialize<'l> for Fields<'l> {
    fn deserialize<D: Deserializer<'l>>(line: D) -> Result<Self, D::Error> {
        line.deserialize_map(Event)
    }
}

struct Event;

impl<'l> Visitor<'l> for Event {
    type Value = Fields<'l>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            r#"an object such as {"type":"seat-sold","tags":["seat:12A"],"data":{"price":90}}"#,
        )
    }

    fn visit_map<A: MapAccess<'l>>(self, mut line: A) -> Result<Fields<'l>, A::Error> {
        let (mut event_type, mut tags, mut id, mut metadata) = (None, None, None, None);
        let (mut data, mut data_base64) = (None, None);
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
                "offset" | "time" => {
                    return Err(A::Error::custom(format_args!(
                        "the store assigns the field {field:?}{ADVICE}leave it out; to copy a store with its \
                        offsets and times, use `annals copy`"
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
