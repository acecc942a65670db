//! What the chain says of a channel: deposits, challenges, its end.
//!
//! The fields stand in the order of their names, which makes their JSON canonical: see [`payload`](super::payload).

use serde::{Deserialize, Serialize};

use crate::event::payload::payload;
use crate::fields::{Amount, EventVersion, present};
use crate::hex::{Address, Hash};

/// `deposit-detected`: funds were locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DepositDetected {
    /// How much was deposited.
    pub amount_deposited: Amount,
    /// The asset's contract; zero is ETH.
    pub asset: Address,
    /// The block.
    pub block_num: u64,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// How much the channel holds with it.
    pub now_held: Amount,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
    /// The transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The place of the transaction in its block.
    pub tx_index: u32,
}

/// `allocation-updated`: the chain holds another amount for the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AllocationUpdated {
    /// The asset's contract; zero is ETH.
    pub asset: Address,
    /// The block.
    pub block_num: u64,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// How much the channel holds now.
    pub new_amount: Amount,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
    /// The transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The place of the transaction in its block.
    pub tx_index: u32,
}

/// `challenge-registered`: a state was taken to the chain, to become final unless it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChallengeRegistered {
    /// The block.
    pub block_num: u64,
    /// The hash of the state that would become final.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub candidate_state_hash: Option<Hash>,
    /// Who challenges.
    pub challenger: Address,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// When the challenge ends, in seconds since 1970 UTC.
    pub finalization_time: u64,
    /// Whether the state is final.
    pub is_final: bool,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
    /// The turn that is challenged.
    pub turn_num_record: u64,
    /// The transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The place of the transaction in its block.
    pub tx_index: u32,
}

/// `challenge-cleared`: a challenge was answered with a later state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChallengeCleared {
    /// The block.
    pub block_num: u64,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The turn that answered.
    pub new_turn_num_record: u64,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
    /// The transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The place of the transaction in its block.
    pub tx_index: u32,
}

/// `channel-concluded`: the chain took the outcome as final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChannelConcluded {
    /// The block.
    pub block_num: u64,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// The turn that was final.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub finalized_at_turn: Option<u64>,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
    /// The transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The place of the transaction in its block.
    pub tx_index: u32,
}

/// `withdraw-completed`: funds were paid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WithdrawCompleted {
    /// How much.
    pub amount: Amount,
    /// The asset's contract; zero is ETH.
    pub asset: Address,
    /// The block.
    pub block_num: u64,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload: 1.
    pub event_version: EventVersion,
    /// Who received it.
    pub recipient: Address,
    /// When, by the clock of who recorded it: milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
    /// The transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The place of the transaction in its block.
    pub tx_index: u32,
}

payload!(DepositDetected, "deposit-detected", channel: channel_id);
payload!(AllocationUpdated, "allocation-updated", channel: channel_id);
payload!(ChallengeRegistered, "challenge-registered", channel: channel_id, participant: challenger);
payload!(ChallengeCleared, "challenge-cleared", channel: channel_id);
payload!(ChannelConcluded, "channel-concluded", channel: channel_id);
payload!(WithdrawCompleted, "withdraw-completed", channel: channel_id);
