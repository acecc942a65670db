//! The directory in which a log is published: its files, and how they are made durable.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::{FileSystem, StoreDirectory};

use crate::apart::refuse_to_publish;
use crate::error::ProofError;
use crate::sync_name::{is_forgiven, sync_name};

/// The most directories that are held open.
const MOST_OPEN: usize = 32;

/// A directory that a web server serves. A `name` in it is a path with `/`, such as `tile/0/000`.
///
/// Each file is written to another name, synced and renamed, so no reader sees a part of it. [`sync`](Self::sync) then
/// makes the names durable.
#[derive(Debug)]
pub(super) struct Site {
    path: PathBuf,
    root: Arc<dyn StoreDirectory>,
    /// The directories below the root that are open, by name.
    open: HashMap<String, Arc<dyn StoreDirectory>>,
    /// The directories below the root that were used since the last sync.
    used: BTreeSet<String>,
}

impl Site {
    /// Opens the directory, which is created with those above it, and locks it.
    pub(super) fn open(files: &dyn FileSystem, path: &Path) -> Result<Self, ProofError> {
        refuse_to_publish(path)?;
        create(files, path)?;
        let root = files.open_directory(path).map_err(ProofError::io("open", path))?;
        // A file system that cannot lock directories leaves it to the user that one process publishes at a time.
        if root.try_lock().is_ok_and(|locked| !locked) {
            let problem = "another process publishes to it";
            let error = io::Error::new(ErrorKind::WouldBlock, problem);
            return Err(ProofError::io("lock", path)(error));
        }
        Ok(Self { path: path.to_owned(), root, open: HashMap::new(), used: BTreeSet::new() })
    }

    /// Makes the names of the directory and of those above it durable: an earlier process may have created them and
    /// ended before it synced them. Leaves out the directories above that cannot be synced. What this process created
    /// is synced already, by [`open`](Self::open).
    pub(super) fn sync_path(&self, files: &dyn FileSystem) -> Result<(), ProofError> {
        for above in self.path.ancestors().skip(1) {
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            match files.open_directory(above).and_then(|above| above.sync()) {
                Err(error) if is_forgiven(error.kind()) => {}
                synced => synced.map_err(ProofError::io("sync", above))?,
            }
        }
        Ok(())
    }

    /// Reads a file, at most `most` bytes of it. Returns `None` if it does not exist.
    pub(super) fn read(&mut self, name: &str, most: usize) -> Result<Option<Vec<u8>>, ProofError> {
        let (above, file) = split(name);
        let read = self.directory(above, false).and_then(|directory| {
            let file = directory.open_read_only(file)?;
            let size = usize::try_from(file.size()?).unwrap_or(most).min(most);
            let mut bytes = vec![0; size];
            let read = file.read_at(&mut bytes, 0)?;
            bytes.truncate(read);
            Ok(bytes)
        });
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ProofError::io("read", self.path.join(name))(error)),
        }
    }

    /// Writes a file whole, in place of the one that is there. Its bytes are durable then, and its name is not.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), ProofError> {
        let (above, last) = split(name);
        let unfinished = format!("{last}.new");
        let written = self.directory(above, true).and_then(|directory| {
            let file = match directory.create(&unfinished) {
                // An earlier process did not finish it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    directory.remove(&unfinished)?;
                    directory.create(&unfinished)?
                }
                created => created?,
            };
            file.write_at(bytes, 0)?;
            file.sync()?;
            directory.rename(&unfinished, last)
        });
        written.map_err(ProofError::io("write", self.path.join(name)))
    }

    /// Makes the names of all files that were read or written since the last call durable, and those of the directories
    /// above them. The names of files that were only read are among them, because an earlier process may have ended
    /// before it synced them.
    pub(super) fn sync(&mut self) -> Result<(), ProofError> {
        for name in std::mem::take(&mut self.used) {
            let synced = self.directory(&name, false).and_then(|directory| directory.sync());
            synced.map_err(ProofError::io("sync", self.path.join(&name)))?;
        }
        self.used.clear();
        self.root.sync().map_err(ProofError::io("sync", &self.path))
    }

    /// Returns the directory of this name. Creates it if `create`, with those above it.
    fn directory(&mut self, name: &str, create: bool) -> io::Result<Arc<dyn StoreDirectory>> {
        if name.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        if let Some(open) = self.open.get(name).cloned() {
            self.use_again(name);
            return Ok(open);
        }
        let (above, last) = split(name);
        let above = self.directory(above, create)?;
        let opened = match above.open_directory(last) {
            Err(error) if error.kind() == ErrorKind::NotFound && create => {
                above.create_directory(last)?;
                above.open_directory(last)
            }
            opened => opened,
        }?;
        if self.open.len() >= MOST_OPEN {
            self.open.clear();
        }
        self.open.insert(name.to_owned(), Arc::clone(&opened));
        self.use_again(name);
        Ok(opened)
    }

    fn use_again(&mut self, name: &str) {
        if !self.used.contains(name) {
            self.used.insert(name.to_owned());
        }
    }
}

/// Splits a name into the directory and the last part.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

/// Creates a directory and those above it, durably, if they do not exist.
fn create(files: &dyn FileSystem, path: &Path) -> Result<(), ProofError> {
    match files.open_directory(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        opened => return opened.map(drop).map_err(ProofError::io("open", path)),
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    create(files, above)?;
    files.create_directory(path).map_err(ProofError::io("create", path))?;
    sync_name(files, path).map_err(ProofError::io("sync the name of", path))
}

#[cfg(test)]
mod tests {
    use annals_conformance::fault::{FaultFileSystem, Loss, on_disk};

    use super::*;

    #[test]
    fn a_file_in_a_directory_that_is_still_open_is_synced() {
        let disk = FaultFileSystem::new(1);
        let mut site = Site::open(&disk.process(), &on_disk("site")).unwrap();
        for name in ["tile/0/000", "tile/0/001", "tile/1/000"] {
            site.write(name, b"bytes").unwrap();
            site.sync().unwrap();
        }
        disk.restart(Loss::Everything);
        for name in ["tile/0/000", "tile/0/001", "tile/1/000"] {
            assert_eq!(disk.contents(on_disk("site").join(name)).unwrap(), b"bytes", "{name}");
        }
    }
}
