//! The RocksDB database of a store: opens it, checks that its path still leads to it, and closes it.
//!
//! ```text
//!   default     format, store id, creation time, the head when the store was last closed
//!   events      blocks of events                     index   the offsets of types and tags
//!   ids         the offset of each event id          snapshots
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use annals::backend::{Hasher, Opener};
use annals::{OpenError, ReadError};
use rocksdb::{Cache, ColumnFamilyDescriptor, DB, Error, Options};
use tempfile::TempDir;

use crate::block_index::BlockIndex;
use crate::family::Family;
use crate::identity::{Identity, OpenHere};
use crate::keys;
use crate::metadata::{self, make_store, read_store_id, synced};
use crate::options::{Families, RocksDbOptions};
use crate::preflight::{Found, check_families, look};
use crate::status::{io_error, open_error, read_error};
use crate::wal_repair;

/// How often opening is repeated when another process may be writing to the store.
const ATTEMPTS: u64 = 9;

/// How often a reader looks for all files of the store while each attempt misses another one.
const CHECKS: u64 = 20;

const EVENTS: &str = "events";
const INDEX: &str = "index";
const IDS: &str = "ids";
const SNAPSHOTS: &str = "snapshots";
const DEFAULT: &str = "default";
const FAMILIES: [&str; 5] = [DEFAULT, EVENTS, INDEX, IDS, SNAPSHOTS];

/// An open database that is a store.
pub(crate) struct Database {
    /// `None` only while this is dropped.
    db: Option<DB>,
    pub(crate) path: PathBuf,
    pub(crate) store_id: [u8; 16],
    cache: Cache,
    pub(crate) block_index: BlockIndex,
    identity: Arc<Identity>,
    opener: Opener,
    /// The directory that RocksDB needs for a follower's own files. It is removed with the follower.
    secondary: Option<TempDir>,
    /// Set for a writer. The field is behind `db`, so that the entry is removed after RocksDB has closed the database.
    open_here: Option<OpenHere>,
}

impl Database {
    /// Opens the store at `path` for writing, and creates it if the path is free.
    pub(crate) fn open(path: &Path, options: &RocksDbOptions) -> Result<Self, OpenError> {
        let mut database = options.database(true);
        let found = look(path)?;
        let io = |action| move |source| OpenError::Io { action, path: path.to_owned(), source };
        if let Found::Nothing = found {
            std::fs::create_dir_all(path).map_err(io("create the directory"))?;
        }
        let mut identity = Identity::of(path).map_err(io("look at"))?;
        let open_here = Some(OpenHere::enter(&identity)?);
        match found {
            Found::Database => {
                // A database that is not a store is not changed.
                if check_families(path, &options.database(false), &FAMILIES)? {
                    wal_repair::repair(path)?;
                }
                verify_wals_if_any(&mut database, path)?;
            }
            Found::Nothing => verify_wals(&mut database, path)?,
        }
        let (descriptors, cache) = descriptors(options.families());
        let opened = DB::open_cf_descriptors(&database, path, descriptors);
        let db = opened.map_err(|error| open_error(path, error))?;
        let noted = identity.note_lock();
        let mut database = Self::new(db, identity, path, cache);
        database.open_here = open_here;
        noted.and_then(|()| database.check()).map_err(io("look at"))?;
        database.store_id = match read_store_id(database.db(), path)? {
            Some(store_id) => store_id,
            None => make_store(database.db(), path)?,
        };
        Ok(database)
    }

    /// Returns a database whose store id is not known yet.
    fn new(db: DB, identity: Identity, path: &Path, cache: Cache) -> Self {
        Self {
            db: Some(db),
            path: path.to_owned(),
            store_id: [0; 16],
            cache,
            block_index: BlockIndex::default(),
            identity: Arc::new(identity),
            opener: Opener::this_process(),
            secondary: None,
            open_here: None,
        }
    }

    /// Opens the store at `path` for reading and following while another process may write to it. Fails if a file of
    /// the store is missing or cut.
    pub(crate) fn follow(path: &Path, options: &RocksDbOptions) -> Result<Self, OpenError> {
        let identity = identity(path)?;
        Self::check_files(path, options)?;
        let io = |source| OpenError::Io {
            action: "make a directory beside",
            path: std::env::temp_dir(),
            source,
        };
        let secondary = tempfile::Builder::new().prefix("annals-follow-").tempdir().map_err(io)?;
        let (descriptors, cache) = descriptors(options.families());
        let database = reader_options(options);
        let opened =
            DB::open_cf_descriptors_as_secondary(&database, path, secondary.path(), descriptors);
        let db = opened.map_err(|error| open_error(path, error))?;
        let mut database = Self::new(db, identity, path, cache);
        database.secondary = Some(secondary);
        let Some(store_id) = read_store_id(database.db(), path)? else {
            return Err(OpenError::NotFound { path: path.to_owned() });
        };
        database.store_id = store_id;
        Ok(database)
    }

    /// Fails if a file of the store is missing or cut. RocksDB's follower would open such a store with an earlier state
    /// of one column family, so that a query finds only some of its events.
    ///
    /// Another process may remove files that it has replaced, between the moments when RocksDB reads their names and
    /// opens them. The next attempt reads the new names, so only a file that is really missing is missed twice in a
    /// row.
    fn check_files(path: &Path, options: &RocksDbOptions) -> Result<(), OpenError> {
        let mut before = None;
        for attempt in 1..=CHECKS {
            let Err(error) = Self::open_as_is(path, options) else { break };
            let found = error.to_string();
            if before.as_ref() == Some(&found) {
                return Err(error);
            }
            before = Some(found);
            std::thread::sleep(Duration::from_millis(attempt));
        }
        Ok(())
    }

    /// Opens the store at `path` for reading as it is now, while another process may write to it. Fails if any file
    /// of the store is missing or damaged.
    pub(crate) fn open_as_is(path: &Path, options: &RocksDbOptions) -> Result<Self, OpenError> {
        let identity = identity(path)?;
        Self::check_readable(path, options)?;
        let (descriptors, cache) = descriptors(options.families());
        let mut database = reader_options(options);
        verify_wals_if_any(&mut database, path)?;
        let opened = DB::open_cf_descriptors_read_only(&database, path, descriptors, false);
        let db = opened.map_err(|error| open_error(path, error))?;
        let mut database = Self::new(db, identity, path, cache);
        let Some(store_id) = read_store_id(database.db(), path)? else {
            return Err(OpenError::NotFound { path: path.to_owned() });
        };
        database.store_id = store_id;
        Ok(database)
    }

    fn check_readable(path: &Path, options: &RocksDbOptions) -> Result<(), OpenError> {
        let not_found = || Err(OpenError::NotFound { path: path.to_owned() });
        let Found::Database = look(path)? else { return not_found() };
        if !check_families(path, &options.database(false), &FAMILIES)? {
            return not_found();
        }
        wal_repair::refuse_torn(path, "opening the store for writing repairs it")
    }

    pub(crate) fn db(&self) -> &DB {
        let Some(db) = &self.db else { unreachable!("only the drop of a database takes it out") };
        db
    }

    /// Returns the process that opened the database.
    pub(crate) fn opener(&self) -> Opener {
        self.opener
    }

    /// Fails if RocksDB must not write: in a forked process, and when the path does not lead to the store any more.
    /// In the second case this also stops RocksDB's background work.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.opener.check().map_err(io::Error::other)?;
        let checked = self.identity.check();
        if checked.is_err() && self.open_here.is_some() {
            // RocksDB works by path: any file that it created or removed from now on would belong to another store.
            if let Err(error) = self.db().disable_file_deletions() {
                tracing::error!(%error, store = %self.path.display(), "RocksDB may still remove files");
            }
            self.db().cancel_all_background_work(true);
        }
        checked
    }

    /// Returns the identity of the store's directory.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Reads the store id again. It differs from `store_id` if another store is at the path now.
    pub(crate) fn read_store_id(&self) -> Result<Option<[u8; 16]>, OpenError> {
        read_store_id(self.db(), &self.path)
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Returns the hash function for the names of this store.
    pub(crate) fn hasher(&self) -> Hasher {
        Hasher::new(&self.store_id)
    }

    pub(crate) fn events(&self) -> Family<'_> {
        self.family(EVENTS)
    }

    pub(crate) fn index(&self) -> Family<'_> {
        self.family(INDEX)
    }

    pub(crate) fn ids(&self) -> Family<'_> {
        self.family(IDS)
    }

    pub(crate) fn snapshots(&self) -> Family<'_> {
        self.family(SNAPSHOTS)
    }

    pub(crate) fn family(&self, name: &'static str) -> Family<'_> {
        Family::new(self.db(), &self.path, name)
    }

    /// Returns a function for `map_err` that converts a failed read. `offset` is the first event that the read
    /// concerned.
    pub(crate) fn unreadable(&self, offset: u64) -> impl Fn(Error) -> ReadError + '_ {
        move |error| read_error(&self.path, offset, error)
    }

    /// Returns the head that was recorded when the store was last closed cleanly; 0 if it never was.
    pub(crate) fn closed_head(&self) -> Result<u64, OpenError> {
        metadata::closed_head(self.db(), &self.path)
    }

    /// Records the head and writes everything to table files, so that the next opening has no log to replay.
    pub(crate) fn close(&self, head: u64) -> io::Result<()> {
        self.check()?;
        let db = self.db();
        let flush = |()| {
            let handles: Vec<_> = FAMILIES.iter().filter_map(|name| db.cf_handle(name)).collect();
            db.flush_cfs_opt(&handles, &rocksdb::FlushOptions::default())
        };
        let noted = db.put_opt(keys::CLOSED_HEAD, head.to_be_bytes(), &synced());
        noted.and_then(flush).and_then(|()| db.flush_wal(true)).map_err(io_error)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.opener.is_here() && (self.open_here.is_none() || self.check().is_ok()) {
            return;
        }
        // RocksDB's destructor must not run. It removes the files at the path that it does not know. If its manifest is
        // missing there, it writes another one and points `CURRENT` at it, which destroys any other store at that path.
        // In a forked process it would also wait for threads that do not exist. So the handle is leaked on purpose. The
        // lock of a moved store is leaked with it, until the process ends.
        std::mem::forget((self.db.take(), self.secondary.take(), self.open_here.take()));
    }
}

/// Opens a store that another process may be writing to, and tries again after an error: that process may have
/// removed a file after this one had learned of it. A real problem is found again by the next attempt.
pub(crate) fn beside_a_writer<T>(open: impl Fn() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let mut opened = open();
    for attempt in 1..=ATTEMPTS {
        match opened {
            Err(OpenError::Corrupt(_) | OpenError::Io { .. } | OpenError::NotFound { .. }) => {
                // The pause also gives the other process time to repair a store that it is opening.
                std::thread::sleep(Duration::from_millis(attempt));
                opened = open();
            }
            _ => break,
        }
    }
    opened
}

/// Returns the identity of the directory of a store that is opened for reading.
fn identity(path: &Path) -> Result<Identity, OpenError> {
    Identity::of(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => OpenError::NotFound { path: path.to_owned() },
        _ => OpenError::Io { action: "look at", path: path.to_owned(), source },
    })
}

/// Returns the options for reading a database that another process may write to.
fn reader_options(options: &RocksDbOptions) -> Options {
    let mut database = options.database(false);
    // The other process removes files that it no longer needs. Files that this process has open stay readable.
    database.set_max_open_files(-1);
    database
}

/// Makes RocksDB record in each write-ahead log the state of the log before it, and verify that when it replays the
/// logs.
///
/// After a loss of power, the older of two unsynced logs may lack its end while the newer one is complete. With this
/// option RocksDB then replays nothing of the newer log.
fn verify_wals(database: &mut Options, path: &Path) -> Result<(), OpenError> {
    // The Rust binding has no setter for this option.
    let changed = database.get_options_from_string("track_and_verify_wals=true");
    *database = changed.map_err(|error| open_error(path, error))?;
    Ok(())
}

/// As [`verify_wals`], for an existing database. A checkpoint has no write-ahead log and would not open with the
/// option.
fn verify_wals_if_any(database: &mut Options, path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { action: "look at", path: path.to_owned(), source };
    if wal_repair::wal_files(path).map_err(io)?.is_empty() {
        return Ok(());
    }
    verify_wals(database, path)
}

fn descriptors(families: Families) -> (Vec<ColumnFamilyDescriptor>, Cache) {
    let Families { events, index, ids, snapshots, cache } = families;
    let all = [
        (DEFAULT, Options::default()),
        (EVENTS, events),
        (INDEX, index),
        (IDS, ids),
        (SNAPSHOTS, snapshots),
    ];
    (all.map(|(name, options)| ColumnFamilyDescriptor::new(name, options)).into(), cache)
}
