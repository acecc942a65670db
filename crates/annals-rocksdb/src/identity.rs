//! The identity of the directory that a store was opened in: checks whether its path still leads there.
//!
//! RocksDB opens, creates, renames and removes files by path. If the path leads to another directory later, RocksDB
//! writes there: it overwrites the tables of another store, removes files that it does not know, and points `CURRENT`
//! at its own manifest. So the writer checks the path before each write of RocksDB.
//!
//! The file `LOCK` is checked as well. RocksDB never creates it again, so it is another file only if the directory was
//! emptied or the lock was removed. This module never opens the file: a process that closes any handle of it loses the
//! lock.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use annals::{LockHolder, OpenError};
use parking_lot::Mutex;

/// RocksDB's lock file.
const LOCK: &str = "LOCK";

/// Identifies a file or directory on this machine for as long as it exists. On systems without such numbers all ids are
/// equal, and no change is detected.
pub(crate) type FileId = (u64, u64);

/// The directory that the store's path led to when it was opened.
#[derive(Debug)]
pub(crate) struct Identity {
    path: PathBuf,
    directory: FileId,
    /// The id of the lock file; `None` before RocksDB has locked it, and for a reader.
    lock: Option<FileId>,
    /// An open handle, so that the system does not reuse the number of the directory if it is removed.
    _handle: Option<File>,
}

impl Identity {
    /// Returns the identity of the directory at `path`.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        // Only Unix opens a directory as a file.
        let handle = if cfg!(unix) { Some(File::open(path)?) } else { None };
        let directory = match &handle {
            Some(handle) => file_id(&handle.metadata()?),
            None => file_id(&path.metadata()?),
        };
        Ok(Self { path: path.to_owned(), directory, lock: None, _handle: handle })
    }

    /// Records the identity of the lock file, once RocksDB has locked it.
    pub(crate) fn note_lock(&mut self) -> io::Result<()> {
        self.lock = Some(file_id(&self.path.join(LOCK).metadata()?));
        Ok(())
    }

    /// Fails if the path does not lead to the same directory any more.
    pub(crate) fn check(&self) -> io::Result<()> {
        let same = |path: &Path, id| match path.metadata() {
            Ok(found) => Ok(file_id(&found) == id),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        };
        let lock = self.lock.map_or(Ok(true), |lock| same(&self.path.join(LOCK), lock));
        match same(&self.path, self.directory) {
            Ok(true) if lock? => Ok(()),
            Ok(true) => Err(self.changed("the files in it were removed or replaced")),
            Ok(false) => Err(self.changed("its directory was moved, removed or replaced")),
            Err(error) => Err(error),
        }
    }

    fn changed(&self, what: &str) -> io::Error {
        let path = self.path.display();
        let text = format!("the store is not at {path} any more: {what} while it was open");
        io::Error::new(io::ErrorKind::NotFound, text)
    }

    /// Returns whether both identify the same directory.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.directory == other.directory
    }
}

/// Returns the process that holds the lock of the store at `path`, if the system lists it. (Asking for the lock itself
/// would require opening the file.)
pub(crate) fn holder_of_lock(path: &Path) -> Option<u32> {
    let (device, number) = file_id(&path.join(LOCK).metadata().ok()?);
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| holder_in(line, device, number))
}

/// Returns the process in a line such as `1: POSIX  ADVISORY  WRITE 3568 fe:01:2531452 0 EOF`, if the line is about
/// this file.
fn holder_in(line: &str, device: u64, number: u64) -> Option<u32> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[_, "POSIX", _, "WRITE", process, file, ..] = words.as_slice() else { return None };
    let mut parts = file.split(':');
    let mut hex = || u64::from_str_radix(parts.next()?, 16).ok();
    let (major, minor) = (hex()?, hex()?);
    let same_device = (major, minor) == device_numbers(device);
    // Processes of other containers have the number 0 or -1 here.
    let process = process.parse().ok().filter(|&process| process > 0)?;
    (same_device && parts.next()?.parse() == Ok(number)).then_some(process)
}

/// Returns the major and minor number of a device, which Linux packs into one.
fn device_numbers(device: u64) -> (u64, u64) {
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & 0xffff_f000);
    let minor = (device & 0xff) | ((device >> 12) & 0xffff_ff00);
    (major, minor)
}

#[cfg(unix)]
fn file_id(metadata: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn file_id(_: &Metadata) -> FileId {
    (0, 0)
}

/// Returns the name and identity of the manifest of the database at `path`; `None` if it cannot be read now. RocksDB
/// never uses the name of a manifest twice.
pub(crate) fn manifest(path: &Path) -> Option<(String, FileId)> {
    let name = std::fs::read_to_string(path.join("CURRENT")).ok()?.trim_end().to_owned();
    let id = file_id(&path.join(&name).metadata().ok()?);
    Some((name, id))
}

/// The directories that are open for writing in this process, each with the process that opened it. RocksDB detects
/// its own locks by path only, and the system's lock does not exclude the process that holds it. So a store that is
/// opened again by another path, or by its new path after a move, would have two writers.
static OPEN: Mutex<BTreeMap<FileId, u32>> = Mutex::new(BTreeMap::new());

/// The entry of a directory in [`OPEN`], removed on drop.
#[derive(Debug)]
pub(crate) struct OpenHere(FileId);

impl OpenHere {
    /// Adds an entry for a directory.
    ///
    /// # Errors
    /// [`OpenError::Locked`] if it has one.
    pub(crate) fn enter(identity: &Identity) -> Result<Self, OpenError> {
        let mut open = OPEN.lock();
        // A forked process has a copy of these entries.
        if cfg!(unix)
            && let Some(&process) = open.get(&identity.directory)
        {
            let holder = if process == std::process::id() {
                LockHolder::ThisProcess
            } else {
                LockHolder::Process(process)
            };
            return Err(OpenError::Locked { path: identity.path.clone(), holder });
        }
        open.insert(identity.directory, std::process::id());
        Ok(Self(identity.directory))
    }
}

impl Drop for OpenHere {
    fn drop(&mut self) {
        OPEN.lock().remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_file_is_found_among_all_locks() {
        let device = (0xfe << 8) | 1;
        let line = "1: POSIX  ADVISORY  WRITE 3568 fe:01:2531452 0 EOF";
        assert_eq!(holder_in(line, device, 2_531_452), Some(3_568));
        assert_eq!(holder_in(line, device, 2_531_453), None);
        assert_eq!(holder_in(line, device + 1, 2_531_452), None);
        for other in [
            "1: FLOCK  ADVISORY  WRITE 3568 fe:01:2531452 0 EOF",
            "1: POSIX  ADVISORY  READ  3568 fe:01:2531452 0 EOF",
            "1: POSIX  ADVISORY  WRITE 0 fe:01:2531452 0 EOF",
            "1: -> POSIX  ADVISORY  WRITE 3568 fe:01:2531452 0 EOF",
            "",
        ] {
            assert_eq!(holder_in(other, device, 2_531_452), None, "{other}");
        }
    }
}
