//! The events off the chain: a channel and the states that are signed in it.
//!
//! The fields are declared in the order of their names, so that their JSON is canonical: see
//! [`payload`](super::payload).

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::event::payload::payload;
use crate::fields::{EventVersion, Participants, present};
use crate::hex::{Address, Hash, Signature};
use crate::state::FixedPart;

/// `channel-created`: a channel was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChannelCreated {
    /// The contract of the channel's application.
    pub app_definition: Address,
    /// The time in which a challenge can be cleared, in seconds, at least 1.
    pub challenge_duration: NonZeroU32,
    /// The channel.
    pub channel_id: Hash,
    /// A number that distinguishes the channel from others of the same participants.
    pub channel_nonce: u64,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The participants, in the order of their turns.
    pub participants: Participants,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

impl From<&ChannelCreated> for FixedPart {
    fn from(created: &ChannelCreated) -> Self {
        Self {
            participants: created.participants.clone(),
            channel_nonce: created.channel_nonce,
            app_definition: created.app_definition,
            challenge_duration: created.challenge_duration,
        }
    }
}

/// `state-signed`: the party signed a state.
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
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// Whether the state is final.
    pub is_final: bool,
    /// The signature.
    pub signature: Signature,
    /// The signer.
    pub signer: Address,
    /// The hash of the state.
    pub state_hash: Hash,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// The turn.
    pub turn_num: u64,
}

/// `state-received`: the party received a state that another participant signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StateReceived {
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// Whether the state is final.
    pub is_final: bool,
    /// The peer that the state came from.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub peer_id: Option<String>,
    /// The signature.
    pub signature: Signature,
    /// The signer.
    pub signer: Address,
    /// The hash of the state.
    pub state_hash: Hash,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// The turn.
    pub turn_num: u64,
}

/// `state-supported-updated`: a later state is supported by every participant's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StateSupportedUpdated {
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The number of signatures that support it.
    pub num_signatures: NonZeroU32,
    /// The turn that was supported before, or 0 if there was none.
    pub prev_supported_turn: u64,
    /// The hash of the state.
    pub state_hash: Hash,
    /// The turn that is supported now.
    pub supported_turn: u64,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

/// `channel-finalized`: every participant signed a final state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChannelFinalized {
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The hash of the final state.
    pub final_state_hash: Hash,
    /// The turn of the final state.
    pub final_turn: u64,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

payload!(ChannelCreated, "channel-created", channel: channel_id, participant: participants);
payload!(StateSigned, "state-signed", channel: channel_id, participant: signer);
payload!(StateReceived, "state-received", channel: channel_id, peer: peer_id, participant: signer);
payload!(StateSupportedUpdated, "state-supported-updated", channel: channel_id);
payload!(ChannelFinalized, "channel-finalized", channel: channel_id);
