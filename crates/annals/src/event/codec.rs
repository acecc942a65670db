//! Encodes and decodes payloads: the trait [`Codec`], and [`Json`], the default codec.
//!
//! The default is JSON because a log outlives the program that wrote it: `cat`, `grep` and `jq` can read it.

use std::error::Error;
use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use super::json::writer;
use crate::event::error::CodecError;

/// A format for payloads. A type names its codec in `#[event(codec = …)]`; the default is [`Json`].
///
/// The log stores only the encoded bytes, not the name of the codec. A type that changes its codec must still decode
/// the bytes that the old codec wrote.
///
/// ```
/// use annals::{Codec, CodecError, Event};
/// use serde::{Serialize, de::DeserializeOwned};
///
/// /// JSON with line breaks and indentation.
/// struct PrettyJson;
///
/// impl Codec for PrettyJson {
///     fn encode<T: Serialize>(payload: &T, data: &mut Vec<u8>) -> Result<(), CodecError> {
///         serde_json::to_writer_pretty(data, payload).map_err(CodecError::payload)
///     }
///
///     fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T, CodecError> {
///         serde_json::from_slice(data).map_err(CodecError::payload)
///     }
/// }
///
/// #[derive(Event)]
/// #[event(codec = PrettyJson)]
/// enum Booking {
///     SeatSold { price: u32 },
/// }
///
/// let mut data = Vec::new();
/// Booking::SeatSold { price: 90 }.encode(&mut data)?;
/// assert_eq!(data, b"{\n  \"price\": 90\n}");
/// # Ok::<(), CodecError>(())
/// ```
pub trait Codec {
    /// Appends the encoding of `payload` to `data`.
    ///
    /// # Errors
    /// When the payload cannot be encoded.
    fn encode<T: Serialize>(payload: &T, data: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Decodes the payload that `data` encodes.
    ///
    /// # Errors
    /// When `data` is not a valid encoding of a `T`.
    fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T, CodecError>;
}

/// Compact JSON, the default codec.
///
/// `encode` refuses values that nothing could read back: NaN, infinity, and arrays and objects nested more than 127
/// deep. It writes values that only some types read back: integers of 128 bits, `null` inside `Some`, and keys that are
/// not text. The append checks that an event with such a value decodes to the same event. docs/EVOLUTION.md lists all
/// these values.
///
/// ```
/// use annals::{Codec, Json};
///
/// let mut data = Vec::new();
/// Json::encode(&("12A", 90), &mut data)?;
/// assert_eq!(data, br#"["12A",90]"#);
/// assert_eq!(Json::decode::<(String, u32)>(&data)?, ("12A".to_owned(), 90));
/// assert!(Json::encode(&f64::NAN, &mut data).is_err());
/// # Ok::<(), annals::CodecError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Codec for Json {
    fn encode<T: Serialize>(payload: &T, data: &mut Vec<u8>) -> Result<(), CodecError> {
        writer::write(payload, data)
    }

    fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(data).map_err(|error| {
            // Decodes again and records the path of the field. That is slower, so only a failed decode does it.
            let mut deserializer = serde_json::Deserializer::from_slice(data);
            match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
                Err(located) if writer::is_arbitrary_precision_on() => {
                    CodecError::payload(ArbitraryPrecision(located))
                }
                Err(located) => CodecError::payload(located),
                Ok(_) => CodecError::payload(error),
            }
        })
    }
}

/// A decoding error that `serde_json`'s feature `arbitrary_precision` may have caused.
#[derive(Debug)]
struct ArbitraryPrecision(serde_path_to_error::Error<serde_json::Error>);

impl fmt::Display for ArbitraryPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(error) = self;
        write!(
            f,
            "{error} (serde_json's feature `arbitrary_precision` is on in this build; with it, numbers \
                     inside serde's `flatten`, `tag` and `untagged` cannot be read, see docs/EVOLUTION.md)"
        )
    }
}

impl Error for ArbitraryPrecision {}

#[cfg(test)]
mod tests {
    use super::*;

    /// If one crate of a build switches the feature on, it is on for all of them. Then events with numbers inside
    /// `flatten`, `tag` and `untagged` cannot be read.
    #[test]
    fn serde_json_is_built_without_arbitrary_precision() {
        #[derive(serde::Deserialize)]
        struct Flat {
            #[serde(flatten)]
            all: std::collections::BTreeMap<String, f64>,
        }
        let read = Json::decode::<Flat>(br#"{"rain":1.5}"#).map(|flat| flat.all);
        assert_eq!(read.unwrap(), [("rain".to_owned(), 1.5)].into());
        assert!(!writer::is_arbitrary_precision_on());
    }

    #[test]
    fn a_decoding_error_names_the_path_of_the_field() {
        type Nested = std::collections::BTreeMap<String, Vec<u8>>;
        let error = Json::decode::<Nested>(br#"{"row":[1,"x"]}"#).unwrap_err().to_string();
        assert!(error.contains("row[1]: invalid type: string \"x\", expected u8"), "{error}");
        assert!(Json::decode::<u8>(b"1 2").unwrap_err().to_string().contains("trailing"));
    }
}
