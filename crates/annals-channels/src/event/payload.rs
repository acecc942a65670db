//! The code that all payloads share: the `Event` trait, and the id.
//!
//! ```text
//!   id = 0x keccak256( "ev1|" type "|" payload )      payload: canonical JSON, the exact bytes in the log
//! ```
//! The JSON is canonical by RFC 8785: keys are sorted, without white space. Each payload is one object without
//! inner objects and declares its fields in sorted order, so serde writes it in canonical form. A test compares the
//! result with a canonicalizer. The RFC has no form for integers beyond 2^53 - 1: it would write them as doubles, so
//! different integers would become equal. Here they keep all their digits.

use alloy_primitives::keccak256;
use serde::Serialize;

use crate::hex::Hash;

/// Returns the id of an event. Returns `None` if the payload cannot be written as JSON; encoding it fails later.
pub(crate) fn id(event_type: &str, payload: &impl Serialize) -> Option<Hash> {
    let mut text = Vec::with_capacity(1024);
    for part in ["ev1|", event_type, "|"] {
        text.extend_from_slice(part.as_bytes());
    }
    serde_json::to_writer(&mut text, payload).ok()?;
    Some(keccak256(text).into())
}

/// Implements `Event` for a payload, given its event type and its tags as `name: field`.
macro_rules! payload {
    ($name:ident, $event_type:literal, $($tag:ident: $field:ident),*) => {
        impl $name {
            /// The event type.
            pub const TYPE: &str = $event_type;
        }

        impl annals::Event for $name {
            fn event_type(&self) -> &str {
                Self::TYPE
            }

            fn event_types() -> Option<&'static [&'static str]> {
                Some(&[Self::TYPE])
            }

            fn tags(&self, tags: &mut annals::Tags) {
                $(crate::tagged::Tagged::tag(&self.$field, stringify!($tag), tags);)*
            }

            fn id(&self) -> Option<std::borrow::Cow<'_, str>> {
                crate::event::payload::id(Self::TYPE, self).map(|id| id.to_string().into())
            }

            fn encode(&self, data: &mut Vec<u8>) -> Result<(), annals::CodecError> {
                <annals::Json as annals::Codec>::encode(self, data)
            }

            fn decode(raw: &annals::RawEvent) -> Result<Self, annals::CodecError> {
                if raw.event_type() != Self::TYPE {
                    return Err(annals::CodecError::UnknownType {
                        found: raw.event_type().to_owned(),
                        expected: Self::TYPE.to_owned(),
                    });
                }
                <annals::Json as annals::Codec>::decode(raw.data_bytes())
            }
        }
    };
}

pub(crate) use payload;
