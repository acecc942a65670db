//! The store that a command appends to. It is created as late as possible, and removed after a failure if it has no
//! events.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

#[cfg(feature = "rocksdb")]
use annals::OpenError;
use annals::{Backend as _, Durability, Journal, RawEvent};

use crate::args::creation::{Create, Creation};
use crate::console::say;
use crate::failure::Failure;
use crate::signals::Interrupt;
use crate::store::{self, Store};
use crate::store_path::StorePath;
use crate::waiting;

/// The name of a Journal's lock file.
const LOCK: &str = "LOCK";

/// A store to append to, which may not exist yet.
pub(crate) struct Target {
    path: StorePath,
    durability: Durability,
    /// The store's directory and its ancestors that did not exist before, innermost first.
    absent: Vec<PathBuf>,
    /// Whether this process may have created the store.
    may_be_created: bool,
    /// Whether the store was created, which is not said yet.
    is_unannounced: bool,
    creation: Creation,
    interrupt: Interrupt,
}

impl Target {
    /// Records which directories exist now. Opens nothing.
    pub(crate) fn new(
        path: &StorePath,
        durability: Durability,
        creation: Creation,
        interrupt: &Interrupt,
    ) -> Self {
        let absent = path.path().ancestors().take_while(|path| is_absent(path));
        let absent = absent.map(Path::to_owned).collect();
        Self {
            path: path.clone(),
            durability,
            absent,
            may_be_created: false,
            is_unannounced: false,
            creation,
            interrupt: interrupt.clone(),
        }
    }

    /// Opens the store if it exists. Returns `None` if it does not exist and may be created.
    pub(crate) fn existing(&self) -> Result<Option<Store>, Failure> {
        if !store::is_vacant(&self.path)? {
            return self.open_or_wait().map(Some);
        }
        match self.creation.create {
            Create::Auto => Ok(None),
            Create::Never => Err(Failure::MustExist { store: self.path.clone() }),
        }
    }

    /// Opens the store, and creates it if it does not exist.
    pub(crate) fn open(&mut self) -> Result<Store, Failure> {
        self.is_unannounced = store::is_vacant(&self.path)?;
        self.may_be_created = true;
        self.open_or_wait()
    }

    /// Prints a note if the store was created, once.
    pub(crate) fn announce(&mut self) {
        if std::mem::take(&mut self.is_unannounced) {
            say::note(&format!("created {}", self.path));
        }
    }

    fn open_or_wait(&self) -> Result<Store, Failure> {
        waiting::open(&self.path, self.durability, self.creation.waiting, &self.interrupt)
    }

    /// Removes the directories that [`open`](Self::open) created, if the store has no events. The caller must close the
    /// store first.
    pub(crate) fn remove_if_empty(&self) {
        if !self.may_be_created || self.absent.is_empty() {
            return;
        }
        let emptied = match &self.path {
            StorePath::Journal(path) => empty_journal(path),
            #[cfg(feature = "rocksdb")]
            StorePath::RocksDb(path) => empty_rocksdb(path),
            #[cfg(not(feature = "rocksdb"))]
            StorePath::RocksDb(_) => return,
            // The replica belongs to a log that others append to.
            StorePath::Record(_) => return,
        };
        match emptied {
            // A directory with other files in it is not removed.
            Ok(true) => {
                let _ = self.absent.iter().try_for_each(fs::remove_dir);
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot remove the empty store {}", self.path),
        }
    }
}

fn is_absent(path: &Path) -> bool {
    // The last ancestor of a relative path is empty: the current directory.
    !path.as_os_str().is_empty()
        && fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Removes the files of a Journal without events. Returns false if the Journal must stay. The Journal is locked
/// meanwhile, so that no other process appends to it.
fn empty_journal(path: &Path) -> io::Result<bool> {
    let lock = match File::options().read(true).write(true).open(path.join(LOCK)) {
        // Creating the store failed before the lock file existed.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        lock => lock?,
    };
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(false),
        locked => locked?,
    }
    if !store::is_vacant(&StorePath::Journal(path.to_owned())).unwrap_or(false) {
        let journal = Journal::options().open_read_only::<RawEvent>(path);
        if !journal.is_ok_and(|journal| journal.head().get() == 0 && journal.damage().is_none()) {
            return Ok(false);
        }
    }
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let named = |name: &str| file.ends_with(name);
        let ends = |end: &str| file.extension().is_some_and(|extension| extension == end);
        if named("store.json")
            || named("closed.json")
            || ["log", "idx", "new"].map(ends).contains(&true)
        {
            fs::remove_file(file)?;
        }
    }
    // The lock file is removed last: a process that waits for the lock detects that the file was removed.
    fs::remove_file(path.join(LOCK))?;
    Ok(true)
}

/// Removes the files of a store in RocksDB without events. Returns false if the store must stay.
#[cfg(feature = "rocksdb")]
fn empty_rocksdb(path: &Path) -> io::Result<bool> {
    let events = match annals_rocksdb::RocksDb::<RawEvent>::open_read_only(path) {
        Ok(rocks) => rocks.head().get(),
        Err(OpenError::NotFound { .. }) => 0,
        Err(_) => return Ok(false),
    };
    if events == 0 {
        // It takes the database's lock, and removes only RocksDB's files.
        rocksdb::DB::destroy(&rocksdb::Options::default(), path).map_err(io::Error::other)?;
    }
    Ok(events == 0)
}
