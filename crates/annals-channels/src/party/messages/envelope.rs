//! Messages as bytes: JSON, in one form each.
//!
//! ```text
//!   {"type":"signed-state","objective_id":"0x…","signature":"0x…","signer":"0x…","state":{
//!       "app_data":"0x…","channel_id":"0x…","is_final":false,"outcome":[…],"turn_num":1}}
//!   {"type":"ack","message_id":"0x…"}
//! ```
//! The fields stand in this order, without white space and with hex in lower case, so that a message has one form
//! and its id is that of its bytes: who repeats it in another dress is not taken for somebody with something new.

use alloy_primitives::keccak256;
use annals::{Codec, CodecError, Json};
use serde::{Deserialize, Serialize};

use crate::{Address, Hash, Signature, SignedState, State};

/// A message has at most so many bytes: 1 MiB.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// What parties send each other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and not for long")]
pub enum Envelope {
    /// A signed state.
    SignedState {
        /// The objective under which it is sent.
        objective_id: Hash,
        /// The state, and who signed it.
        turn: SignedState,
    },
    /// That a message has arrived.
    Ack {
        /// The message.
        message_id: Hash,
    },
}

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// More bytes than a message has.
    #[error("a message has at most {MAX_MESSAGE_BYTES} bytes; found {found}")]
    TooLong {
        /// How many.
        found: usize,
    },
    /// They say nothing that a message says.
    #[error("a message is JSON of its form: {0}")]
    Unreadable(#[source] CodecError),
    /// They say it in another form.
    #[error(
        "a message is written in one form: fields in their order, no white space, hex in lower case; at byte {at} it is not"
    )]
    OtherForm {
        /// The first byte that differs.
        at: usize,
    },
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and not for long")]
enum Written {
    SignedState { objective_id: Hash, signature: Signature, signer: Address, state: State },
    Ack { message_id: Hash },
}

impl Envelope {
    /// The bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::TooLong`] if they are more than a message has.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        let written = match self.clone() {
            Self::SignedState { objective_id, turn } => {
                let SignedState { state, signer, signature } = turn;
                Written::SignedState { objective_id, signature, signer, state }
            }
            Self::Ack { message_id } => Written::Ack { message_id },
        };
        let mut bytes = Vec::new();
        Json::encode(&written, &mut bytes).map_err(EnvelopeError::Unreadable)?;
        // All there is are names in lower case, digits and hex.
        bytes.make_ascii_lowercase();
        match bytes.len() {
            0..=MAX_MESSAGE_BYTES => Ok(bytes),
            found => Err(EnvelopeError::TooLong { found }),
        }
    }

    /// The message that these bytes are.
    ///
    /// # Errors
    /// [`EnvelopeError`] that tells why they are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(EnvelopeError::TooLong { found: bytes.len() });
        }
        let envelope = match Json::decode(bytes).map_err(EnvelopeError::Unreadable)? {
            Written::SignedState { objective_id, signature, signer, state } => {
                Self::SignedState { objective_id, turn: SignedState { state, signer, signature } }
            }
            Written::Ack { message_id } => Self::Ack { message_id },
        };
        let form = envelope.to_bytes()?;
        let differs = form.iter().zip(bytes).position(|(form, found)| form != found);
        let shorter = || (form.len() != bytes.len()).then(|| form.len().min(bytes.len()));
        match differs.or_else(shorter) {
            Some(at) => Err(EnvelopeError::OtherForm { at }),
            None => Ok(envelope),
        }
    }
}

/// The id of the message that these bytes are: keccak256 of `msg1|` and the bytes.
pub(super) fn message_id(bytes: &[u8]) -> Hash {
    keccak256([b"msg1|", bytes].concat()).into()
}
