//! The lock of a name: one consumer or group at a time runs under it, among all processes of the machine.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{ConsumerError, Holder};

/// The names that are locked in memory.
pub(crate) type MemoryLocks = Arc<Mutex<BTreeSet<String>>>;

/// The right to run under a name, until it is dropped.
#[derive(Debug)]
pub(crate) enum NameLock {
    /// The open, locked file. Closing it releases the lock.
    File {
        file: File,
        path: PathBuf,
        name: String,
    },
    Memory {
        locks: MemoryLocks,
        name: String,
    },
    /// The positions are in a place of the program's own, which has no locks.
    None,
}

impl NameLock {
    /// Takes the lock of a name in a directory, which exists.
    pub(crate) fn in_directory(directory: &Path, name: &str) -> Result<Self, ConsumerError> {
        let path = directory.join(format!("{name}.lock"));
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(ConsumerError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // If it cannot be read, the holder is not known.
                let _ = (&file).take(64).read_to_string(&mut text);
                let holder = match text.trim().parse() {
                    Ok(found) if found == process::id() => Holder::ThisProcess,
                    Ok(found) => Holder::Process(found),
                    Err(_) => Holder::Unknown,
                };
                return Err(ConsumerError::Running { name: name.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(ConsumerError::io("lock", path)(error)),
        }
        let note = file.set_len(0).and_then(|()| write!(file, "{}", process::id()));
        if let Err(error) = note {
            tracing::debug!(%error, name, "cannot note which process holds a lock");
        }
        Ok(Self::File { file, path, name: name.to_owned() })
    }

    /// Checks that no other process can have taken the lock in the meantime, because the locked file was removed or
    /// replaced.
    ///
    /// # Errors
    /// [`ConsumerError::LockRemoved`] if so, and [`ConsumerError::Io`] if the file cannot be looked at.
    pub(crate) fn check(&self) -> Result<(), ConsumerError> {
        let Self::File { file, path, name } = self else { return Ok(()) };
        match is_at(file, path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ConsumerError::LockRemoved { name: name.clone(), path: path.clone() }),
            Err(error) => Err(ConsumerError::io("look at", path)(error)),
        }
    }

    /// Takes the lock of a name in memory.
    pub(crate) fn in_memory(locks: &MemoryLocks, name: &str) -> Result<Self, ConsumerError> {
        if !locks.lock().insert(name.to_owned()) {
            let (name, holder) = (name.to_owned(), Holder::ThisProcess);
            return Err(ConsumerError::Running { name, holder });
        }
        Ok(Self::Memory { locks: Arc::clone(locks), name: name.to_owned() })
    }
}

/// Returns whether the open file is the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let opened = file.metadata()?;
    match path.metadata() {
        Ok(found) => Ok((found.dev(), found.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere, a file that is open cannot be removed.
#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

impl Drop for NameLock {
    fn drop(&mut self) {
        if let Self::Memory { locks, name } = self {
            locks.lock().remove(name);
        }
    }
}
