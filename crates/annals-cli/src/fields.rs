//! The fields of a line, as serde reads them: each at most once, no others, and only of the right type.

use std::borrow::Cow;
use std::collections::BTreeMap;

use annals::{MAX_METADATA, MAX_TAGS};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

/// Tags or metadata entries that are read, to say how many there are too many.
const MOST_ITEMS: usize = 4_096;

const FIELDS: &str = "type, tags, data, data_base64, id, metadata";

/// A line's fields, borrowed from it where they have no escapes.
pub(crate) struct Fields<'l> {
    pub(crate) event_type: Cow<'l, str>,
    pub(crate) tags: Vec<Cow<'l, str>>,
    pub(crate) data: Option<&'l RawValue>,
    pub(crate) data_base64: Option<Cow<'l, str>>,
    pub(crate) id: Option<Cow<'l, str>>,
    pub(crate) metadata: BTreeMap<Cow<'l, str>, Cow<'l, str>>,
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
        while let Some(field) = line.next_key_seed(Text("a field's name"))? {
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
                        "the field {field:?} is given by the store; leave it out (`annals copy` keeps offsets and times)"
                    )));
                }
                _ => {
                    return Err(A::Error::custom(format_args!(
                        "unknown field {:?}; the fields are {FIELDS}, and all else belongs into data",
                        start(&field)
                    )));
                }
            }
            if data.is_some() && data_base64.is_some() {
                return Err(A::Error::custom("both data and data_base64; give one of them"));
            }
        }
        let event_type = event_type.ok_or_else(|| {
            A::Error::custom("the field \"type\" is missing; every event has one")
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

/// Reads a field's value, which must not have been there before.
fn once<'l, A: MapAccess<'l>, S: DeserializeSeed<'l>>(
    value: &mut Option<S::Value>,
    field: &str,
    line: &mut A,
    seed: S,
) -> Result<(), A::Error> {
    if value.is_some() {
        return Err(A::Error::custom(format_args!(
            "the field {field:?} stands twice; give it once"
        )));
    }
    *value = Some(line.next_value_seed(seed)?);
    Ok(())
}

/// Gives up where there is no end: a list takes many times the memory of its line.
fn check_count<E: serde::de::Error>(count: usize, what: &str, limit: usize) -> Result<(), E> {
    if count <= MOST_ITEMS {
        return Ok(());
    }
    Err(E::custom(format_args!("more than {MOST_ITEMS} {what}; the limit is {limit}")))
}

/// The beginning of a name that may be long.
fn start(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(40) {
        Some((end, _)) => Cow::Owned(format!("{}…", &name[..end])),
        None => Cow::Borrowed(name),
    }
}

/// A string, and what it is for.
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
                    "{:?} stands twice in \"metadata\"; give it once",
                    start(&name)
                )));
            }
            metadata.insert(name, text);
            check_count(metadata.len(), "metadata entries", MAX_METADATA)?;
        }
        Ok(metadata)
    }
}
