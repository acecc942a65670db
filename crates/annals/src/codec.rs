//! How a payload becomes bytes and comes back: a seam, with JSON as what everybody gets.
//!
//! JSON because a log outlives the program that wrote it: it must be readable with cat, grep and jq.

use serde::{Serialize, de::DeserializeOwned};

use crate::{CodecError, json};

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
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Codec for Json {
    fn encode<T: Serialize>(payload: &T, data: &mut Vec<u8>) -> Result<(), CodecError> {
        json::write(payload, data)
    }

    fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(data).map_err(|error| {
            // Once more, keeping track of where it is: that takes time, which only what does not fit has to spend.
            let mut again = serde_json::Deserializer::from_slice(data);
            match serde_path_to_error::deserialize::<_, T>(&mut again) {
                Err(located) => CodecError::payload(located),
                Ok(_) => CodecError::payload(error),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        type Nested = std::collections::BTreeMap<String, Vec<u8>>;
        let error = Json::decode::<Nested>(br#"{"row":[1,"x"]}"#).unwrap_err().to_string();
        assert!(error.contains("row[1]: invalid type: string \"x\", expected u8"), "{error}");
        assert!(Json::decode::<u8>(b"1 2").unwrap_err().to_string().contains("trailing"));
    }
}
