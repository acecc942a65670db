//! The engine of the model, and what is under way to it and from it.

use annals_replicated::sim::SimRecord;
use annals_replicated::{AppendOutcome, Chain, Content, NewEntry, SendId, Slot, Step};
use uuid::Uuid;

/// The id of the store.
pub(crate) const STORE: Uuid = Uuid::from_u128(7);

/// A message between a process and the engine.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// An entry on its way to the engine. A copy is not answered.
    Append { life: u8, send: SendId, after: Slot, entry: NewEntry, is_copy: bool },
    /// An answer on its way back.
    Answer { life: u8, send: SendId, outcome: AppendOutcome },
}

impl Message {
    /// Returns everything that tells this message from others.
    pub(crate) fn key(&self) -> (u8, u64, u64, String, bool) {
        match self {
            Self::Append { life, send, after, entry, is_copy } => {
                (*life, send.0, after.0, entry.hash.to_string(), *is_copy)
            }
            Self::Answer { life, send, outcome } => {
                (*life, send.0, u64::MAX, format!("{outcome:?}"), false)
            }
        }
    }
}

/// Returns the payloads of the events of the record, each a number.
pub(crate) fn events(record: &SimRecord) -> Vec<u8> {
    let mut chain = Chain::new(Some(STORE));
    let mut events = Vec::new();
    for (entry, slot) in record.entries().iter().zip(1..) {
        if let Step::Valid(commit) = chain.push(Slot(slot), entry)
            && let Content::Events(batches) = commit.content()
        {
            let of = batches.iter().flat_map(|batch| &batch.events);
            events.extend(of.map(|event| event.data_bytes()[0]));
        }
    }
    events
}

/// Returns whether the record has an entry twice.
pub(crate) fn has_copy(record: &SimRecord) -> bool {
    let entries = record.entries();
    entries.iter().enumerate().any(|(at, entry)| entries[..at].contains(entry))
}
