//! The events of messages between parties.
//!
//! The fields are declared in the order of their names, so that their JSON is canonical: see
//! [`payload`](super::payload).

use serde::{Deserialize, Serialize};

use crate::event::payload::payload;
use crate::fields::{EventVersion, present};
use crate::hex::Hash;

/// `message-sent`: a message was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MessageSent {
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The message.
    pub message_id: Hash,
    /// The objective.
    pub objective_id: Hash,
    /// The size of the message in bytes.
    pub payload_size_bytes: u32,
    /// The kind of the message's content.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub payload_type: Option<String>,
    /// The peer.
    pub peer_id: String,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

/// `message-received`: a message was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MessageReceived {
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The message.
    pub message_id: Hash,
    /// The objective.
    pub objective_id: Hash,
    /// The size of the message in bytes.
    pub payload_size_bytes: u32,
    /// The kind of the message's content.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub payload_type: Option<String>,
    /// The peer.
    pub peer_id: String,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

/// `message-acked`: the peer acknowledged a message that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MessageAcked {
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The message.
    pub message_id: Hash,
    /// The peer.
    pub peer_id: String,
    /// The time from sending to the acknowledgement, in milliseconds.
    pub roundtrip_ms: u32,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

/// `message-dropped`: a message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MessageDropped {
    /// The reason, for a program.
    pub error_code: DropCode,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The id of the message, if the message could be read.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub message_id: Option<Hash>,
    /// The size of the message in bytes.
    pub payload_size_bytes: u32,
    /// The peer.
    pub peer_id: String,
    /// The reason, for a person.
    pub reason: String,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DropCode {
    /// The message could not be read.
    DecodeFailed,
    /// A signature in the message is wrong.
    SignatureInvalid,
    /// The message is about an unknown channel.
    ChannelUnknown,
    /// The content of the message breaks a rule.
    PayloadInvalid,
    /// The message was received before.
    ReplayAttack,
}

payload!(MessageSent, "message-sent", objective: objective_id, message: message_id, peer: peer_id);
payload!(MessageReceived, "message-received", objective: objective_id, message: message_id, peer: peer_id);
payload!(MessageAcked, "message-acked", message: message_id, peer: peer_id);
payload!(MessageDropped, "message-dropped", message: message_id, peer: peer_id);
