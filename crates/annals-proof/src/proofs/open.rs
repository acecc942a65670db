//! Opening: finds the tree again, and what the log contradicts.

use std::time::{Duration, Instant};

use annals::{Backend, Event, EventStore};
use serde::{Deserialize, Serialize};

use super::directory::{Anchor, Directory};
use super::nodes::Nodes8;
use super::state::{Contradiction, State};
use crate::error::ProofError;
use crate::note::checkpoint::Checkpoint;
use crate::note::key::VerifierKey;

/// The name of the file that says whose proofs these are.
const IDENTITY: &str = "log.json";

/// The name of the file with the last signed checkpoint.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// How long a reader waits for events that the log has signed. They reach it within milliseconds, unless the log was
/// rolled back.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name of the directory of receipts.
pub(crate) const RECEIPTS: &str = "receipts";

/// The name of the file with a checkpoint of the log's own key that the log was found to contradict. As long as it is
/// there, all events are compared with it.
pub(crate) const SHOWN: &str = "shown";

/// The content of `log.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    annals_proofs: u32,
    pub(crate) origin: String,
    /// The id of the store; `null` if the backend has none.
    pub(crate) store: Option<uuid::Uuid>,
    pub(crate) vkey: String,
    /// Whether the file's name is known to be durable. Its bytes are, since it got that name.
    #[serde(skip)]
    is_durable: bool,
}

impl Identity {
    pub(crate) fn new(vkey: &VerifierKey, store: Option<[u8; 16]>) -> Self {
        let store = store.map(uuid::Uuid::from_bytes);
        let (origin, vkey) = (vkey.name().to_owned(), vkey.to_string());
        Self { annals_proofs: 1, origin, store, vkey, is_durable: false }
    }

    /// Reads the identity; `None` if no checkpoint was ever signed.
    pub(crate) fn read(directory: &Directory) -> Result<Option<Self>, ProofError> {
        let damaged =
            |problem: String| ProofError::Damaged { path: directory.path.join(IDENTITY), problem };
        let text = if let Some(text) = directory.read(IDENTITY)? {
            text
        } else {
            let is_signed = |name: &String| [CHECKPOINT, RECEIPTS, SHOWN].contains(&name.as_str());
            let Some(signed) = directory.list()?.into_iter().find(is_signed) else {
                return Ok(None);
            };
            // It is durable before the first checkpoint is written, so no power cut leaves a checkpoint without it. But
            // the first checkpoint may have been signed since it was read.
            directory.read(IDENTITY)?.ok_or_else(|| {
                damaged(format!(
                    "it is missing, and `{signed}` is there: restore it, because it names the log and its key"
                ))
            })?
        };
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

    /// Returns the log's key, unless the file was changed.
    pub(crate) fn vkey(&self) -> Option<VerifierKey> {
        self.vkey.parse().ok()
    }

    pub(crate) fn write(&self, directory: &Directory) -> Result<(), ProofError> {
        let text = serde_json::to_string(self).unwrap_or_default();
        directory.write(IDENTITY, &format!("{text}\n"), Anchor::Durable)
    }

    /// Makes the file's name durable: an earlier process may have written the file and ended before it did so.
    pub(crate) fn make_durable(&mut self, directory: &Directory) -> Result<(), ProofError> {
        if !self.is_durable {
            directory.sync()?;
            self.is_durable = true;
        }
        Ok(())
    }

    /// Checks that the proofs are those of this store.
    pub(crate) fn check_store(
        &self,
        directory: &Directory,
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
            path: directory.path.clone(),
            found: name(self.store),
            expected: name(expected),
        })
    }
}

/// Reads a checkpoint that this log or a witness signed. One that is damaged counts as missing.
pub(crate) fn read_checkpoint(
    directory: &Directory,
    name: &str,
) -> Result<Option<Checkpoint>, ProofError> {
    let Some(text) = directory.read(name)? else { return Ok(None) };
    match text.parse() {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(error) => {
            tracing::warn!(%error, path = %directory.path.join(name).display(), "a checkpoint counts as missing");
            Ok(None)
        }
    }
}

/// Reads a checkpoint as [`read_checkpoint`] does. One that the log's own key did not sign counts as missing too.
pub(crate) fn read_own_checkpoint(
    directory: &Directory,
    name: &str,
    vkey: Option<&VerifierKey>,
) -> Result<Option<Checkpoint>, ProofError> {
    let found = read_checkpoint(directory, name)?;
    Ok(found.filter(|found| is_own_or_warns(directory, name, found, vkey)))
}

/// Returns whether the log's own key signed a checkpoint. Each checkpoint beside the log has that signature, also a
/// receipt, unless its file was changed.
pub(crate) fn is_own(checkpoint: &Checkpoint, vkey: Option<&VerifierKey>) -> bool {
    vkey.is_some_and(|vkey| checkpoint.verify(vkey).is_ok())
}

fn is_own_or_warns(
    directory: &Directory,
    name: &str,
    checkpoint: &Checkpoint,
    vkey: Option<&VerifierKey>,
) -> bool {
    let is_own = is_own(checkpoint, vkey);
    if !is_own {
        let path = directory.path.join(name);
        tracing::warn!(path = %path.display(), "a checkpoint without a valid signature of the log counts as missing");
    }
    is_own
}

/// Returns all receipts, each with its file: the largest checkpoint that each witness or peer cosigned. Their
/// signatures are not checked.
pub(crate) fn read_receipts(
    directory: &Directory,
) -> Result<Vec<(String, Checkpoint)>, ProofError> {
    if !directory.list()?.iter().any(|name| name == RECEIPTS) {
        return Ok(Vec::new());
    }
    let receipts = directory.subdirectory(RECEIPTS)?;
    let mut found = Vec::new();
    for name in receipts.list()?.into_iter().filter(|name| name.len() == 8) {
        if let Some(receipt) = read_checkpoint(&receipts, &name)? {
            found.push((format!("{RECEIPTS}/{name}"), receipt));
        }
    }
    Ok(found)
}

/// Returns everything that the log is known to have signed, in ascending order of size.
fn known_checkpoints(
    directory: &Directory,
    vkey: Option<&VerifierKey>,
) -> Result<Vec<Checkpoint>, ProofError> {
    let receipts = read_receipts(directory)?.into_iter();
    let own = receipts.filter(|(name, receipt)| is_own_or_warns(directory, name, receipt, vkey));
    let mut known: Vec<Checkpoint> = own.map(|(_, receipt)| receipt).collect();
    for name in [CHECKPOINT, SHOWN] {
        known.extend(read_own_checkpoint(directory, name, vkey)?);
    }
    known.sort_by_key(Checkpoint::size);
    Ok(known)
}

/// Returns the number of events, for a comparison with a checkpoint of `signed` events. The process that writes the log
/// may just have signed it, so a reader that has not seen these events yet waits for them.
pub(crate) fn len_beside_a_writer<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    signed: u64,
) -> u64 {
    if signed > store.len() && !store.health().takes_appends() {
        return store.backend().head().wait_beyond(signed - 1, Some(Instant::now() + PATIENCE));
    }
    store.len()
}

/// Returns how the log contradicts what was signed or received, if it does. Hashes all these events: stored nodes are not
/// used.
pub(crate) fn contradiction<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    directory: &Directory,
    vkey: &VerifierKey,
    threads: usize,
) -> Result<Option<Contradiction>, ProofError> {
    let known = known_checkpoints(directory, Some(vkey))?;
    let (events, signed) = (store.len(), known.last().map_or(0, Checkpoint::size));
    if signed > events {
        return Ok(Some(Contradiction::RolledBack { events, signed }));
    }
    let mut fresh = State::default();
    fresh.extend(store, signed, threads)?;
    for checkpoint in &known {
        let signed = checkpoint.size();
        if fresh.stored_root(store, signed)? != *checkpoint.root() {
            return Ok(Some(Contradiction::Forked { signed }));
        }
    }
    Ok(None)
}

/// Returns the state of the log's tree. Everything that was signed or received is compared with the log.
pub(crate) fn state<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    directory: &Directory,
    identity: Option<&Identity>,
    (writes, threads, leaves): (bool, usize, bool),
) -> Result<State, ProofError> {
    let vkey = identity.and_then(Identity::vkey);
    let known = known_checkpoints(directory, vkey.as_ref())?;
    // A receipt may be newer than `checkpoint`, whose file may be older after a power cut.
    let mut last = known.last().cloned();
    for other in &known {
        if let Some(last) = last.as_mut() {
            last.merge(other);
        }
    }
    let size = last.as_ref().map_or(0, Checkpoint::size);
    let events = len_beside_a_writer(store, size);
    let mut state = State::in_memory(leaves);
    state.last = last;
    if size > events {
        state.contradiction = Some(Contradiction::RolledBack { events, signed: size });
        // The files are left as they are. What is there is hashed in memory when a proof is asked for.
        return Ok(state);
    }
    state.nodes = Nodes8::open(directory, size, writes, leaves);
    let root = state.last.as_ref().map(|last| *last.root());
    // Once the log was found to be another one than it signed, its nodes do not vouch for it.
    let is_trusted = read_own_checkpoint(directory, SHOWN, vkey.as_ref())?.is_none();
    let is_whole = is_trusted && state.nodes.have(size) && state.restore(store, size).is_ok();
    if !is_whole || root.is_some_and(|root| root != state.root()) {
        tracing::info!("the nodes of the tree are rebuilt from the log");
        state.rebuild(store, size, threads)?;
    }
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
