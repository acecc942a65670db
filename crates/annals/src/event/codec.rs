//! How a payload becomes bytes and comes back: a seam, with JSON as what everybody gets.
//!
//! JSON because a log outlives the program that wrote it: it must be readable with cat, grep and jq.

use serde::{Serialize, de::DeserializeOwned};

use super::json::writer;
use crate::event::error::CodecError;

/// A way to write payloads, named in `#[event(codec = …)]`; [`Json`] unless another is named.
pub trait Codec {
    /// Appends the encoding of `payload` to `data`.
    ///
    /// # Errors
    /// When the payload has no encoding.
    fn encode<T: Serialize>(payload: &T, data: &mut Vec<u8>) -> Result<(), CodecError>;

    /// The payload that `data` encodes.
    ///
    /// # Errors
    /// When the bytes are no encoding of a `T`.
    fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T, CodecError>;
}

/// JSON, without white space.
///
/// It refuses what could not be read back: numbers that are not finite, and more than 127 arrays and objects inside each
/// other. What only some types read back (integers of 128 bits, `null` inside `Some`, keys that are not text) it writes;
/// the append of an event with such a value checks that it comes back. docs/EVOLUTION.md lists all of it.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Codec for Json {
    fn encode<T: Serialize>(payload: &T, data: &mut Vec<u8>) -> Result<(), CodecError> {
        writer::write(payload, data)
    }

    fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(data).map_err(|error| {
            // Once more, keeping track of where it is: that takes time, which only what does not fit has to spend.
            let mut again = serde_json::Deserializer::from_slice(data);
            match serde_path_to_error::deserialize::<_, T>(&mut again) {
                Err(located) if writer::is_arbitrary_precision_on() => {
                    CodecError::payload(ArbitraryPrecision(located))
                }
                Err(located) => CodecError::payload(located),
                Ok(_) => CodecError::payload(error),
            }
        })
    }
}

/// An error of decoding where the cause may be how `serde_json` was built.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} (serde_json's feature `arbitrary_precision` is on in this build; with it, numbers inside serde's `flatten`, `tag` \
     and `untagged` cannot be read, see docs/EVOLUTION.md)"
)]
struct ArbitraryPrecision(serde_path_to_error::Error<serde_json::Error>);

#[cfg(test)]
mod tests {
    use super::*;

    /// The feature is on for all crates of a build if it is on for one. Then events with numbers inside `flatten`, `tag`
    /// and `untagged` cannot be read.
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
    fn what_does_not_fit_is_named_with_its_place() {
        type Nested = std::collections::BTreeMap<String, Vec<u8>>;
        let error = Json::decode::<Nested>(br#"{"row":[1,"x"]}"#).unwrap_err().to_string();
        assert!(error.contains("row[1]: invalid type: string \"x\", expected u8"), "{error}");
        assert!(Json::decode::<u8>(b"1 2").unwrap_err().to_string().contains("trailing"));
    }
}
