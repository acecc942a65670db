//! Channel ids and state hashes. Both are keccak256 of Ethereum's ABI encoding, as the contracts compute them.

use std::num::NonZeroU32;

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolType, sol_data};

use crate::fields::{Amount, Participants};
use crate::hex::{Address, Hash, Signature};

/// The part of a channel that never changes. The channel's id is a hash of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FixedPart {
    /// The participants, in the order of their turns.
    pub participants: Participants,
    /// A number that distinguishes the channel from others of the same participants.
    pub channel_nonce: u64,
    /// The contract of the channel's application.
    pub app_definition: Address,
    /// The time in which a challenge can be answered, in seconds.
    pub challenge_duration: NonZeroU32,
}

impl FixedPart {
    /// Returns keccak256(abi.encode(address\[\] participants, uint256 nonce, address app, uint256 challenge duration)).
    #[must_use]
    pub fn channel_id(&self) -> Hash {
        type Encoded = (
            sol_data::Array<sol_data::Address>,
            sol_data::Uint<256>,
            sol_data::Address,
            sol_data::Uint<256>,
        );
        let participants: Vec<_> = self.participants.iter().map(|one| one.alloy()).collect();
        keccak256(Encoded::abi_encode_params(&(
            participants,
            U256::from(self.channel_nonce),
            self.app_definition.alloy(),
            U256::from(self.challenge_duration.get()),
        )))
        .into()
    }
}

impl FixedPart {
    /// Returns the mover of a turn: the participant at index `turn_num` modulo the number of participants.
    #[must_use]
    pub fn mover(&self, turn_num: u64) -> Address {
        let index = turn_num % self.participants.len() as u64;
        self.participants[usize::try_from(index).unwrap_or(0)]
    }
}

/// A state of a channel, which the participants sign.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The data for the application's contract.
    #[serde(with = "crate::hex::bytes")]
    pub app_data: Vec<u8>,
    /// The channel.
    pub channel_id: Hash,
    /// Whether the channel may end with this state without a waiting time.
    pub is_final: bool,
    /// The payments if the channel ends with this state, by asset.
    pub outcome: Vec<AssetExit>,
    /// The turn.
    pub turn_num: u64,
}

/// A state with one participant's signature, as parties send it to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedState {
    /// The state.
    pub state: State,
    /// The signer.
    pub signer: Address,
    /// The signature of the state's hash.
    pub signature: Signature,
}

/// The payments of one asset.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetExit {
    /// The asset's contract; the zero address is ETH.
    pub asset: Address,
    /// The kind of the contract, a number of the exit format.
    pub asset_type: u8,
    /// Data for that kind.
    #[serde(with = "crate::hex::bytes")]
    pub asset_metadata: Vec<u8>,
    /// The payments, in order.
    pub allocations: Vec<Allocation>,
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// An account, in the last 20 bytes, or the id of a channel.
    pub destination: Hash,
    /// The amount.
    pub amount: Amount,
    /// The kind of the allocation, a number of the exit format.
    pub allocation_type: u8,
    /// Data for that kind.
    #[serde(with = "crate::hex::bytes")]
    pub metadata: Vec<u8>,
}

type AssetMetadata = (sol_data::Uint<8>, sol_data::Bytes);
type EncodedAllocation =
    (sol_data::FixedBytes<32>, sol_data::Uint<256>, sol_data::Uint<8>, sol_data::Bytes);
type EncodedExit = (sol_data::Address, AssetMetadata, sol_data::Array<EncodedAllocation>);
type EncodedState = (
    sol_data::FixedBytes<32>,
    sol_data::Bytes,
    sol_data::Array<EncodedExit>,
    sol_data::Uint<256>,
    sol_data::Bool,
);

impl State {
    /// Returns keccak256(abi.encode(bytes32 channel id, bytes app data, Exit outcome, uint256 turn, bool final)).
    ///
    /// ```
    /// # use annals_channels::{Hash, State};
    /// let state = State { channel_id: Hash::new([1; 32]), app_data: vec![], outcome: vec![], turn_num: 0, is_final:
    /// false }; let next = State { turn_num: 1, ..state.clone() }; assert_ne!(state.hash(), next.hash());
    /// ```
    #[must_use]
    pub fn hash(&self) -> Hash {
        let outcome: Vec<_> = self.outcome.iter().map(AssetExit::encodable).collect();
        keccak256(EncodedState::abi_encode_params(&(
            self.channel_id.alloy(),
            Bytes::copy_from_slice(&self.app_data),
            outcome,
            U256::from(self.turn_num),
            self.is_final,
        )))
        .into()
    }

    /// Returns keccak256 of the application's data.
    #[must_use]
    pub fn app_data_hash(&self) -> Hash {
        keccak256(&self.app_data).into()
    }
}

type ExitValue = (alloy_primitives::Address, (u8, Bytes), Vec<(B256, U256, u8, Bytes)>);

impl AssetExit {
    fn encodable(&self) -> ExitValue {
        let allocations = self.allocations.iter().map(|allocation| {
            (
                allocation.destination.alloy(),
                allocation.amount.get(),
                allocation.allocation_type,
                Bytes::copy_from_slice(&allocation.metadata),
            )
        });
        let metadata = (self.asset_type, Bytes::copy_from_slice(&self.asset_metadata));
        (self.asset.alloy(), metadata, allocations.collect())
    }
}
