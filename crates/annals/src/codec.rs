//! How a payload becomes bytes and comes back: a seam, with JSON as what everybody gets.
//!
//! JSON because a log outlives the program that wrote it: it must be readable with cat, grep and jq.

use serde::{Serialize, de::DeserializeOwned};

use crate::CodecError;

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
        serde_json::to_writer(data, payload).map_err(CodecError::payload)
    }

    fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(data).map_err(CodecError::payload)
    }
}
