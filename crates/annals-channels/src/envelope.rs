//! Messages as bytes: JSON, in exactly one form for each message.
//!
//! ```text
//!   {"type":"signed-state","objective_id":"0x…","signature":"0x…","signer":"0x…","state":{
//!       "app_data":"0x…","channel_id":"0x…","is_final":false,"outcome":[…],"turn_num":1}}
//!   {"type":"ack","message_id":"0x…"}
//!   {"type":"checkpoint","request":"old 3\n…"}          a checkpoint of the sender's log, to cosign
//!   {"type":"receipt","line":"— example.com/bob …\n"}    the cosignature
//!   {"type":"seen","checkpoint":"example.com/alice\n…"}  the last checkpoint of the receiver's log that the sender has
//! ```
//! The fields have this order, without white space, and hex is in lower case. So a message has one form and one id,
//! and a repeated message cannot be disguised as a new one.

use alloy_primitives::keccak256;
use annals::{Codec, CodecError, Json};
use serde::{Deserialize, Serialize};

use crate::fields::present;
use crate::hex::{Address, Hash, Signature};
use crate::state::{SignedState, State};

/// The maximum size of a message in bytes: 1 MiB.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// A message between parties.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and not for long")]
pub enum Envelope {
    /// A signed state.
    SignedState {
        /// The objective that the state belongs to.
        objective_id: Hash,
        /// The state, its signer and the signature.
        turn: SignedState,
    },
    /// The acknowledgement of a message.
    Ack {
        /// The id of the message.
        message_id: Hash,
    },
    /// A checkpoint of the sender's log, with the proof that the log continues what the receiver cosigned last: the
    /// body of a C2SP tlog-witness request.
    Checkpoint {
        /// The request.
        request: String,
    },
    /// The receiver's checkpoint is cosigned.
    Receipt {
        /// The signature line.
        line: String,
    },
    /// The last checkpoint of the receiver's log that the sender knows.
    Seen {
        /// The last checkpoint of the receiver's log that the sender cosigned; `None` if it cosigned none.
        checkpoint: Option<String>,
    },
}

/// The reason for which bytes are not a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The bytes are more than a message may have.
    #[error("a message has at most {MAX_MESSAGE_BYTES} bytes; found {found}")]
    TooLong {
        /// The number of bytes.
        found: usize,
    },
    /// The bytes are not JSON of a message.
    #[error("not the JSON of a message: {0}")]
    Unreadable(#[source] CodecError),
    /// The bytes are JSON of a message, but not in its one form.
    #[error(
        "a message must have its fields in order, no white space, and hex in lower case; this one differs at byte {at}"
    )]
    OtherForm {
        /// The first byte that differs.
        at: usize,
    },
}

/// A message as serde writes it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and not for long")]
enum Written {
    SignedState {
        objective_id: Hash,
        signature: Signature,
        signer: Address,
        state: State,
    },
    Ack {
        message_id: Hash,
    },
    Checkpoint {
        request: String,
    },
    Receipt {
        line: String,
    },
    Seen {
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
        checkpoint: Option<String>,
    },
}

impl Envelope {
    /// Returns the bytes of the message.
    ///
    /// # Errors
    /// [`EnvelopeError::TooLong`] if they are more than [`MAX_MESSAGE_BYTES`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        let written = match self.clone() {
            Self::SignedState { objective_id, turn } => {
                let SignedState { state, signer, signature } = turn;
                Written::SignedState { objective_id, signature, signer, state }
            }
            Self::Ack { message_id } => Written::Ack { message_id },
            Self::Checkpoint { request } => Written::Checkpoint { request },
            Self::Receipt { line } => Written::Receipt { line },
            Self::Seen { checkpoint } => Written::Seen { checkpoint },
        };
        let has_hex = matches!(written, Written::SignedState { .. } | Written::Ack { .. });
        let mut bytes = Vec::new();
        Json::encode(&written, &mut bytes).map_err(EnvelopeError::Unreadable)?;
        if has_hex {
            // The letters are names in lower case and hex digits, so this changes only hex digits.
            bytes.make_ascii_lowercase();
        }
        match bytes.len() {
            0..=MAX_MESSAGE_BYTES => Ok(bytes),
            found => Err(EnvelopeError::TooLong { found }),
        }
    }

    /// Reads a message from its bytes.
    ///
    /// # Errors
    /// [`EnvelopeError`] if the bytes are not a message in its one form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(EnvelopeError::TooLong { found: bytes.len() });
        }
        let envelope = match Json::decode(bytes).map_err(EnvelopeError::Unreadable)? {
            Written::SignedState { objective_id, signature, signer, state } => {
                Self::SignedState { objective_id, turn: SignedState { state, signer, signature } }
            }
            Written::Ack { message_id } => Self::Ack { message_id },
            Written::Checkpoint { request } => Self::Checkpoint { request },
            Written::Receipt { line } => Self::Receipt { line },
            Written::Seen { checkpoint } => Self::Seen { checkpoint },
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

/// Returns the id of the message with these bytes: keccak256 of `msg1|` and the bytes.
pub(crate) fn message_id(bytes: &[u8]) -> Hash {
    keccak256([b"msg1|", bytes].concat()).into()
}
