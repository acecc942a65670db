//! The proofs of a log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::backend::Beside;
use annals::{Backend, Event, EventStore, FileSystem, Health, RealFileSystem};
use parking_lot::{Mutex, MutexGuard};

use super::leaves::each_raw;
use super::open::{CHECKPOINT, Identity, RECEIPTS, read_checkpoint, state};
use super::place::{Anchor, Place};
use super::reader::NodeReader;
use super::state::State;
use crate::entry::Entry;
use crate::error::{CheckError, ProofError};
use crate::hash::hex;
use crate::note::checkpoint::Checkpoint;
use crate::note::key::{LogKey, VerifierKey};
use crate::note::note::is_name;
use crate::note::request::ConsistencyProof;
use crate::note::tlog_proof::InclusionProof;
use crate::tree::prove::{consistency, inclusion};

/// The name of the directory beside a log.
const DIRECTORY: &str = "proofs";

/// How the proofs of a log are opened.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_proof::{Anchor, ProofOptions};
///
/// let directory = tempfile::tempdir()?;
/// let store = EventStore::<RawEvent>::open(directory.path().join("my.store"))?;
/// let proofs = ProofOptions::new().anchor(Anchor::Durable).threads(2).open(&store, "example.com/alice")?;
/// assert_eq!(proofs.origin(), "example.com/alice");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ProofOptions {
    path: Option<PathBuf>,
    in_memory: bool,
    file_system: Arc<dyn FileSystem>,
    anchor: Anchor,
    threads: usize,
}

impl Default for ProofOptions {
    fn default() -> Self {
        Self {
            path: None,
            in_memory: false,
            file_system: Arc::new(RealFileSystem),
            anchor: Anchor::Buffered,
            threads: 1,
        }
    }
}

impl ProofOptions {
    /// Returns the default options: the directory `proofs` beside the log, not synced, and one thread.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the directory of the files. It is created when it is first written to; its parent must exist. By default it
    /// is the directory `proofs` in the directory of the log.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Keeps everything in memory. The proofs are gone with the process, and with them the memory of what was signed.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.in_memory = true;
        self
    }

    /// Sets the file system. It is the operating system's by default.
    #[must_use]
    pub fn file_system(mut self, file_system: Arc<dyn FileSystem>) -> Self {
        self.file_system = file_system;
        self
    }

    /// Sets whether a signed checkpoint is synced to the disk before it is returned. It is not by default.
    #[must_use]
    pub fn anchor(mut self, anchor: Anchor) -> Self {
        self.anchor = anchor;
        self
    }

    /// Sets how many threads hash many events, at least 1. It is 1 by default.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Opens the proofs of a log for signing and proving.
    ///
    /// The origin is the log's name for everybody who checks its proofs: 1 to 255 bytes without white space and `+`.
    /// It must stay the same, and be the name of the key.
    ///
    /// # Errors
    /// [`ProofError`]. If the log contradicts what it signed, the proofs open all the same, and signing fails.
    pub fn open<E: Event, B: Backend<E>>(
        self,
        store: &EventStore<E, B>,
        origin: &str,
    ) -> Result<Proofs<E, B>, ProofError> {
        if !is_name(origin) {
            let problem = format!(
                "{origin:?}; it must have 1 to 255 bytes, without white space, control characters and +"
            );
            return Err(crate::error::FormatError::new("origin", problem).into());
        }
        self.open_as(store, Some(origin))
    }

    /// Opens proofs that exist, under the origin that they have.
    ///
    /// # Errors
    /// [`ProofError`]; [`ProofError::NoProofs`] if no checkpoint was signed yet.
    pub fn open_existing<E: Event, B: Backend<E>>(
        self,
        store: &EventStore<E, B>,
    ) -> Result<Proofs<E, B>, ProofError> {
        self.open_as(store, None)
    }

    /// Makes the proofs of a log that was moved to another store those of this store. The events must be the same;
    /// opening the proofs then checks that they are.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn adopt<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
    ) -> Result<(), ProofError> {
        let path = self.path_of(store)?;
        let Some(place) = Place::open(&*self.file_system, &path, false)? else {
            return Err(ProofError::NoProofs { path });
        };
        let Some(mut identity) = Identity::read(&place)? else {
            return Err(ProofError::NoProofs { path });
        };
        identity.store = store.backend().store_id().map(uuid::Uuid::from_bytes);
        identity.write(&place)
    }

    fn open_as<E: Event, B: Backend<E>>(
        self,
        store: &EventStore<E, B>,
        origin: Option<&str>,
    ) -> Result<Proofs<E, B>, ProofError> {
        let writes = store.health().takes_appends();
        let place = if self.in_memory {
            None
        } else {
            let path = self.path_of(store)?;
            let place = Place::open(&*self.file_system, &path, writes && origin.is_some())?;
            Some(place.ok_or(ProofError::NoProofs { path })?)
        };
        let identity = place.as_ref().map(Identity::read).transpose()?.flatten();
        let state = match &place {
            None => State::default(),
            Some(place) => {
                if let Some(identity) = &identity {
                    identity.check_store(place, store.backend().store_id())?;
                }
                state(store, place, identity.as_ref(), (writes, self.threads))?
            }
        };
        let origin = match (&identity, origin, &place) {
            (Some(identity), Some(origin), _) if identity.origin != origin => {
                return Err(other("the origin", origin, &identity.origin));
            }
            (Some(identity), ..) => identity.origin.clone(),
            (None, Some(origin), _) => origin.to_owned(),
            (None, None, place) => {
                let path = place.as_ref().map_or_else(PathBuf::new, |place| place.path.clone());
                return Err(ProofError::NoProofs { path });
            }
        };
        let (identity, state) = (Mutex::new(identity), Mutex::new(state));
        Ok(Proofs { store: store.clone(), place, origin, identity, state, options: self })
    }

    fn path_of<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
    ) -> Result<PathBuf, ProofError> {
        match (&self.path, store.backend().beside()) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(Beside::Directory(path))) => Ok(path.join(DIRECTORY)),
            _ => Err(ProofError::NoPlace),
        }
    }
}

fn other(what: &'static str, given: &str, kept: &str) -> ProofError {
    ProofError::OtherIdentity { what, given: given.to_owned(), kept: kept.to_owned() }
}

/// The proofs of a log, on any backend: signs checkpoints, and proves what the log contains.
///
/// Appends are not slowed down. Events are hashed when a checkpoint or a proof is asked for, or by a thread that
/// [`follow`](crate::ProofFollower)s the log.
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
    pub(crate) place: Option<Place>,
    origin: String,
    identity: Mutex<Option<Identity>>,
    state: Mutex<State>,
    options: ProofOptions,
}

impl<E: Event, B: Backend<E>> Proofs<E, B> {
    /// Opens the proofs of a log in the directory `path`, which is created if it does not exist.
    ///
    /// # Errors
    /// As [`ProofOptions::open`].
    pub fn open(
        store: &EventStore<E, B>,
        path: impl AsRef<Path>,
        origin: &str,
    ) -> Result<Self, ProofError> {
        ProofOptions::new().path(path.as_ref()).open(store, origin)
    }

    /// Opens proofs of a log that are kept in memory.
    ///
    /// # Errors
    /// As [`ProofOptions::open`].
    pub fn in_memory(store: &EventStore<E, B>, origin: &str) -> Result<Self, ProofError> {
        ProofOptions::new().in_memory().open(store, origin)
    }

    /// Returns the log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the log's public key, if a checkpoint was signed.
    #[must_use]
    pub fn vkey(&self) -> Option<VerifierKey> {
        self.identity.lock().as_ref().and_then(|identity| identity.vkey.parse().ok())
    }

    /// Returns the last checkpoint that was signed, with the cosignatures that were added.
    #[must_use]
    pub fn last_checkpoint(&self) -> Option<Checkpoint> {
        let own = self.lock().last.clone();
        // The writer may have signed another one since a reader opened the proofs.
        let newer =
            self.place.as_ref().and_then(|place| read_checkpoint(place, CHECKPOINT).ok().flatten());
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
        let size = self.store.len();
        self.store.sync()?;
        let signed = state.last.as_ref().map_or(0, Checkpoint::size);
        assert!(
            size >= signed && state.size() <= size,
            "{size} events, {} hashed, {signed} signed",
            state.size()
        );
        state.extend(&self.store, size, self.options.threads)?;
        self.identify(key)?;
        let mut checkpoint = Checkpoint::sign(key, size, state.root());
        if let Some(last) = &state.last {
            checkpoint.merge(last);
        }
        if let Some(place) = &self.place {
            place.write(CHECKPOINT, &checkpoint.to_string(), self.options.anchor)?;
        }
        state.last = Some(checkpoint.clone());
        Ok(checkpoint)
    }

    /// Records or checks whose key signs.
    fn identify(&self, key: &LogKey) -> Result<(), ProofError> {
        let vkey = key.vkey();
        let mut identity = self.identity.lock();
        match &*identity {
            Some(known) if known.vkey != vkey.to_string() => {
                Err(other("the key", &vkey.to_string(), &known.vkey))
            }
            Some(_) => Ok(()),
            None => {
                let new = Identity::new(&vkey, self.store.backend().store_id());
                if let Some(place) = &self.place {
                    new.write(place)?;
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
    /// [`ProofError::Check`] if the line is not a valid cosignature by this key, and others of [`ProofError`].
    pub fn add_receipt(&self, line: &str, witness: &VerifierKey) -> Result<Checkpoint, ProofError> {
        let mut state = self.lock();
        let last = state.last.clone();
        let mut last =
            last.ok_or_else(|| ProofError::OutOfRange("no checkpoint was signed yet".to_owned()))?;
        last.add_cosignature(line, witness)?;
        if let Some(place) = &self.place {
            let text = last.to_string();
            place.subdirectory(RECEIPTS)?.write(&hex(&witness.id()), &text, Anchor::Durable)?;
            place.write(CHECKPOINT, &text, Anchor::Durable)?;
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
        self.options.threads
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

    /// Hashes events until the tree is at least as large as the checkpoint's.
    pub(crate) fn reach(&self, checkpoint: &Checkpoint) -> Result<(), ProofError> {
        let (size, events) = (checkpoint.size(), self.store.len());
        if size > events {
            let text = format!("the checkpoint covers {size} events, and the log has {events}");
            return Err(ProofError::OutOfRange(text));
        }
        let mut state = self.lock();
        if state.size() < size {
            state.extend(&self.store, size, self.options.threads)
        } else {
            Ok(())
        }
    }

    /// Computes hashes and makes a proof of them that holds. If it does not hold, the stored nodes may be damaged: they
    /// are rebuilt, once.
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
            state.rebuild(&self.store, size, self.options.threads)?;
            attempt(&state)
        })
    }
}

impl<E: Event, B: Backend<E>> std::fmt::Debug for Proofs<E, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proofs").field("origin", &self.origin).finish_non_exhaustive()
    }
}
