//! The directory that a store was opened in, and whether its path still leads there.
//!
//! RocksDB opens, makes, renames and removes files by their paths. Where a path leads to another directory than it did,
//! RocksDB would write into that: it would put its tables over those of another store, remove files that it does not
//! know, and have `CURRENT` name its own manifest. So the writer looks before it has RocksDB write.
//!
//! The file `LOCK` is looked at as well: RocksDB never makes it anew, so another one is there only when the directory was
//! emptied, or when somebody removed the lock. It is never opened here: a process that closes any handle of it loses its
//! lock.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use annals::{LockHolder, OpenError};
use parking_lot::Mutex;

/// RocksDB's lock file.
const LOCK: &str = "LOCK";

/// Tells a file or directory from all others of the machine, for as long as it exists. Where the system has no such
/// numbers, all are the same, and nothing is found out.
pub(crate) type FileId = (u64, u64);

/// The directory that the store's path led to when it was opened.
#[derive(Debug)]
pub(crate) struct Identity {
    path: PathBuf,
    directory: FileId,
    /// `None` before RocksDB has locked it, and for a reader.
    lock: Option<FileId>,
    /// Keeps the directory's number from being given to another one after this one was removed.
    _handle: Option<File>,
}

impl Identity {
    /// Takes the identity of the directory at `path`.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        // Only Unix opens a directory as a file.
        let handle = if cfg!(unix) { Some(File::open(path)?) } else { None };
        let directory = match &handle {
            Some(handle) => file_id(&handle.metadata()?),
            None => file_id(&path.metadata()?),
        };
        Ok(Self { path: path.to_owned(), directory, lock: None, _handle: handle })
    }

    /// Takes the identity of the lock as well, once RocksDB has it.
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

    /// Whether both are of the same directory.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.directory == other.directory
    }
}

/// The process that has the lock of the store at `path`, where the system tells. (To ask for the lock itself, the file
/// would have to be opened.)
pub(crate) fn holder_of_lock(path: &Path) -> Option<u32> {
    let (device, number) = file_id(&path.join(LOCK).metadata().ok()?);
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| holder_in(line, device, number))
}

/// The process in a line such as `1: POSIX  ADVISORY  WRITE 3568 fe:01:2531452 0 EOF`, if it is of this file.
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

/// The major and minor number of a device, as Linux packs them.
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

/// The manifest that the database at `path` has now, and which file that is; `None` while it cannot be told. RocksDB never
/// makes one with a name that another had.
pub(crate) fn manifest(path: &Path) -> Option<(String, FileId)> {
    let name = std::fs::read_to_string(path.join("CURRENT")).ok()?.trim_end().to_owned();
    let id = file_id(&path.join(&name).metadata().ok()?);
    Some((name, id))
}

/// The directories that are open for writing in this process, and the process that opened each. RocksDB looks for its own
/// locks by their paths only, and the system's lock does not keep a process from what it has locked itself: a store that
/// is opened by another of its paths, or by its new one after a move, would have two writers.
static OPEN: Mutex<BTreeMap<FileId, u32>> = Mutex::new(BTreeMap::new());

/// A directory's entry among those that are open for writing.
#[derive(Debug)]
pub(crate) struct OpenHere(FileId);

impl OpenHere {
    /// Enters a directory.
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
