//! The lock of a name: one consumer or group at a time runs under it, among all processes of the machine.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{ConsumerError, Holder};

/// The extension of the file of a lock.
pub(crate) const LOCK: &str = ".lock";

/// The state that a name has, as the file of its lock notes it behind the id of the process. So a state that was
/// removed by other means than a deletion is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    Nothing,
    /// The position of a consumer.
    Position,
    /// The state log of a group.
    Group,
}

impl Noted {
    /// Returns what the text of a lock's file notes.
    pub(crate) fn of(text: &str) -> Self {
        let is_noted = |noted: &Self| text.ends_with(noted.text());
        [Self::Position, Self::Group].into_iter().find(is_noted).unwrap_or(Self::Nothing)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Position => " position",
            Self::Group => " group",
        }
    }
}

/// The names that are locked in memory.
pub(crate) type MemoryLocks = Arc<Mutex<BTreeSet<String>>>;

/// The right to run under a name, until it is dropped.
#[derive(Debug)]
pub(crate) enum NameLock {
    /// The open, locked file. Closing it releases the lock. Its text is the id of the process that has it, and what is
    /// noted of the name.
    File {
        file: File,
        path: PathBuf,
        name: String,
        noted: Cell<Noted>,
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
        let path = directory.join(format!("{name}{LOCK}"));
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(ConsumerError::io("open", &path))?;
        let locked = file.try_lock();
        let mut text = String::new();
        // If the file cannot be read, nothing is noted.
        let _ = (&file).take(64).read_to_string(&mut text);
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = match text.split_whitespace().next().map(str::parse) {
                    Some(Ok(found)) if found == process::id() => Holder::ThisProcess,
                    Some(Ok(found)) => Holder::Process(found),
                    _ => Holder::Unknown,
                };
                return Err(ConsumerError::Running { name: name.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(ConsumerError::io("lock", path)(error)),
        }
        let noted = Cell::new(Noted::of(&text));
        let lock = Self::File { file, path, name: name.to_owned(), noted };
        lock.write(lock.noted());
        Ok(lock)
    }

    /// Returns which state the name had when it was last noted. That state may be lost since.
    pub(crate) fn noted(&self) -> Noted {
        match self {
            Self::File { noted, .. } => noted.get(),
            Self::Memory { .. } | Self::None => Noted::Nothing,
        }
    }

    /// Notes which state the name has. A state is noted when it is durable, and no state before the state is removed.
    pub(crate) fn note(&self, now: Noted) {
        if self.noted() != now {
            self.write(now);
        }
    }

    /// Writes the process, and which state the name has.
    fn write(&self, now: Noted) {
        let Self::File { file, name, noted, .. } = self else { return };
        let text = format!("{}{}", process::id(), now.text());
        let write = |mut file: &File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())?;
            // After a loss of power, a state that was deleted must not count as removed.
            if now == Noted::Nothing && noted.get() != now { file.sync_data() } else { Ok(()) }
        };
        if let Err(error) = write(file) {
            tracing::debug!(%error, name, "cannot note which process holds a lock");
        }
        noted.set(now);
    }

    /// Checks that no other process can have taken the lock in the meantime, because the locked file was removed or
    /// replaced.
    ///
    /// # Errors
    /// [`ConsumerError::LockRemoved`] if so, and [`ConsumerError::Io`] if the file cannot be looked at.
    pub(crate) fn check(&self) -> Result<(), ConsumerError> {
        let Self::File { file, path, name, .. } = self else { return Ok(()) };
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
