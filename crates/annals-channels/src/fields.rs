//! Amounts, participants and the version, and how an optional field is read.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use alloy_primitives::U256;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::InvalidField;
use crate::hex::Address;
use crate::text::from_text;

/// An amount of an asset in its smallest unit, from 0 to 2^256 - 1. In JSON it is a string of decimal digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(U256);

impl Amount {
    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> U256 {
        self.0
    }
}

impl From<U256> for Amount {
    fn from(amount: U256) -> Self {
        Self(amount)
    }
}

impl From<u64> for Amount {
    fn from(amount: u64) -> Self {
        Self(U256::from(amount))
    }
}

impl FromStr for Amount {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let digits = text.bytes().all(|digit| digit.is_ascii_digit());
        if text.is_empty() || !digits || (text.len() > 1 && text.starts_with('0')) {
            return Err(InvalidField::NoAmount { found: shortened(text) });
        }
        match U256::from_str_radix(text, 10) {
            Ok(amount) => Ok(Self(amount)),
            Err(_) => Err(InvalidField::AmountTooLarge { found: shortened(text) }),
        }
    }
}

/// Returns the text, or its first 100 characters and an ellipsis.
fn shortened(text: &str) -> String {
    let mut start: String = text.chars().take(100).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a string of decimal digits", str::parse)
    }
}

/// The 2 to 255 participants of a channel, in the order of their turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Address>")]
pub struct Participants(Vec<Address>);

impl Participants {
    /// Makes a list of participants.
    ///
    /// # Errors
    /// [`InvalidField::ParticipantCount`] unless there are 2 to 255.
    pub fn new(participants: Vec<Address>) -> Result<Self, InvalidField> {
        match participants.len() {
            2..=255 => Ok(Self(participants)),
            found => Err(InvalidField::ParticipantCount { found }),
        }
    }
}

impl TryFrom<Vec<Address>> for Participants {
    type Error = InvalidField;

    fn try_from(participants: Vec<Address>) -> Result<Self, InvalidField> {
        Self::new(participants)
    }
}

impl Deref for Participants {
    type Target = [Address];

    fn deref(&self) -> &[Address] {
        &self.0
    }
}

/// The version of an event's payload, which is always 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventVersion;

impl Serialize for EventVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(1)
    }
}

impl<'de> Deserialize<'de> for EventVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            found => Err(D::Error::custom(InvalidField::EventVersion { found })),
        }
    }
}

/// Reads an optional field, which may be absent but not null.
///
/// An event's id is a hash of its text, and an absent field is left out of that text. A null would be a second form of
/// the same event.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod schemas {
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Amount, EventVersion, Participants};
    use crate::Address;

    impl JsonSchema for Amount {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "amount".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "pattern": "^(0|[1-9][0-9]{0,77})$" })
        }
    }

    impl JsonSchema for Participants {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "participants".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let address = generator.subschema_for::<Address>();
            json_schema!({ "type": "array", "items": address, "minItems": 2, "maxItems": 255 })
        }
    }

    impl JsonSchema for EventVersion {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "event_version".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "const": 1 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_decimal_and_fit_256_bits() {
        let most = U256::MAX.to_string();
        assert_eq!(most.parse::<Amount>().unwrap().to_string(), most);
        for text in ["", "01", "-1", "+1", "1.0", "1e3", "0x1", " 1", "½"] {
            assert!(matches!(text.parse::<Amount>(), Err(InvalidField::NoAmount { .. })), "{text}");
        }
        let beyond =
            "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        assert!(matches!(beyond.parse::<Amount>(), Err(InvalidField::AmountTooLarge { .. })));
        assert!("9".repeat(10_000).parse::<Amount>().unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn participants_are_2_to_255() {
        for (count, right) in [(0, false), (1, false), (2, true), (255, true), (256, false)] {
            assert_eq!(
                Participants::new(vec![Address::new([1; 20]); count]).is_ok(),
                right,
                "{count}"
            );
        }
    }
}
