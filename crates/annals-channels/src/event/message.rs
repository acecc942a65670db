//! What goes between the parties: messages, and what became of them.
//!
//! The fields stand in the order of their names, which makes their JSON canonical: see [`payload`](super::payload).

use serde::{Deserialize, Serialize};

use crate::event::payload::payload;
use crate::fields::{EventVersion, present};
use crate::hex::Hash;

/// `message-sent`: a message was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MessageSent {
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The message.
    pub message_id: Hash,
    /// The objective.
    pub objective_id: Hash,
    /// How large it is, in bytes.
    pub payload_size_bytes: u32,
    /// What the message holds.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub payload_type: Option<String>,
    /// The peer.
    pub peer_id: String,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

/// `message-received`: a message was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MessageReceived {
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The message.
    pub message_id: Hash,
    /// The objective.
    pub objective_id: Hash,
    /// How large it is, in bytes.
    pub payload_size_bytes: u32,
    /// What the message holds.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub payload_type: Option<String>,
    /// The peer.
    pub peer_id: String,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

/// `message-acked`: a message that was sent has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MessageAcked {
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The message.
    pub message_id: Hash,
    /// The peer.
    pub peer_id: String,
    /// How long it took from sending, in milliseconds.
    pub roundtrip_ms: u32,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

/// `message-dropped`: a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MessageDropped {
    /// Why, for a program.
    pub error_code: DropCode,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The message, if it could be read so far.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub message_id: Option<Hash>,
    /// How large it is, in bytes.
    pub payload_size_bytes: u32,
    /// The peer.
    pub peer_id: String,
    /// Why, for a person.
    pub reason: String,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DropCode {
    /// It could not be read.
    DecodeFailed,
    /// A signature in it is wrong.
    SignatureInvalid,
    /// It is about a channel that is not known.
    ChannelUnknown,
    /// What it says cannot be.
    PayloadInvalid,
    /// It was received before.
    ReplayAttack,
}

payload!(MessageSent, "message-sent", objective: objective_id, message: message_id, peer: peer_id);
payload!(MessageReceived, "message-received", objective: objective_id, message: message_id, peer: peer_id);
payload!(MessageAcked, "message-acked", message: message_id, peer: peer_id);
payload!(MessageDropped, "message-dropped", message: message_id, peer: peer_id);
