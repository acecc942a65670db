//! What happens off the chain: a channel, and the states signed in it.
//!
//! The fields stand in the order of their names, which makes their JSON canonical: see [`payload`](super::payload).

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::event::payload::payload;
use crate::fields::{EventVersion, Participants, present};
use crate::hex::{Address, Hash, Signature};

/// `channel-created`: a channel came into being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChannelCreated {
    /// The contract that rules its application.
    pub app_definition: Address,
    /// How long a challenge can be answered, in seconds, at least 1.
    pub challenge_duration: NonZeroU32,
    /// The channel.
    pub channel_id: Hash,
    /// What tells it from other channels of the same participants.
    pub channel_nonce: u64,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// Who takes part, in the order of their turns.
    pub participants: Participants,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

/// `state-signed`: we signed a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StateSigned {
    /// The hash of the state's application data.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub app_data_hash: Option<Hash>,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// Whether the state is final.
    pub is_final: bool,
    /// The signature.
    pub signature: Signature,
    /// Who signed.
    pub signer: Address,
    /// The hash of the state.
    pub state_hash: Hash,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
    /// The turn.
    pub turn_num: u64,
}

/// `state-received`: somebody else signed a state, and we have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StateReceived {
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// Whether the state is final.
    pub is_final: bool,
    /// The peer it came from.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub peer_id: Option<String>,
    /// The signature.
    pub signature: Signature,
    /// Who signed.
    pub signer: Address,
    /// The hash of the state.
    pub state_hash: Hash,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
    /// The turn.
    pub turn_num: u64,
}

/// `state-supported-updated`: a later state has everyone's signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StateSupportedUpdated {
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// How many signatures support it.
    pub num_signatures: NonZeroU32,
    /// The turn that was supported before; 0 if there was none.
    pub prev_supported_turn: u64,
    /// The hash of the state.
    pub state_hash: Hash,
    /// The turn that is supported now.
    pub supported_turn: u64,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

/// `channel-finalized`: everyone signed a final state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChannelFinalized {
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The hash of the final state.
    pub final_state_hash: Hash,
    /// The turn of the final state.
    pub final_turn: u64,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

payload!(ChannelCreated, "channel-created", channel: channel_id, participant: participants);
payload!(StateSigned, "state-signed", channel: channel_id, participant: signer);
payload!(StateReceived, "state-received", channel: channel_id, peer: peer_id, participant: signer);
payload!(StateSupportedUpdated, "state-supported-updated", channel: channel_id);
payload!(ChannelFinalized, "channel-finalized", channel: channel_id);
