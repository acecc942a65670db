//! The events of objectives, from creation to completion.
//!
//! The fields are declared in the order of their names, so that their JSON is canonical: see
//! [`payload`](super::payload).

use serde::{Deserialize, Serialize};

use crate::event::payload::payload;
use crate::fields::{EventVersion, Participants, present};
use crate::hex::{Address, Hash};

/// `objective-created`: an objective was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectiveCreated {
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The objective.
    pub objective_id: Hash,
    /// The purpose of the objective.
    pub objective_type: ObjectiveType,
    /// The participants, in the order of their turns.
    pub participants: Participants,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

/// `objective-approved`: an objective was approved, and owns its channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectiveApproved {
    /// The account that approved it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Address"))]
    pub approver: Option<Address>,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The objective.
    pub objective_id: Hash,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

/// `objective-rejected`: an objective was rejected, which is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectiveRejected {
    /// The reason, for a program.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub error_code: Option<String>,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The objective.
    pub objective_id: Hash,
    /// The reason, for a person.
    pub reason: String,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

/// `objective-cranked`: an objective was advanced as far as possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectiveCranked {
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The objective.
    pub objective_id: Hash,
    /// The number of messages and transactions that this caused.
    pub side_effects_count: u32,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// Whether the objective is now waiting.
    pub waiting: bool,
}

/// `objective-completed`: an objective was completed, which is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectiveCompleted {
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The hash of the last state of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub final_channel_state: Option<Hash>,
    /// The objective.
    pub objective_id: Hash,
    /// Whether the objective was reached.
    pub success: bool,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

/// The purpose of an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ObjectiveType {
    /// Funds a channel on the chain.
    DirectFund,
    /// Takes the funds out of the channel on the chain.
    DirectDefund,
    /// Funds a channel through other channels.
    VirtualFund,
    /// Returns the funds of the channel to those channels.
    VirtualDefund,
}

payload!(ObjectiveCreated, "objective-created", objective: objective_id, channel: channel_id, participant: participants);
payload!(ObjectiveApproved, "objective-approved", objective: objective_id, participant: approver);
payload!(ObjectiveRejected, "objective-rejected", objective: objective_id);
payload!(ObjectiveCranked, "objective-cranked", objective: objective_id);
payload!(ObjectiveCompleted, "objective-completed", objective: objective_id);
