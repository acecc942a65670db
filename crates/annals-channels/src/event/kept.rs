//! `state-kept`: the parts of a state that its signatures cover only as a hash.
//!
//! The fields are declared in the order of their names, so that their JSON is canonical: see
//! [`payload`](super::payload). The messages between parties have the fields of an outcome in another order, so the
//! outcome is written through types of its own here.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::payload::payload;
use crate::fields::{Amount, EventVersion};
use crate::hex::{Address, Hash};
use crate::state::{Allocation, AssetExit, State};

/// `state-kept`: the outcome and the application data of a state, recorded together with its first signature. Together
/// with that signature's channel, turn and finality they have the hash that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StateKept {
    /// The data for the application's contract, as `0x…` hex in lower case.
    #[serde(with = "lower_hex")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub app_data: Vec<u8>,
    /// The channel.
    pub channel_id: Hash,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The payments if the channel ends with this state, by asset.
    #[serde(with = "outcome")]
    #[cfg_attr(test, schemars(with = "Vec<Exit>"))]
    pub outcome: Vec<AssetExit>,
    /// The hash of the state.
    pub state_hash: Hash,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
}

impl StateKept {
    /// Returns the whole state, with the turn and the finality that its signature's event has.
    #[must_use]
    pub fn state(&self, turn_num: u64, is_final: bool) -> State {
        let (app_data, outcome) = (self.app_data.clone(), self.outcome.clone());
        State { app_data, channel_id: self.channel_id, is_final, outcome, turn_num }
    }
}

/// The payments of one asset, with its fields in the order of their names.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Exit {
    allocations: Vec<Payment>,
    asset: Address,
    #[serde(with = "lower_hex")]
    #[cfg_attr(test, schemars(with = "String"))]
    asset_metadata: Vec<u8>,
    asset_type: u8,
}

/// One payment, with its fields in the order of their names.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Payment {
    allocation_type: u8,
    amount: Amount,
    destination: Hash,
    #[serde(with = "lower_hex")]
    #[cfg_attr(test, schemars(with = "String"))]
    metadata: Vec<u8>,
}

mod outcome {
    use super::{Allocation, AssetExit, Deserialize, Deserializer, Exit, Payment, Serializer};

    pub(super) fn serialize<S: Serializer>(
        outcome: &[AssetExit],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(outcome.iter().map(|exit| Exit {
            allocations: exit.allocations.iter().map(payment).collect(),
            asset: exit.asset,
            asset_metadata: exit.asset_metadata.clone(),
            asset_type: exit.asset_type,
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<AssetExit>, D::Error> {
        let exits = Vec::<Exit>::deserialize(deserializer)?;
        let exit = |exit: Exit| AssetExit {
            asset: exit.asset,
            asset_type: exit.asset_type,
            asset_metadata: exit.asset_metadata,
            allocations: exit.allocations.into_iter().map(allocation).collect(),
        };
        Ok(exits.into_iter().map(exit).collect())
    }

    fn payment(allocation: &Allocation) -> Payment {
        let Allocation { destination, amount, allocation_type, metadata } = allocation.clone();
        Payment { allocation_type, amount, destination, metadata }
    }

    fn allocation(payment: Payment) -> Allocation {
        let Payment { allocation_type, amount, destination, metadata } = payment;
        Allocation { destination, amount, allocation_type, metadata }
    }
}

/// Bytes as `0x…` hex in lower case only: an event's id is a hash of its text, so its text has one form.
mod lower_hex {
    use serde::de::Error as _;

    use super::{Deserialize, Deserializer, Serializer};
    use crate::hex::bytes;

    pub(super) fn serialize<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        bytes::serialize(value, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(D::Error::custom("data is hex in lower case"));
        }
        bytes::deserialize(serde::de::value::CowStrDeserializer::new(text))
    }
}

payload!(StateKept, "state-kept", channel: channel_id);
