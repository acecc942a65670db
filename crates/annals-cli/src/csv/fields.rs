//! The fields of an event's data, for the columns of an export.

use std::borrow::Cow;

use annals_cli::Data;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of an object, in their order, with the text of their values.
pub(crate) type Fields<'d> = Vec<(Cow<'d, str>, &'d RawValue)>;

/// Returns the fields of data that is a JSON object, if they and their order are all that the data is: no white space,
/// no name twice, no escapes in names that another writer would not use. An object without fields is not the same as no
/// data, so it has no columns.
pub(crate) fn fields_of(payload: &[u8]) -> Option<Fields<'_>> {
    if payload.first() != Some(&b'{') {
        return None;
    }
    let Data::Json(Cow::Borrowed(json)) = Data::of(payload) else { return None };
    let fields = serde_json::from_str::<Ordered<'_>>(json).ok()?.0;
    let mut again = String::with_capacity(json.len());
    for (at, (name, value)) in fields.iter().enumerate() {
        again.push(if at == 0 { '{' } else { ',' });
        again.push_str(&serde_json::to_string(name).ok()?);
        again.push(':');
        again.push_str(value.get());
    }
    again.push('}');
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    (again == json && names.is_sorted_by(|a, b| a < b)).then_some(fields)
}

struct Ordered<'d>(Fields<'d>);

impl<'d> Deserialize<'d> for Ordered<'d> {
    fn deserialize<D: Deserializer<'d>>(data: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'d> Visitor<'d> for Object {
            type Value = Ordered<'d>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'d>>(self, mut data: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((Name(name), value)) = data.next_entry::<Name<'d>, &'d RawValue>()? {
                    fields.push((name, value));
                }
                Ok(Ordered(fields))
            }
        }
        data.deserialize_map(Object)
    }
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'d>(#[serde(borrow)] Cow<'d, str>);
