//! The proofs of a log.

use std::sync::Arc;

use annals::{Backend, Event, EventStore, FileSystem, Health};
use parking_lot::{Mutex, MutexGuard};

use super::directory::{Anchor, Directory};
use super::leaves::each_raw;
use super::open::{
    CHECKPOINT, Identity, RECEIPTS, SHOWN, len_beside_a_writer, read_own_checkpoint,
};
use super::reader::NodeReader;
use super::state::{Contradiction, State};
use crate::entry::Entry;
use crate::error::{CheckError, ProofError};
use crate::hash::hex;
use crate::note::checkpoint::Checkpoint;
use crate::note::key::{LogKey, VerifierKey};
use crate::note::request::ConsistencyProof;
use crate::note::tlog_proof::InclusionProof;
use crate::sync_name::sync_name_if_possible;
use crate::tree::prove::{consistency, inclusion};

pub(super) fn other(what: &'static str, given: &str, kept: &str) -> ProofError {
    ProofError::OtherIdentity { what, given: given.to_owned(), kept: kept.to_owned() }
}

/// Signs checkpoints of a log, on any backend, and makes proofs of the events that the log contains.
///
/// Appends do no work for proofs. A call for a checkpoint or a proof hashes the events, or the thread of a
/// [`ProofFollower`](crate::ProofFollower) does.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_proof::{LogKey, Policy, Proofs};
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("seat-sold").build()?)?;
/// let key = LogKey::generate("example.com/alice")?;
/// let proofs = Proofs::in_memory(&store, "example.com/alice")?;
/// let checkpoint = proofs.checkpoint(&key)?;
/// let proof = proofs.prove(0, &checkpoint)?;
/// proof.check(&Policy::of_keys([key.vkey()]))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Proofs<E: Event, B: Backend<E>> {
    pub(crate) store: EventStore<E, B>,
    pub(super) files: Arc<dyn FileSystem>,
    pub(crate) directory: Option<Directory>,
    pub(super) origin: String,
    pub(super) identity: Mutex<Option<Identity>>,
    pub(super) state: Mutex<State>,
    pub(super) anchor: Anchor,
    pub(super) threads: usize,
}

impl<E: Event, B: Backend<E>> Proofs<E, B> {
    /// Returns the log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the log's public key, if a checkpoint was signed.
    #[must_use]
    pub fn vkey(&self) -> Option<VerifierKey> {
        self.identity().ok()?.as_ref().and_then(Identity::vkey)
    }

    /// Returns whose proofs these are, if a checkpoint was signed: perhaps by other proofs of this log, after these were
    /// opened.
    pub(super) fn identity(&self) -> Result<MutexGuard<'_, Option<Identity>>, ProofError> {
        let mut identity = self.identity.lock();
        if identity.is_none()
            && let Some(directory) = &self.directory
            && let Some(read) = Identity::read(directory)?
        {
            read.check_store(directory, self.store.backend().store_id())?;
            if read.origin != self.origin {
                return Err(other("the origin", &self.origin, &read.origin));
            }
            *identity = Some(read);
        }
        Ok(identity)
    }

    /// Returns the last checkpoint that was signed, with the cosignatures that were added.
    #[must_use]
    pub fn last_checkpoint(&self) -> Option<Checkpoint> {
        let own = self.lock().last.clone();
        // The writer may have signed another one since a reader opened the proofs.
        let newer = self.directory.as_ref().zip(self.vkey()).and_then(|(directory, vkey)| {
            read_own_checkpoint(directory, CHECKPOINT, Some(&vkey)).ok().flatten()
        });
        newer.filter(|newer| own.as_ref().is_none_or(|own| newer.size() >= own.size())).or(own)
    }

    /// Makes the log durable and signs it as it is now. The same log has the same checkpoint, byte for byte.
    ///
    /// # Errors
    /// [`ProofError::RolledBack`] and [`ProofError::Forked`] if the log contradicts what it signed;
    /// [`ProofError::NotTheWriter`] if it is open read-only; and others of [`ProofError`]. Nothing is signed then.
    ///
    /// # Panics
    /// If a backend lost events while it was open.
    pub fn checkpoint(&self, key: &LogKey) -> Result<Checkpoint, ProofError> {
        match self.store.health() {
            Health::Open | Health::NoRoom { .. } => {}
            _ => return Err(ProofError::NotTheWriter),
        }
        if key.name() != self.origin {
            return Err(other("the origin", key.name(), &self.origin));
        }
        let mut state = self.lock();
        if let Some(found) = state.contradiction {
            return Err(found.into());
        }
        // Before the lock is taken: the first time, hashing takes long.
        self.catch_up(&mut state)?;
        let _lock = self.directory.as_ref().map(Directory::lock).transpose()?;
        self.identify(key)?;
        let stored = self.stored_last()?;
        if let Some(stored) = &stored {
            self.continue_from(&mut state, stored)?;
        }
        let was_contradicted = self.continues_what_was_signed(&mut state)?;
        let mut checkpoint = Checkpoint::sign(key, state.size(), state.root());
        for before in state.last.iter().chain(&stored) {
            checkpoint.merge(before);
        }
        if let Some(directory) = &self.directory {
            let anchor = if was_contradicted { Anchor::Durable } else { self.anchor };
            directory.write(CHECKPOINT, &checkpoint.to_string(), anchor)?;
        }
        state.last = Some(checkpoint.clone());
        if let Some(directory) = &self.directory
            && was_contradicted
            // The right log was put back, and the new checkpoint covers this one.
            && let Err(error) = directory.remove(SHOWN)
        {
            tracing::warn!(%error, "a checkpoint that the log agrees with again was not removed; the next signature tries it again");
        }
        Ok(checkpoint)
    }

    /// Makes the log durable and hashes all of it.
    fn catch_up(&self, state: &mut State) -> Result<(), ProofError> {
        let size = self.store.len();
        self.store.sync()?;
        let signed = state.last.as_ref().map_or(0, Checkpoint::size);
        assert!(
            size >= signed && state.size() <= size,
            "{size} events, {} hashed, {signed} signed",
            state.size()
        );
        state.extend(&self.store, size, self.threads)
    }

    /// Returns the checkpoint that is stored beside the log. Other proofs of this log may have signed it.
    fn stored_last(&self) -> Result<Option<Checkpoint>, ProofError> {
        let Some(directory) = &self.directory else { return Ok(None) };
        read_own_checkpoint(directory, CHECKPOINT, self.vkey().as_ref())
    }

    /// Hashes the events of a checkpoint that other proofs of this log may have signed, and checks that the log has them.
    fn continue_from(&self, state: &mut State, stored: &Checkpoint) -> Result<(), ProofError> {
        if state
            .last
            .as_ref()
            .is_some_and(|last| last.size() == stored.size() && last.root() == stored.root())
        {
            return Ok(());
        }
        let signed = stored.size();
        if signed > state.size() {
            self.catch_up(state)?;
        }
        let found = if signed > state.size() {
            Some(Contradiction::RolledBack { events: state.size(), signed })
        } else {
            self.compare_hashed(state, stored)?
        };
        if let Some(found) = found {
            return Err((*state.contradiction.insert(found)).into());
        }
        if state.last.as_ref().is_none_or(|last| last.size() < signed) {
            state.last = Some(stored.clone());
        }
        Ok(())
    }

    /// Records or checks whose key signs.
    fn identify(&self, key: &LogKey) -> Result<(), ProofError> {
        let vkey = key.vkey();
        let mut identity = self.identity()?;
        match (&mut *identity, &self.directory) {
            (Some(known), _) if known.vkey != vkey.to_string() => {
                Err(other("the key", &vkey.to_string(), &known.vkey))
            }
            (Some(known), Some(directory)) => known.make_durable(directory),
            (Some(_), None) => Ok(()),
            (None, directory) => {
                let new = Identity::new(&vkey, self.store.backend().store_id());
                if let Some(directory) = directory {
                    // An earlier process may have created the directory and ended before it synced its name.
                    sync_name_if_possible(&*self.files, &directory.path)
                        .map_err(ProofError::io("sync the name of", &directory.path))?;
                    new.write(directory)?;
                }
                *identity = Some(new);
                Ok(())
            }
        }
    }

    /// Adds a cosignature that a witness or a peer returned for the last checkpoint, and stores it durably. If the log
    /// is ever rolled back, it refuses to sign because of it.
    ///
    /// # Errors
    /// [`ProofError::Receipt`] if the line is not a cosignature of the last checkpoint by this key, and others of
    /// [`ProofError`].
    pub fn add_receipt(&self, line: &str, witness: &VerifierKey) -> Result<Checkpoint, ProofError> {
        let mut state = self.lock();
        let last = state.last.clone();
        let mut last =
            last.ok_or_else(|| ProofError::OutOfRange("no checkpoint was signed yet".to_owned()))?;
        let size = last.size();
        let _lock = self.directory.as_ref().map(Directory::lock).transpose()?;
        if let Some(stored) = self.stored_last()? {
            last.merge(&stored);
        }
        last.add_cosignature(line, witness)
            .map_err(|problem| ProofError::Receipt { size, problem })?;
        if let Some(directory) = &self.directory {
            let (text, name) = (last.to_string(), hex(&witness.id()));
            let (receipts, vkey) = (directory.subdirectory(RECEIPTS)?, self.vkey());
            // Other proofs of this log may have signed a larger checkpoint, or stored a receipt of one.
            let write = |directory: &Directory, name: &str| {
                let stored = read_own_checkpoint(directory, name, vkey.as_ref())?;
                if stored.is_some_and(|stored| stored.size() > size) {
                    // Its name may not be durable yet, nor that of the directory of receipts.
                    return directory.sync();
                }
                directory.write(name, &text, Anchor::Durable)
            };
            write(&receipts, &name)?;
            write(directory, CHECKPOINT)?;
        }
        state.last = Some(last.clone());
        Ok(last)
    }

    /// Proves that the event at `offset` is in the log at the checkpoint.
    ///
    /// # Errors
    /// [`ProofError::OutOfRange`] if the checkpoint does not cover the offset, [`ProofError::Check`] if the log does
    /// not agree with the checkpoint, and others of [`ProofError`].
    pub fn prove(
        &self,
        offset: u64,
        checkpoint: &Checkpoint,
    ) -> Result<InclusionProof, ProofError> {
        let size = checkpoint.size();
        if offset >= size {
            let text = format!("the checkpoint covers {size} events, and not offset {offset}");
            return Err(ProofError::OutOfRange(text));
        }
        self.reach(checkpoint)?;
        let entry = self.entries([offset])?.pop().map(|(entry, _)| entry);
        let entry = entry.ok_or_else(|| {
            ProofError::OutOfRange(format!("there is no event at offset {offset}"))
        })?;
        self.proved(
            checkpoint,
            |nodes| inclusion(nodes, offset, size),
            |hashes| {
                let proof = InclusionProof::new(entry.clone(), hashes, checkpoint.clone());
                proof.check_hashes().map(|()| proof)
            },
        )
    }

    /// Proves that the log with `old` events is a beginning of the log at the checkpoint. The result is also the
    /// request to a witness that last cosigned `old` events.
    ///
    /// # Errors
    /// As [`prove`](Self::prove).
    pub fn prove_consistency(
        &self,
        old: u64,
        checkpoint: &Checkpoint,
    ) -> Result<ConsistencyProof, ProofError> {
        let size = checkpoint.size();
        if old > size {
            let text = format!("the checkpoint covers {size} events, fewer than {old}");
            return Err(ProofError::OutOfRange(text));
        }
        self.reach(checkpoint)?;
        let make = |hashes| ConsistencyProof::new(old, hashes, checkpoint.clone());
        self.proved(
            checkpoint,
            |nodes| Ok((crate::tree::nodes::root(nodes, 0..old)?, consistency(nodes, old, size)?)),
            |(old_root, hashes)| {
                let proof = make(hashes);
                proof.check(&old_root).map(|()| proof)
            },
        )
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Returns the entries of events, each with its content.
    pub(crate) fn entries(
        &self,
        offsets: impl IntoIterator<Item = u64>,
    ) -> Result<Vec<(Entry, Vec<u8>)>, ProofError> {
        let mut found = Vec::new();
        for offset in offsets {
            if offset < self.store.len() {
                each_raw(&self.store, offset..offset + 1, |event| {
                    found.push((Entry::of(event), event.event.content().to_vec()));
                })?;
            }
        }
        Ok(found)
    }

    /// Hashes events until the tree is at least as large as the checkpoint's, which is of this log.
    pub(crate) fn reach(&self, checkpoint: &Checkpoint) -> Result<(), ProofError> {
        if checkpoint.origin() != self.origin {
            let (found, expected) = (checkpoint.origin().to_owned(), self.origin.clone());
            return Err(ProofError::OtherLog { found, expected });
        }
        let size = checkpoint.size();
        let events = len_beside_a_writer(&self.store, size);
        if size > events {
            let text = format!("the checkpoint covers {size} events, and the log has {events}");
            return Err(ProofError::OutOfRange(text));
        }
        let mut state = self.lock();
        if state.size() < size { state.extend(&self.store, size, self.threads) } else { Ok(()) }
    }

    /// Computes hashes and makes a proof of them that holds. If it does not hold, the stored nodes may be damaged: they
    /// are rebuilt, once. If it does not hold then either, the log may be another one than it signed: then it signs
    /// nothing more.
    pub(crate) fn proved<H, P>(
        &self,
        checkpoint: &Checkpoint,
        hashes: impl Fn(&mut NodeReader<'_, E, B>) -> Result<H, ProofError>,
        make: impl Fn(H) -> Result<P, CheckError>,
    ) -> Result<P, ProofError> {
        self.reach(checkpoint)?;
        let mut state = self.lock();
        let attempt = |state: &State| {
            let mut nodes = NodeReader::new(&self.store, &state.nodes, checkpoint.size());
            Ok::<P, ProofError>(make(hashes(&mut nodes)?)?)
        };
        attempt(&state).or_else(|error| {
            tracing::warn!(%error, "a proof does not hold; the nodes of the tree are rebuilt from the log");
            let size = state.size();
            state.rebuild(&self.store, size, self.threads)?;
            attempt(&state).or_else(|error| {
                let signed = checkpoint.size();
                if state.stored_root(&self.store, signed)? != *checkpoint.root() {
                    self.remember(&mut state, checkpoint, Contradiction::Forked { signed });
                }
                if let (Some(found), Some(last)) = (state.contradiction, state.last.clone()) {
                    self.remember(&mut state, &last, found);
                }
                Err(state.contradiction.map_or(error, ProofError::from))
            })
        })
    }
}

impl<E: Event, B: Backend<E>> std::fmt::Debug for Proofs<E, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proofs").field("origin", &self.origin).finish_non_exhaustive()
    }
}
