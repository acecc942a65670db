//! Opening the proofs of a log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::backend::Beside;
use annals::{Backend, Event, EventStore, FileSystem, RealFileSystem};
use parking_lot::Mutex;

use super::directory::{Anchor, Directory};
use super::open::{Identity, contradiction, state};
use super::proofs::{Proofs, other};
use super::state::State;
use crate::error::{FormatError, ProofError};
use crate::note::key::VerifierKey;
use crate::note::note::is_name;

/// The name of the directory beside a log.
const DIRECTORY: &str = "proofs";

/// Which hashes are stored beside a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leaves {
    /// One hash per 256 events: 0.13 bytes an event. A proof hashes 256 events of the log.
    #[default]
    Hashed,
    /// The hash of each event too: 32 bytes an event. A proof reads no event but its own. It is faster if events are
    /// large.
    Kept,
}

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
    leaves: Leaves,
}

impl Default for ProofOptions {
    fn default() -> Self {
        Self {
            path: None,
            in_memory: false,
            file_system: Arc::new(RealFileSystem),
            anchor: Anchor::Buffered,
            threads: 1,
            leaves: Leaves::Hashed,
        }
    }
}

impl ProofOptions {
    /// Returns the default options: the directory `proofs` beside the log, not synced, and one thread.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the directory of the files. [`open`](Self::open) creates it on a log that is open for writing; its parent
    /// must exist. By default it is the directory `proofs` in the directory of the log.
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

    /// Sets the file system, also of the directories to which the log is published. It is the operating system's by
    /// default.
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

    /// Sets which hashes are stored. It is [`Leaves::Hashed`] by default. It can be changed at each opening: the root
    /// is the same, and hashes that are missing are computed again from the log.
    #[must_use]
    pub fn leaves(mut self, leaves: Leaves) -> Self {
        self.leaves = leaves;
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
            return Err(FormatError::new("origin", problem).into());
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

    /// Makes the proofs of a log that was moved to another store those of this store. The key must be the log's, and the
    /// events must be those that it signed: all of them are hashed. Otherwise, nothing changes.
    ///
    /// # Errors
    /// [`ProofError::OtherIdentity`] if the key is another one, [`ProofError::RolledBack`] and [`ProofError::Forked`] if
    /// the store does not contain what was signed, and others of [`ProofError`].
    pub fn adopt<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        key: &VerifierKey,
    ) -> Result<(), ProofError> {
        let path = self.path_of(store)?;
        let Some(directory) = Directory::open(&*self.file_system, &path, false)? else {
            return Err(ProofError::NoProofs { path });
        };
        let Some(mut identity) = Identity::read(&directory)? else {
            return Err(ProofError::NoProofs { path });
        };
        if identity.vkey != key.to_string() {
            return Err(other("the key", &key.to_string(), &identity.vkey));
        }
        if let Some(found) = contradiction(store, &directory, key, self.threads)? {
            return Err(found.into());
        }
        identity.store = store.backend().store_id().map(uuid::Uuid::from_bytes);
        identity.write(&directory)
    }

    fn open_as<E: Event, B: Backend<E>>(
        self,
        store: &EventStore<E, B>,
        origin: Option<&str>,
    ) -> Result<Proofs<E, B>, ProofError> {
        let (writes, leaves) = (store.health().takes_appends(), self.leaves == Leaves::Kept);
        let directory = if self.in_memory {
            None
        } else {
            let path = self.path_of(store)?;
            let directory = Directory::open(&*self.file_system, &path, writes && origin.is_some())?;
            Some(directory.ok_or(ProofError::NoProofs { path })?)
        };
        let identity = directory.as_ref().map(Identity::read).transpose()?.flatten();
        let state = match &directory {
            None => State::in_memory(leaves),
            Some(directory) => {
                if let Some(identity) = &identity {
                    identity.check_store(directory, store.backend().store_id())?;
                }
                state(store, directory, identity.as_ref(), (writes, self.threads, leaves))?
            }
        };
        let origin = match (&identity, origin, &directory) {
            (Some(identity), Some(origin), _) if identity.origin != origin => {
                return Err(other("the origin", origin, &identity.origin));
            }
            (Some(identity), ..) => identity.origin.clone(),
            (None, Some(origin), _) => origin.to_owned(),
            (None, None, directory) => {
                let path = directory
                    .as_ref()
                    .map_or_else(PathBuf::new, |directory| directory.path.clone());
                return Err(ProofError::NoProofs { path });
            }
        };
        let (identity, state) = (Mutex::new(identity), Mutex::new(state));
        let Self { anchor, threads, file_system: files, .. } = self;
        Ok(Proofs {
            store: store.clone(),
            files,
            directory,
            origin,
            identity,
            state,
            anchor,
            threads,
        })
    }

    fn path_of<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
    ) -> Result<PathBuf, ProofError> {
        match (&self.path, store.backend().beside()) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(Beside::Directory(path))) => Ok(path.join(DIRECTORY)),
            _ => Err(ProofError::NoDirectory),
        }
    }
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
}
