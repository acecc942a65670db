//! The store that a command appends to. It is created late, and if nothing comes into it, it is removed again.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

#[cfg(feature = "rocksdb")]
use annals::OpenError;
use annals::{Backend as _, Durability, Journal, RawEvent};

use crate::failure::Failure;
use crate::place::Place;
use crate::store::{self, Store};

/// The lock of a Journal.
const LOCK: &str = "LOCK";

/// A store to append to, which may not be there yet.
pub(crate) struct Target {
    place: Place,
    durability: Durability,
    /// The store's directory and those above it, as far as they were not there before.
    absent: Vec<PathBuf>,
    /// Whether this process may have created the store.
    may_be_ours: bool,
}

impl Target {
    pub(crate) fn new(place: &Place, durability: Durability) -> Self {
        let absent = place.path().ancestors().take_while(|path| is_absent(path));
        let absent = absent.map(Path::to_owned).collect();
        Self { place: place.clone(), durability, absent, may_be_ours: false }
    }

    /// Opens the store that is there; `None` if nothing is.
    pub(crate) fn existing(&self) -> Result<Option<Store>, Failure> {
        if store::is_vacant(&self.place)? {
            return Ok(None);
        }
        store::open(&self.place, self.durability).map(Some)
    }

    /// Opens the store, and creates it if nothing is there.
    pub(crate) fn open(&mut self) -> Result<Store, Failure> {
        self.may_be_ours = true;
        store::open(&self.place, self.durability)
    }

    /// Removes what [`open`](Self::open) created where no directory was before, if no event is in it. To be called after a
    /// failure, when the store is closed.
    pub(crate) fn leave_nothing(&self) {
        if !self.may_be_ours || self.absent.is_empty() {
            return;
        }
        let emptied = match &self.place {
            Place::Journal(path) => empty_journal(path),
            #[cfg(feature = "rocksdb")]
            Place::RocksDb(path) => empty_rocksdb(path),
            #[cfg(not(feature = "rocksdb"))]
            Place::RocksDb(_) => return,
        };
        match emptied {
            // A directory that has anything else in it stays.
            Ok(true) => {
                let _ = self.absent.iter().try_for_each(fs::remove_dir);
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the empty store {} is left behind", self.place),
        }
    }
}

fn is_absent(path: &Path) -> bool {
    // The end of a relative path is the current directory.
    !path.as_os_str().is_empty()
        && fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Removes the files of a Journal without events; false if it is to stay. Its lock is held meanwhile, so that no other
/// process appends to it.
fn empty_journal(path: &Path) -> io::Result<bool> {
    let lock = match File::options().read(true).write(true).open(path.join(LOCK)) {
        // It did not come so far.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        lock => lock?,
    };
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(false),
        locked => locked?,
    }
    if !store::is_vacant(&Place::Journal(path.to_owned())).unwrap_or(false) {
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
            || ["log", "idx", "flt", "new"].map(ends).contains(&true)
        {
            fs::remove_file(file)?;
        }
    }
    // Last: a process that waits for this lock finds that the file is gone.
    fs::remove_file(path.join(LOCK))?;
    Ok(true)
}

/// Removes the files of a store in RocksDB without events; false if it is to stay.
#[cfg(feature = "rocksdb")]
fn empty_rocksdb(path: &Path) -> io::Result<bool> {
    let events = match annals_rocksdb::RocksDb::<RawEvent>::open_read_only(path) {
        Ok(rocks) => rocks.head().get(),
        Err(OpenError::NotFound { .. }) => 0,
        Err(_) => return Ok(false),
    };
    if events == 0 {
        // It takes the database's lock, and removes no file that is not RocksDB's.
        rocksdb::DB::destroy(&rocksdb::Options::default(), path).map_err(io::Error::other)?;
    }
    Ok(events == 0)
}
