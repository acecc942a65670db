//! The events about logs: the keys that accounts stated, the checkpoints that this log's party cosigned, and the
//! receipts that it got.
//!
//! The fields are declared in the order of their names, so that their JSON is canonical: see
//! [`payload`](super::payload).

use serde::{Deserialize, Serialize};

use crate::event::payload::payload;
use crate::fields::{EventVersion, present};
use crate::hex::{Address, Hash, Signature};

/// `log-key-stated`: an account stated the keys of its log. The party records its own statement and those of peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LogKeyStated {
    /// The account that signed the statement.
    pub address: Address,
    /// The public key with which the account cosigns the checkpoints of other logs.
    pub cosigner: String,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The name of the log.
    pub origin: String,
    /// The peer that the statement came from. Absent for the party's own statement.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub peer_id: Option<String>,
    /// The account's signature of the statement.
    pub signature: Signature,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// The public key with which the log signs its checkpoints.
    pub vkey: String,
}

/// `checkpoint-cosigned`: the party cosigned a checkpoint of a peer's log. It is recorded before the peer gets the
/// receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckpointCosigned {
    /// The checkpoint, with the cosignature.
    pub checkpoint: String,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The name of the peer's log.
    pub origin: String,
    /// The peer.
    pub peer_id: String,
    /// The root of the tree at that size.
    pub root_hash: Hash,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// The number of events that the checkpoint covers.
    pub tree_size: u64,
}

/// `receipt-received`: a peer cosigned a checkpoint of this log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReceiptReceived {
    /// The checkpoint, with the peer's cosignature.
    pub checkpoint: String,
    /// The version of this payload, always 1.
    pub event_version: EventVersion,
    /// The name of this log.
    pub origin: String,
    /// The peer.
    pub peer_id: String,
    /// The time in milliseconds since 1970 UTC, by the clock of the party that recorded the event.
    pub timestamp_ms: u64,
    /// The number of events that the checkpoint covers.
    pub tree_size: u64,
}

payload!(LogKeyStated, "log-key-stated", peer: peer_id, participant: address);
payload!(CheckpointCosigned, "checkpoint-cosigned", peer: peer_id);
payload!(ReceiptReceived, "receipt-received", peer: peer_id);
