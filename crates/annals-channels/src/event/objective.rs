//! What is wanted of a channel: objectives, from creation to completion.
//!
//! The fields stand in the order of their names, which makes their JSON canonical: see [`payload`](super::payload).

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
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The objective.
    pub objective_id: Hash,
    /// What it is to bring about.
    pub objective_type: ObjectiveType,
    /// Who takes part, in the order of their turns.
    pub participants: Participants,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

/// `objective-approved`: it was approved, and owns its channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectiveApproved {
    /// Who approved.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Address"))]
    pub approver: Option<Address>,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The objective.
    pub objective_id: Hash,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

/// `objective-rejected`: it was rejected, which is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectiveRejected {
    /// Why, for a program.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub error_code: Option<String>,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The objective.
    pub objective_id: Hash,
    /// Why, for a person.
    pub reason: String,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

/// `objective-cranked`: it was taken as far as it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectiveCranked {
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The objective.
    pub objective_id: Hash,
    /// How many messages and transactions came of it.
    pub side_effects_count: u32,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
    /// Whether it now waits for something.
    pub waiting: bool,
}

/// `objective-completed`: it came to its end, which is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectiveCompleted {
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The hash of the state that the channel is left in.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub final_channel_state: Option<Hash>,
    /// The objective.
    pub objective_id: Hash,
    /// Whether it was reached.
    pub success: bool,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

/// What an objective is to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ObjectiveType {
    /// To fund a channel on the chain.
    DirectFund,
    /// To take its funds out.
    DirectDefund,
    /// To fund a channel through others.
    VirtualFund,
    /// To give its funds back to those.
    VirtualDefund,
}

payload!(ObjectiveCreated, "objective-created", objective: objective_id, channel: channel_id, participant: participants);
payload!(ObjectiveApproved, "objective-approved", objective: objective_id, participant: approver);
payload!(ObjectiveRejected, "objective-rejected", objective: objective_id);
payload!(ObjectiveCranked, "objective-cranked", objective: objective_id);
payload!(ObjectiveCompleted, "objective-completed", objective: objective_id);
