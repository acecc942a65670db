//! The bound that `#[derive(Event)]` places on the types in a payload.
//!
//! The macro asks for this trait instead of serde's, so that the compiler reports a type without serde's traits in
//! one message that says what to add.

use serde::{Serialize, de::DeserializeOwned};

use crate::event::codec::Codec;
use crate::event::error::CodecError;

/// A type that codecs write and read: a payload, or a part of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is in the payload of an event, so it needs serde's `Serialize` and `Deserialize`",
    label = "`{Self}` does not implement both traits",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to the type; a type of another crate may have them \
            behind a feature of that crate, often named `serde`"
)]
pub trait Payload: Sized {
    /// The unit value. Code that names this constant compiles only if the type is a payload.
    const CHECK: () = ();

    /// Appends the encoding of this payload to `data`.
    ///
    /// # Errors
    /// The codec's error.
    fn encode<C: Codec>(&self, data: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Decodes a payload.
    ///
    /// # Errors
    /// The codec's error.
    fn decode<C: Codec>(data: &[u8]) -> Result<Self, CodecError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Payload for T {
    fn encode<C: Codec>(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
        C::encode(self, data)
    }

    fn decode<C: Codec>(data: &[u8]) -> Result<Self, CodecError> {
        C::decode(data)
    }
}
