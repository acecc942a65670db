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

/// The most bytes that are read of the file of a lock. Its text is shorter.
const MAX_TEXT: usize = 64;

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
        // Spaces are left if the process ended before it cut the file.
        let is_noted = |noted: &Self| text.trim_end().ends_with(noted.text());
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
    /// The positions are in the program's own storage, which has no locks.
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
        let _ = (&file).take(MAX_TEXT as u64).read_to_string(&mut text);
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
        if text != text_of(lock.noted()) {
            lock.write(lock.noted());
        }
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
    ///
    /// The new text replaces the old one in one write, with spaces up to the old length, and the file is cut only then.
    /// So the file notes one of the two states at any time, also when the disk is full or the process is killed.
    fn write(&self, now: Noted) {
        let Self::File { file, path, noted, .. } = self else { return };
        let text = text_of(now);
        let write = |mut file: &File| -> io::Result<()> {
            let old =
                usize::try_from(file.metadata()?.len()).map_or(MAX_TEXT, |it| it.min(MAX_TEXT));
            file.seek(SeekFrom::Start(0))?;
            file.write_all(format!("{text:old$}").as_bytes())?;
            let before = noted.replace(now);
            file.set_len(text.len() as u64)?;
            // After a loss of power, a state that was deleted must not count as removed.
            if now == Noted::Nothing && before != now {
                // Tried again by the next write.
                file.sync_data().inspect_err(|_| noted.set(before))?;
            }
            Ok(())
        };
        if let Err(error) = write(file) {
            let path = path.display();
            tracing::warn!(%error, %path, "cannot write the file of a lock whole: a loss of the state may later go unseen, or a deleted state may count as lost");
        }
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

/// Returns the text of a lock's file, while this process has the lock.
fn text_of(noted: Noted) -> String {
    format!("{}{}", process::id(), noted.text())
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_new_process_keeps_the_note_of_the_last_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mailer.lock");
        // The second text is that of a process that was killed before it cut the file.
        for before in ["123456789012 position", "7 position          ", "7 position"] {
            fs::write(&path, before).unwrap();
            let lock = NameLock::in_directory(directory.path(), "mailer").unwrap();
            assert_eq!(lock.noted(), Noted::Position, "{before:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text_of(Noted::Position));
            lock.note(Noted::Nothing);
            assert_eq!(fs::read_to_string(&path).unwrap(), text_of(Noted::Nothing));
        }
    }

    #[test]
    fn a_text_that_is_the_same_is_not_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mailer.lock");
        fs::write(&path, text_of(Noted::Group)).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        OpenOptions::new().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        let lock = NameLock::in_directory(directory.path(), "mailer").unwrap();
        lock.note(Noted::Group);
        assert_eq!(path.metadata().unwrap().modified().unwrap(), long_ago);
    }

    /// Returns a lock whose file is a device.
    #[cfg(target_os = "linux")]
    fn on_device(path: &str) -> NameLock {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let (path, name) = (PathBuf::from(path), "mailer".to_owned());
        NameLock::File { file, path, name, noted: Cell::new(Noted::Nothing) }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_state_counts_as_noted_once_it_was_written() {
        // A disk that is full.
        let full = on_device("/dev/full");
        full.note(Noted::Position);
        assert_eq!(full.noted(), Noted::Nothing);
        // A file that takes each write and cannot be cut: the text is there, with spaces behind it.
        let uncut = on_device("/dev/null");
        uncut.note(Noted::Position);
        assert_eq!(uncut.noted(), Noted::Position);
    }
}
