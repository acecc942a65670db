//! Opening: finds the tree again, and what the log contradicts.

use annals::{Backend, Event, EventStore};
use serde::{Deserialize, Serialize};

use super::nodes::Nodes8;
use super::place::{Anchor, Place};
use super::state::{Contradiction, State};
use crate::error::ProofError;
use crate::note::checkpoint::Checkpoint;
use crate::note::key::VerifierKey;

/// The name of the file that says whose proofs these are.
const IDENTITY: &str = "log.json";

/// The name of the file with the last signed checkpoint.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// The name of the directory of receipts.
pub(crate) const RECEIPTS: &str = "receipts";

/// The content of `log.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    annals_proofs: u32,
    pub(crate) origin: String,
    /// The id of the store; `null` if the backend has none.
    pub(crate) store: Option<uuid::Uuid>,
    pub(crate) vkey: String,
}

impl Identity {
    pub(crate) fn new(vkey: &VerifierKey, store: Option<[u8; 16]>) -> Self {
        let store = store.map(uuid::Uuid::from_bytes);
        Self { annals_proofs: 1, origin: vkey.name().to_owned(), store, vkey: vkey.to_string() }
    }

    /// Reads the identity; `None` if no checkpoint was ever signed.
    pub(crate) fn read(place: &Place) -> Result<Option<Self>, ProofError> {
        let Some(text) = place.read(IDENTITY)? else { return Ok(None) };
        let damaged =
            |problem: String| ProofError::Damaged { path: place.path.join(IDENTITY), problem };
        let identity: Self =
            serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        if identity.annals_proofs != 1 {
            return Err(damaged(format!(
                "it has version {}; this program reads 1",
                identity.annals_proofs
            )));
        }
        Ok(Some(identity))
    }

    pub(crate) fn write(&self, place: &Place) -> Result<(), ProofError> {
        let text = serde_json::to_string(self).unwrap_or_default();
        place.write(IDENTITY, &format!("{text}\n"), Anchor::Durable)
    }

    /// Checks that the proofs are those of this store.
    pub(crate) fn check_store(
        &self,
        place: &Place,
        id: Option<[u8; 16]>,
    ) -> Result<(), ProofError> {
        let expected = id.map(uuid::Uuid::from_bytes);
        if self.store == expected {
            return Ok(());
        }
        let name = |id: Option<uuid::Uuid>| {
            id.map_or_else(|| "without an id".to_owned(), |id| id.to_string())
        };
        Err(ProofError::OtherStore {
            path: place.path.clone(),
            found: name(self.store),
            expected: name(expected),
        })
    }
}

/// Reads a checkpoint that this log or a witness signed. One that is damaged counts as missing.
pub(crate) fn read_checkpoint(place: &Place, name: &str) -> Result<Option<Checkpoint>, ProofError> {
    let Some(text) = place.read(name)? else { return Ok(None) };
    match text.parse() {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(error) => {
            tracing::warn!(%error, path = %place.path.join(name).display(), "a checkpoint counts as missing");
            Ok(None)
        }
    }
}

/// Returns all receipts: the largest checkpoint that each witness or peer cosigned.
pub(crate) fn read_receipts(place: &Place) -> Result<Vec<Checkpoint>, ProofError> {
    if !place.list()?.iter().any(|name| name == RECEIPTS) {
        return Ok(Vec::new());
    }
    let receipts = place.subdirectory(RECEIPTS)?;
    let mut found = Vec::new();
    let names = receipts.list()?;
    for name in names.iter().filter(|name| name.len() == 8) {
        found.extend(read_checkpoint(&receipts, name)?);
    }
    Ok(found)
}

/// Returns the state of the log's tree. Everything that was signed or received is compared with the log.
pub(crate) fn state<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    place: &Place,
    identity: Option<&Identity>,
    (writes, threads, leaves): (bool, usize, bool),
) -> Result<State, ProofError> {
    let last = read_checkpoint(place, CHECKPOINT)?.filter(|last| is_own(last, identity));
    let mut known = read_receipts(place)?;
    known.retain(|receipt| identity.is_some_and(|identity| identity.origin == receipt.origin()));
    let events = store.len();
    let size = last.as_ref().map_or(0, Checkpoint::size);
    let mut state = State::in_memory(leaves);
    state.last.clone_from(&last);
    known.extend(last);
    if let Some(signed) = known.iter().map(Checkpoint::size).max().filter(|signed| *signed > events)
    {
        state.contradiction = Some(Contradiction::RolledBack { events, signed });
        // The files are left as they are. What is there is hashed in memory when a proof is asked for.
        return Ok(state);
    }
    state.nodes = Nodes8::open(place, size, writes, leaves);
    let root = state.last.as_ref().map(|last| *last.root());
    let is_whole = state.nodes.have(size) && state.restore(store, size).is_ok();
    if !is_whole || root.is_some_and(|root| root != state.root()) {
        tracing::info!("the nodes of the tree are rebuilt from the log");
        state.rebuild(store, size, threads)?;
    }
    known.sort_by_key(Checkpoint::size);
    for checkpoint in &known {
        let signed = checkpoint.size();
        if signed > state.size() {
            state.extend(store, signed, threads)?;
        }
        let mut found = state.stored_root(store, signed)?;
        if found != *checkpoint.root() {
            let size = state.size();
            state.rebuild(store, size, threads)?;
            found = state.stored_root(store, signed)?;
        }
        if found != *checkpoint.root() {
            state.contradiction = Some(Contradiction::Forked { signed });
            break;
        }
    }
    Ok(state)
}

/// Returns whether the log's own key signed the checkpoint. One that it did not sign counts as missing.
fn is_own(checkpoint: &Checkpoint, identity: Option<&Identity>) -> bool {
    let vkey = identity.and_then(|identity| identity.vkey.parse::<VerifierKey>().ok());
    let is_own = vkey.is_some_and(|vkey| checkpoint.verify(&vkey).is_ok());
    if !is_own {
        tracing::warn!(
            "the stored checkpoint is not signed by the log's key, and counts as missing"
        );
    }
    is_own
}
