//! The events of the chain about a channel: deposits, challenges, the conclusion and withdrawals.
//!
//! The fields are declared in the order of their names, so that their JSON is canonical: see
//! [`payload`](super::payload).

use serde::{Deserialize, Serialize};

use crate::event::payload::payload;
use crate::fields::{Amount, EventVersion, present};
use crate::hex::{Address, Hash};

/// `deposit-detected`: funds were locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DepositDetected {
    /// The amount deposited.
    pub amount_deposited: Amount,
    /// The asset's contract; the zero address is ETH.
    pub asset: Address,
    /// The number of the block.
    pub block_num: u64,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The amount that the channel holds after the deposit.
    pub now_held: Amount,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// The hash of the transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The index of the transaction in its block.
    pub tx_index: u32,
}

/// `allocation-updated`: the chain holds another amount for the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AllocationUpdated {
    /// The asset's contract; the zero address is ETH.
    pub asset: Address,
    /// The number of the block.
    pub block_num: u64,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The amount that the channel holds now.
    pub new_amount: Amount,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// The hash of the transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The index of the transaction in its block.
    pub tx_index: u32,
}

/// `challenge-registered`: a state was registered on the chain; it becomes final unless the challenge is cleared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChallengeRegistered {
    /// The number of the block.
    pub block_num: u64,
    /// The hash of the state that would become final.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub candidate_state_hash: Option<Hash>,
    /// The challenger.
    pub challenger: Address,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The time at which the challenge ends, in seconds since 1970 UTC.
    pub finalization_time: u64,
    /// Whether the state is final.
    pub is_final: bool,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// The turn that is challenged.
    pub turn_num_record: u64,
    /// The hash of the transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The index of the transaction in its block.
    pub tx_index: u32,
}

/// `challenge-cleared`: a challenge was cleared with a later state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChallengeCleared {
    /// The number of the block.
    pub block_num: u64,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The turn that cleared the challenge.
    pub new_turn_num_record: u64,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// The hash of the transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The index of the transaction in its block.
    pub tx_index: u32,
}

/// `channel-concluded`: the chain accepted the outcome as final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChannelConcluded {
    /// The number of the block.
    pub block_num: u64,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The turn of the final state.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub finalized_at_turn: Option<u64>,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// The hash of the transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The index of the transaction in its block.
    pub tx_index: u32,
}

/// `withdraw-completed`: funds were paid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WithdrawCompleted {
    /// The amount.
    pub amount: Amount,
    /// The asset's contract; the zero address is ETH.
    pub asset: Address,
    /// The number of the block.
    pub block_num: u64,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The recipient.
    pub recipient: Address,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// The hash of the transaction.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Hash"))]
    pub tx_hash: Option<Hash>,
    /// The index of the transaction in its block.
    pub tx_index: u32,
}

payload!(DepositDetected, "deposit-detected", channel: channel_id);
payload!(AllocationUpdated, "allocation-updated", channel: channel_id);
payload!(ChallengeRegistered, "challenge-registered", channel: channel_id, participant: challenger);
payload!(ChallengeCleared, "challenge-cleared", channel: channel_id);
payload!(ChannelConcluded, "channel-concluded", channel: channel_id);
payload!(WithdrawCompleted, "withdraw-completed", channel: channel_id);
