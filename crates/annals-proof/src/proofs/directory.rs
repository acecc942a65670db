//! A directory with files of proofs, or of a witness.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use annals::{FileSystem, StoreDirectory, StoreFile};

use crate::error::ProofError;
use crate::sync_name::sync_name;

/// The largest file that is read whole, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The name of the file that is locked while a checkpoint is signed and written. It is not `LOCK`, because the directory
/// may be that of a store.
const LOCK: &str = "checkpoint.lock";

/// How long [`Directory::lock`] waits. A lock is held for a few writes and syncs, and while the events that were appended
/// shortly before are hashed. If the log contradicted a checkpoint, or its nodes are damaged, all events are hashed under
/// the lock, about a million a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often [`Directory::lock`] looks. The system's locks notify no thread of this process.
const PAUSE: Duration = Duration::from_millis(1);

/// Whether a written file is synced before the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anchor {
    /// The system writes it when it likes. After a power cut, an older checkpoint may be in its place, which is still
    /// true, or none.
    #[default]
    Buffered,
    /// It is durable.
    Durable,
}

/// An open directory, and its path.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    pub(crate) handle: Arc<dyn StoreDirectory>,
}

impl Directory {
    /// Opens the directory. Creates it if `create`; otherwise `None` means that nothing is there. The name of a
    /// directory that was created is durable.
    pub(crate) fn open(
        files: &dyn FileSystem,
        path: &Path,
        create: bool,
    ) -> Result<Option<Self>, ProofError> {
        let opened = match files.open_directory(path) {
            Err(error) if error.kind() == ErrorKind::NotFound && create => {
                files.create_directory(path).map_err(ProofError::io("create", path))?;
                sync_name(files, path).map_err(ProofError::io("sync the name of", path))?;
                files.open_directory(path)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened,
        };
        let handle = opened.map_err(ProofError::io("open", path))?;
        Ok(Some(Self { path: path.to_owned(), handle }))
    }

    /// Opens a directory in this one, which is created if it does not exist.
    pub(crate) fn subdirectory(&self, name: &str) -> Result<Self, ProofError> {
        let path = self.path.join(name);
        let opened = match self.handle.open_directory(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => self
                .handle
                .create_directory(name)
                .and_then(|()| self.handle.sync())
                .and_then(|()| self.handle.open_directory(name)),
            opened => opened,
        };
        let handle = opened.map_err(ProofError::io("open", &path))?;
        Ok(Self { path, handle })
    }

    /// Takes the lock on the file `name`, which is held until the returned file is closed. Returns `None` if another
    /// handle has it, of this process or another one.
    pub(crate) fn try_lock(&self, name: &str) -> io::Result<Option<Box<dyn StoreFile>>> {
        let opened = match self.handle.open(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => match self.handle.create(name) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => self.handle.open(name),
                created => created,
            },
            opened => opened,
        }?;
        Ok(opened.try_lock()?.then_some(opened))
    }

    /// Waits for the lock under which the files of proofs are written, and takes it.
    pub(crate) fn lock(&self) -> Result<Box<dyn StoreFile>, ProofError> {
        let failed = |error| ProofError::io("lock", self.path.join(LOCK))(error);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(lock) = self.try_lock(LOCK).map_err(failed)? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                let problem = "another thread or process has been signing for a long time";
                return Err(failed(io::Error::new(ErrorKind::WouldBlock, problem)));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Reads a file as text. Bytes that are not UTF-8 become text that no format accepts.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, ProofError> {
        let read = || -> io::Result<Vec<u8>> {
            let file = self.handle.open_read_only(name)?;
            let size = file.size()?;
            if size > MAX_BYTES {
                return Err(ErrorKind::FileTooLarge.into());
            }
            let mut bytes = vec![0; usize::try_from(size).map_err(|_| ErrorKind::FileTooLarge)?];
            let read = file.read_at(&mut bytes, 0)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ProofError::io("read", self.path.join(name))(error)),
        }
    }

    /// Writes a file whole, or leaves it as it was.
    pub(crate) fn write(&self, name: &str, text: &str, anchor: Anchor) -> Result<(), ProofError> {
        let unfinished = format!("{name}.new");
        let write = || -> io::Result<()> {
            match self.handle.remove(&unfinished) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = self.handle.create(&unfinished)?;
            file.write_at(text.as_bytes(), 0)?;
            if anchor == Anchor::Durable {
                file.sync()?;
            }
            self.handle.rename(&unfinished, name)?;
            if anchor == Anchor::Durable { self.handle.sync() } else { Ok(()) }
        };
        write().map_err(ProofError::io("write", self.path.join(name)))
    }

    /// Makes the names in the directory durable.
    pub(crate) fn sync(&self) -> Result<(), ProofError> {
        self.handle.sync().map_err(ProofError::io("sync", &self.path))
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) -> Result<(), ProofError> {
        self.handle.remove(name).map_err(ProofError::io("remove", self.path.join(name)))
    }

    /// Returns the names in the directory.
    pub(crate) fn list(&self) -> Result<Vec<String>, ProofError> {
        self.handle.list().map_err(ProofError::io("list", &self.path))
    }
}
