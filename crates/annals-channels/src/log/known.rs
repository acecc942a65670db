//! The projection of the statements, peers, cosignatures and receipts in a log.

use std::collections::BTreeMap;

use annals::{Projection, Query, QueryItem, Recorded};
use serde::{Deserialize, Serialize};

use crate::event::{ChannelEvent, CheckpointCosigned, LogKeyStated, ReceiptReceived};
use crate::hex::{Address, Hash};

/// The projection of [`KnownLogsState`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownLogs;

/// The statements, peers, cosignatures and receipts in a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownLogsState {
    /// The statements of each account, in the order in which each was recorded first. The last one is in force.
    pub(crate) stated: BTreeMap<Address, Vec<Stated>>,
    /// The account of each peer.
    pub(crate) peers: BTreeMap<String, Address>,
    /// The last checkpoint of each log that this party cosigned, by the log's name.
    pub(crate) cosigned: BTreeMap<String, Cosigned>,
    /// The largest receipt of each peer.
    pub(crate) received: BTreeMap<String, Receipt>,
}

/// The keys of a log, as an account stated them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stated {
    pub(crate) origin: String,
    pub(crate) vkey: String,
    pub(crate) cosigner: String,
}

/// A checkpoint that this party cosigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cosigned {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) checkpoint: String,
    pub(crate) offset: u64,
}

/// A checkpoint of this log that a peer cosigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) size: u64,
    pub(crate) checkpoint: String,
    pub(crate) offset: u64,
}

impl KnownLogsState {
    /// Returns the account whose log has this name, and whether the log is the account's current one.
    pub(crate) fn owner(&self, origin: &str) -> Option<(Address, &Stated, bool)> {
        self.stated.iter().find_map(|(address, all)| {
            let at = all.iter().rposition(|stated| stated.origin == origin)?;
            Some((*address, &all[at], at + 1 == all.len()))
        })
    }

    /// Returns the keys that are in force for an account.
    pub(crate) fn current(&self, address: &Address) -> Option<&Stated> {
        self.stated.get(address)?.last()
    }
}

impl Projection for KnownLogs {
    type Event = ChannelEvent;
    type State = KnownLogsState;

    fn initial(&self) -> KnownLogsState {
        KnownLogsState::default()
    }

    fn query(&self) -> Query {
        let types = [LogKeyStated::TYPE, CheckpointCosigned::TYPE, ReceiptReceived::TYPE];
        Query::item(types.into_iter().fold(QueryItem::new(), QueryItem::event_type))
    }

    fn apply(&self, state: &mut KnownLogsState, event: &Recorded<ChannelEvent>) {
        let offset = event.offset;
        match &event.event {
            ChannelEvent::LogKeyStated(event) => {
                let (origin, vkey) = (event.origin.clone(), event.vkey.clone());
                let stated = Stated { origin, vkey, cosigner: event.cosigner.clone() };
                // A statement has no time, so it may be a replay of an old one. It revives no replaced log.
                let all = state.stated.entry(event.address).or_default();
                if !all.contains(&stated) {
                    all.push(stated);
                }
                if let Some(peer_id) = &event.peer_id {
                    state.peers.insert(peer_id.clone(), event.address);
                }
            }
            ChannelEvent::CheckpointCosigned(event) => {
                let (size, root) = (event.tree_size, event.root_hash);
                let checkpoint = event.checkpoint.clone();
                let cosigned = Cosigned { size, root, checkpoint, offset };
                state.cosigned.insert(event.origin.clone(), cosigned);
            }
            ChannelEvent::ReceiptReceived(event) => {
                let (size, checkpoint) = (event.tree_size, event.checkpoint.clone());
                let known = state.received.get(&event.peer_id);
                if known.is_none_or(|known| known.size <= size) {
                    let receipt = Receipt { size, checkpoint, offset };
                    state.received.insert(event.peer_id.clone(), receipt);
                }
            }
            _ => {}
        }
    }
}
