//! The lock of a store, which one open handle at a time holds, among all processes of the machine.
//!
//! ```text
//!   LOCK   locked with flock; "PROCESS NAMESPACE" while a writer has it, empty once the writer has closed the store
//! ```
//! A process that is started while the lock is held inherits it until it runs its own program. A forked process holds
//! it for as long as it has the file open, although its copy of the store refuses to write. The writer therefore
//! empties the file before it releases the lock. An opener that finds the file locked but empty waits a moment for such
//! processes.
//!
//! The writer also locks the directory itself, if the file system can. A second writer is then refused even if `LOCK`
//! was removed.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::fs::file_id::{self, Named};
use super::fs::tools::read_up_to;
use super::fs::{StoreDirectory, StoreFile};
use crate::backend::process::Opener;
use crate::error::LockHolder;
use crate::error::OpenError;

pub(super) const LOCK: &str = "LOCK";

/// How long an opener waits for a lock whose holder has closed the store.
const PATIENCE: Duration = Duration::from_millis(500);

/// The most bytes of `LOCK` that are read.
const MOST_BYTES: u64 = 1 << 10;

/// The right to write to a store, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: Box<dyn StoreFile>,
    /// The locked directory, as a handle of its own. `None` if the file system cannot lock directories.
    directory: Option<Arc<dyn StoreDirectory>>,
    opener: Opener,
}

impl Lock {
    /// Takes the lock of the store in this directory. `path` is the path by which it was opened.
    pub(super) fn take(directory: &dyn StoreDirectory, path: &Path) -> Result<Self, OpenError> {
        let file = path.join(LOCK);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let opened = open(directory).map_err(OpenError::io("open", &file))?;
            if opened.try_lock().map_err(OpenError::io("lock", &file))? {
                let id = opened.id().map_err(OpenError::io("look at", &file))?;
                let named = directory.file_id(LOCK).map_err(OpenError::io("look at", &file))?;
                if file_id::compare(id, named) == Named::Same {
                    let directory = lock_directory(directory, path, deadline)?;
                    note_holder(&*opened);
                    return Ok(Self { file: opened, directory, opener: Opener::this_process() });
                }
                // The file was removed or replaced before it was locked.
                if Instant::now() >= deadline {
                    let replaced = io::Error::other("the file LOCK is replaced again and again");
                    return Err(OpenError::io("lock", &file)(replaced));
                }
            } else {
                let content = read_up_to(directory, LOCK, MOST_BYTES).unwrap_or_default();
                let holder = LockHolder::of(&String::from_utf8_lossy(&content));
                if holder != LockHolder::Inherited || Instant::now() >= deadline {
                    return Err(OpenError::Locked { path: path.to_owned(), holder });
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Before `LOCK` is released: from then on another process may open the store.
        self.directory = None;
        // A forked process only closes its copies of the files. The lock belongs to the process that took it.
        if self.opener.is_here()
            && let Err(error) = self.file.set_size(0)
        {
            tracing::debug!(%error, "cannot note in the file LOCK that the store was closed");
        }
    }
}

/// Locks the directory by a handle of its own. Returns `None` if the file system cannot lock directories. A writer that
/// ends releases its two locks one after the other, so this waits for the second.
fn lock_directory(
    directory: &dyn StoreDirectory,
    path: &Path,
    deadline: Instant,
) -> Result<Option<Arc<dyn StoreDirectory>>, OpenError> {
    let own = directory.open_directory(".").map_err(OpenError::io("open", path))?;
    loop {
        match own.try_lock() {
            Ok(true) => return Ok(Some(own)),
            Ok(false) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            Ok(false) => {
                let (path, holder) = (path.to_owned(), LockHolder::Unknown);
                return Err(OpenError::Locked { path, holder });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot lock the directory; only the file LOCK is locked");
                return Ok(None);
            }
        }
    }
}

fn open(directory: &dyn StoreDirectory) -> io::Result<Box<dyn StoreFile>> {
    match directory.open(LOCK) {
        Err(error) if error.kind() == ErrorKind::NotFound => match directory.create(LOCK) {
            // Another process created it first.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => directory.open(LOCK),
            created => created,
        },
        opened => opened,
    }
}

/// Writes the holder of the lock into the file. It is used in messages only.
fn note_holder(file: &dyn StoreFile) {
    let holder = format!("{} {}\n", process::id(), namespace());
    let noted = file.set_size(0).and_then(|()| file.write_at(holder.as_bytes(), 0));
    if let Err(error) = noted {
        tracing::debug!(%error, "cannot note the holder of the lock in the file LOCK");
    }
}

/// Returns the namespace of process ids, which differs between containers. Empty on systems without namespaces.
fn namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().into_owned()
}

impl LockHolder {
    /// Returns the holder that the content of `LOCK` names.
    fn of(content: &str) -> Self {
        let mut words = content.split_whitespace();
        let Some(process) = words.next() else { return Self::Inherited };
        let Ok(process) = process.parse() else { return Self::Unknown };
        match words.next() {
            Some(there) if there != namespace() => Self::OtherContainer(process),
            _ if process == process::id() => Self::ThisProcess,
            _ if is_gone(process) => Self::Inherited,
            _ => Self::Process(process),
        }
    }
}

/// Returns whether the process does not exist any more.
#[cfg(unix)]
fn is_gone(process: u32) -> bool {
    let process = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    process.is_some_and(|process| {
        rustix::process::test_kill_process(process) == Err(rustix::io::Errno::SRCH)
    })
}

#[cfg(not(unix))]
fn is_gone(_process: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_named_only_where_its_number_means_something() {
        let here = format!("{} {}", process::id(), namespace());
        assert_eq!(LockHolder::of(&here), LockHolder::ThisProcess);
        assert_eq!(LockHolder::of(&process::id().to_string()), LockHolder::ThisProcess);
        assert_eq!(LockHolder::of("1 pid:[1]"), LockHolder::OtherContainer(1));
        assert_eq!(LockHolder::of(""), LockHolder::Inherited);
        assert_eq!(LockHolder::of("nobody"), LockHolder::Unknown);
        #[cfg(unix)]
        {
            let parent = std::os::unix::process::parent_id();
            assert_eq!(LockHolder::of(&parent.to_string()), LockHolder::Process(parent));
            // No system assigns so large a number.
            assert_eq!(LockHolder::of("2147483646"), LockHolder::Inherited);
        }
    }
}
