//! The storage beside a log: its directory `consumers/`, or memory.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::backend::{Beside, check_series};
use annals::{Backend, Event, EventStore};
use parking_lot::Mutex;

use super::checkpoint_store::{CheckpointStore, MemoryCheckpoints};
use super::lock::{LOCK, MemoryLocks, NameLock, Noted};
use super::position_files::{FileCheckpoints, create_directory, names_with, position_file};
use crate::error::ConsumerError;

/// The subdirectory of a store's directory.
const DIRECTORY: &str = "consumers";

/// The extension of the directory of a group's state logs.
const GROUP: &str = ".group";

/// The storage of positions and of groups' states beside a log.
#[derive(Debug, Clone)]
pub(crate) enum Storage {
    Directory(PathBuf),
    Memory(Arc<MemoryStorage>),
}

/// The positions and the groups' states of a log in memory.
#[derive(Debug, Default)]
pub(crate) struct MemoryStorage {
    checkpoints: Arc<MemoryCheckpoints>,
    locks: MemoryLocks,
    /// The state logs of the groups, whose type this folder does not know.
    pub(crate) groups: Mutex<BTreeMap<String, Arc<dyn Any + Send + Sync>>>,
}

impl Storage {
    /// Returns the storage beside the log of a store.
    pub(crate) fn of<E: Event, B: Backend<E>>(
        store: &EventStore<E, B>,
    ) -> Result<Self, ConsumerError> {
        match store.backend().beside() {
            Some(Beside::Directory(path)) => Ok(Self::Directory(path.join(DIRECTORY))),
            Some(Beside::Memory(values)) => Ok(Self::Memory(values.get_or_default())),
            _ => Err(ConsumerError::NoStorage),
        }
    }

    /// Returns the positions.
    pub(crate) fn checkpoints(&self) -> Arc<dyn CheckpointStore> {
        match self {
            Self::Directory(path) => Arc::new(FileCheckpoints::at(path)),
            Self::Memory(storage) => Arc::clone(&storage.checkpoints) as Arc<dyn CheckpointStore>,
        }
    }

    /// Takes the lock of a name.
    pub(crate) fn lock(&self, name: &str) -> Result<NameLock, ConsumerError> {
        match self {
            Self::Directory(path) => {
                create_directory(path).map_err(ConsumerError::io("create", path))?;
                NameLock::in_directory(path, name)
            }
            Self::Memory(storage) => NameLock::in_memory(&storage.locks, name),
        }
    }

    /// Returns the names of the groups, in order.
    pub(crate) fn groups(&self) -> Result<Vec<String>, ConsumerError> {
        match self {
            Self::Directory(path) => {
                names_with(path, GROUP).map_err(ConsumerError::io("list", path))
            }
            Self::Memory(storage) => Ok(storage.groups.lock().keys().cloned().collect()),
        }
    }

    /// Returns the names whose state was removed, in order, and which state it was.
    pub(crate) fn lost(&self) -> Result<Vec<(String, Noted)>, ConsumerError> {
        let Self::Directory(path) = self else { return Ok(Vec::new()) };
        let names = names_with(path, LOCK).map_err(ConsumerError::io("list", path))?;
        let with_state = names.into_iter().map(|name| (self.noted(&name), name));
        let is_lost = |(noted, name): &(Noted, String)| match noted {
            Noted::Nothing => false,
            Noted::Position => self.check_position(name, *noted).is_err(),
            Noted::Group => !self.has_group(name),
        };
        Ok(with_state.filter(is_lost).map(|(noted, name)| (name, noted)).collect())
    }

    /// Returns which state the name has, as the file of its lock notes it.
    pub(crate) fn noted(&self, name: &str) -> Noted {
        let Self::Directory(path) = self else { return Noted::Nothing };
        let text = fs::read_to_string(path.join(format!("{name}{LOCK}")));
        text.map_or(Noted::Nothing, |text| Noted::of(&text))
    }

    /// Checks that the position of a name is there if it was noted.
    ///
    /// # Errors
    /// [`ConsumerError::PositionRemoved`] if not.
    pub(crate) fn check_position(&self, name: &str, noted: Noted) -> Result<(), ConsumerError> {
        let Self::Directory(path) = self else { return Ok(()) };
        let path = position_file(path, name);
        if noted == Noted::Position && matches!(path.try_exists(), Ok(false)) {
            return Err(ConsumerError::PositionRemoved { name: name.to_owned(), path });
        }
        Ok(())
    }

    /// Returns whether a group of this name has storage for its state.
    pub(crate) fn has_group(&self, name: &str) -> bool {
        match self {
            Self::Directory(path) => group_directory(path, name).exists(),
            Self::Memory(storage) => storage.groups.lock().contains_key(name),
        }
    }
}

/// Returns the directory of a group's state logs, in the directory of the storage.
pub(crate) fn group_directory(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}{GROUP}"))
}

/// Checks the name of a consumer or a group.
pub(crate) fn check_name(name: &str) -> Result<(), ConsumerError> {
    let problem = |error: io::Error| {
        let problem = error.to_string().replace("the name of the series", "the name");
        ConsumerError::BadName { problem }
    };
    check_series(name).map_err(problem)
}
