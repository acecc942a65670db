//! The database: its column families, what makes it a store, and opening it.
//!
//! ```text
//!   default     format, store id, when it was made, the head when it was last closed
//!   events      blocks of events                     index   where names are: types and tags
//!   ids         where events with an id are          snapshots
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annals::backend::{Hasher, Opener};
use annals::{OpenError, ReadError};
use rocksdb::{
    Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBPinnableSlice, DBRawIterator, Error,
    Options, ReadOptions, WriteBatch, WriteOptions,
};
use tempfile::TempDir;

use crate::found::{Found, check_families, has_a_key, look};
use crate::identity::{Identity, OpenHere};
use crate::keys;
use crate::options::{Families, RocksDbOptions};
use crate::starts::BlockStarts;
use crate::status::{io_error, not_ours, open_error, read_error};
use crate::take_back::{FailedCommit, TakeBack};
use crate::torn;

/// The newest format that is known here.
const FORMAT: u64 = 1;

/// How often more than once something is opened that another process may be writing to.
const ATTEMPTS: u64 = 9;

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
    pub(crate) block_starts: BlockStarts,
    identity: Arc<Identity>,
    opener: Opener,
    /// Where a follower keeps what RocksDB needs a directory for; removed with it.
    aside: Option<TempDir>,
    /// Behind `db`, so that they end after that is closed, and in this order. A reader has none.
    open_here: Option<OpenHere>,
    take_back: Option<TakeBack>,
}

impl Database {
    /// The store at `path`, made if nothing is there, to be written to.
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
                // What is not ours is left as it is.
                if check_families(path, &options.database(false), &FAMILIES)? {
                    torn::mend(path)?;
                }
                check_logs(&mut database, path)?;
            }
            Found::Nothing => check_logs_always(&mut database, path)?,
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
        let identity = Arc::clone(&database.identity);
        database.take_back = Some(TakeBack::new(path.to_owned(), identity, options.clone()));
        Ok(database)
    }

    /// A database whose store id is not known yet.
    fn new(db: DB, identity: Identity, path: &Path, cache: Cache) -> Self {
        Self {
            db: Some(db),
            path: path.to_owned(),
            store_id: [0; 16],
            cache,
            block_starts: BlockStarts::default(),
            identity: Arc::new(identity),
            opener: Opener::this_process(),
            aside: None,
            open_here: None,
            take_back: None,
        }
    }

    /// The store at `path`, to be read and followed while another process may write to it. Where files of it are gone
    /// or damaged, it is what it was before these.
    pub(crate) fn follow(path: &Path, options: &RocksDbOptions) -> Result<Self, OpenError> {
        let identity = identity(path)?;
        Self::check_to_read(path, options)?;
        let io = |source| OpenError::Io {
            action: "make a directory beside",
            path: std::env::temp_dir(),
            source,
        };
        let aside = tempfile::Builder::new().prefix("annals-follow-").tempdir().map_err(io)?;
        let (descriptors, cache) = descriptors(options.families());
        let database = to_read(options);
        let opened =
            DB::open_cf_descriptors_as_secondary(&database, path, aside.path(), descriptors);
        let db = opened.map_err(|error| open_error(path, error))?;
        let mut database = Self::new(db, identity, path, cache);
        database.aside = Some(aside);
        let Some(store_id) = read_store_id(database.db(), path)? else {
            // Not made yet, or the file that says so is gone; then this tells.
            Self::as_it_is(path, options)?;
            return Err(OpenError::NotFound { path: path.to_owned() });
        };
        database.store_id = store_id;
        Ok(database)
    }

    /// The store at `path` as it is now, all of it or an error, while another process may write to it.
    pub(crate) fn as_it_is(path: &Path, options: &RocksDbOptions) -> Result<Self, OpenError> {
        let identity = identity(path)?;
        Self::check_to_read(path, options)?;
        let (descriptors, cache) = descriptors(options.families());
        let mut database = to_read(options);
        check_logs(&mut database, path)?;
        let opened = DB::open_cf_descriptors_read_only(&database, path, descriptors, false);
        let db = opened.map_err(|error| open_error(path, error))?;
        let mut database = Self::new(db, identity, path, cache);
        let Some(store_id) = read_store_id(database.db(), path)? else {
            return Err(OpenError::NotFound { path: path.to_owned() });
        };
        database.store_id = store_id;
        Ok(database)
    }

    fn check_to_read(path: &Path, options: &RocksDbOptions) -> Result<(), OpenError> {
        let not_found = || Err(OpenError::NotFound { path: path.to_owned() });
        let Found::Database = look(path)? else { return not_found() };
        if !check_families(path, &options.database(false), &FAMILIES)? {
            return not_found();
        }
        torn::refuse_torn(path, "opening the store for writing mends that")
    }

    pub(crate) fn db(&self) -> &DB {
        let Some(db) = &self.db else { unreachable!("only the drop of a database takes it out") };
        db
    }

    /// Whether this process is the one that opened the database.
    pub(crate) fn opener(&self) -> Opener {
        self.opener
    }

    /// Fails if RocksDB must not write: in a forked process, and where the path does not lead to the store any more. Then
    /// RocksDB's own work in the background is ended as well.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.opener.check().map_err(io::Error::other)?;
        let checked = self.identity.check();
        if checked.is_err() && self.open_here.is_some() {
            // Every file that RocksDB still made or removed would be one of another store.
            if let Err(error) = self.db().disable_file_deletions() {
                tracing::error!(%error, store = %self.path.display(), "RocksDB may still remove files");
            }
            self.db().cancel_all_background_work(true);
        }
        checked
    }

    /// Fails if the path does not lead to the store any more.
    pub(crate) fn check_identity(&self) -> io::Result<()> {
        self.identity.check()
    }

    /// Fails if this database is in another directory than `identity` tells of.
    pub(crate) fn check_same_directory(&self, identity: &Identity) -> io::Result<()> {
        if self.identity.is_same(identity) {
            return Ok(());
        }
        Err(io::Error::other("another store is at the path now"))
    }

    /// The store's id as the database has it now.
    pub(crate) fn store_id_now(&self) -> Result<Option<[u8; 16]>, OpenError> {
        read_store_id(self.db(), &self.path)
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The hash of names in this store.
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
        Family { database: self, name }
    }

    /// A commit failed, and is to be taken back once the database is closed.
    pub(crate) fn commit_failed(&self, failed: FailedCommit) {
        if let Some(take_back) = &self.take_back {
            take_back.note(failed);
        }
    }

    /// For `map_err`: a read that failed, of what concerns the events from `offset` on.
    pub(crate) fn unreadable(&self, offset: u64) -> impl Fn(Error) -> ReadError + '_ {
        move |error| read_error(&self.path, offset, error)
    }

    /// The head that was noted when the store was last closed cleanly; 0 if it never was.
    pub(crate) fn closed_head(&self) -> Result<u64, OpenError> {
        let value =
            self.db().get(keys::CLOSED_HEAD).map_err(|error| open_error(&self.path, error))?;
        let Some(value) = value else { return Ok(0) };
        keys::number(&value).ok_or_else(|| {
            not_ours(
                &self.path,
                0,
                "the head at which the store was closed, 8 bytes",
                format!("{value:?}"),
            )
            .into()
        })
    }

    /// Everything in files, so that the next opening has nothing to replay, and the head noted.
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
        let forked = !self.opener.is_here();
        if !forked && (self.open_here.is_none() || self.check().is_ok()) {
            return;
        }
        // RocksDB's end is never run. It removes the files at the path that it does not know, and where it does not find
        // its manifest there it writes another, and has `CURRENT` name it: in another store that ends the other store.
        // In a forked process it would also wait for threads that are not there. So the handle is lost on purpose, and
        // with it, where a store was moved, its lock until the process ends; nothing is taken back by a path either.
        std::mem::forget((self.db.take(), self.aside.take(), self.open_here.take()));
        if let Some(take_back) = self.take_back.take() {
            take_back.give_up(forked);
        }
    }
}

/// What takes keys and their values.
pub(crate) type Put<'a> = dyn FnMut(Family<'_>, &[u8], &[u8]) + 'a;

/// One of the column families, which are there for as long as the database is open.
#[derive(Clone, Copy)]
pub(crate) struct Family<'a> {
    database: &'a Database,
    pub(crate) name: &'static str,
}

impl<'a> Family<'a> {
    fn handle(self) -> Result<&'a ColumnFamily, ReadError> {
        self.database.db().cf_handle(self.name).ok_or_else(|| {
            not_ours(&self.database.path, 0, &format!("the column family {}", self.name), "none")
                .into()
        })
    }

    pub(crate) fn get(self, key: &[u8], offset: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let value = self.database.db().get_cf(self.handle()?, key);
        value.map_err(self.database.unreadable(offset))
    }

    /// As [`get`](Self::get), without a copy of what is in RocksDB's cache.
    pub(crate) fn get_pinned(
        self,
        key: &[u8],
        offset: u64,
    ) -> Result<Option<DBPinnableSlice<'a>>, ReadError> {
        let value = self.database.db().get_pinned_cf(self.handle()?, key);
        value.map_err(self.database.unreadable(offset))
    }

    pub(crate) fn iterator(self, options: ReadOptions) -> Result<DBRawIterator<'a>, ReadError> {
        Ok(self.database.db().raw_iterator_cf_opt(self.handle()?, options))
    }

    /// Adds a key and its value to a batch.
    pub(crate) fn put(self, batch: &mut WriteBatch, key: &[u8], value: &[u8]) {
        if let Some(handle) = self.database.db().cf_handle(self.name) {
            batch.put_cf(handle, key, value);
        }
    }

    /// Adds a key to be removed to a batch.
    pub(crate) fn delete(self, batch: &mut WriteBatch, key: &[u8]) {
        if let Some(handle) = self.database.db().cf_handle(self.name) {
            batch.delete_cf(handle, key);
        }
    }

    /// One of RocksDB's numbers; 0 if there is none.
    pub(crate) fn property(self, name: &str) -> u64 {
        let handle = self.database.db().cf_handle(self.name);
        handle
            .and_then(|handle| {
                self.database.db().property_int_value_cf(handle, name).ok().flatten()
            })
            .unwrap_or(0)
    }
}

/// Writes that are on the disk when they return.
pub(crate) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// Opens a store beside a process that may write to it, and again if that fails: that process may have removed a file
/// after this one read of it. When it is not so, the same is found again.
pub(crate) fn beside_a_writer<T>(open: impl Fn() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let mut opened = open();
    for attempt in 1..=ATTEMPTS {
        match opened {
            Err(OpenError::Corrupt(_) | OpenError::Io { .. } | OpenError::NotFound { .. }) => {
                // Or it is just opening a store that has to be mended.
                std::thread::sleep(Duration::from_millis(attempt));
                opened = open();
            }
            _ => break,
        }
    }
    opened
}

/// The identity of the directory of a store that is to be read.
fn identity(path: &Path) -> Result<Identity, OpenError> {
    Identity::of(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => OpenError::NotFound { path: path.to_owned() },
        _ => OpenError::Io { action: "look at", path: path.to_owned(), source },
    })
}

/// Of a database that another process may write to.
fn to_read(options: &RocksDbOptions) -> Options {
    let mut database = options.database(false);
    // That process removes files that it needs no more; they must be open by then.
    database.set_max_open_files(-1);
    database
}

/// Has RocksDB begin each write-ahead log with what the one before it was like, and look at that when it replays them. Of
/// two logs that were not synced a loss of power may leave the first without its end and the second whole: then nothing
/// of the second is taken.
fn check_logs_always(database: &mut Options, path: &Path) -> Result<(), OpenError> {
    // The binding has no call for it.
    let checked = database.get_options_from_string("track_and_verify_wals=true");
    *database = checked.map_err(|error| open_error(path, error))?;
    Ok(())
}

/// The same of a database that is there, unless it has no log: a checkpoint has none, and would not open.
fn check_logs(database: &mut Options, path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { action: "look at", path: path.to_owned(), source };
    if torn::logs(path).map_err(io)?.is_empty() {
        return Ok(());
    }
    check_logs_always(database, path)
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

/// The store's id, if the database has been made a store.
fn read_store_id(db: &DB, path: &Path) -> Result<Option<[u8; 16]>, OpenError> {
    let get = |key: &[u8]| db.get(key).map_err(|error| open_error(path, error));
    let Some(format) = get(keys::FORMAT)? else {
        let mut all = db.raw_iterator();
        all.seek_to_first();
        return match all.key() {
            None => all.status().map(|()| None).map_err(|error| open_error(path, error)),
            Some(key) => Err(has_a_key(path, key)),
        };
    };
    match keys::number(&format) {
        Some(FORMAT) => {}
        Some(found) if found > FORMAT => {
            return Err(OpenError::NewerFormat { path: path.to_owned(), found, supported: FORMAT });
        }
        _ => {
            return Err(not_ours(
                path,
                0,
                "a format number that was ever used",
                format!("{format:?}"),
            )
            .into());
        }
    }
    let id = get(keys::STORE_ID)?.unwrap_or_default();
    match <[u8; 16]>::try_from(id.as_slice()) {
        Ok(store_id) => Ok(Some(store_id)),
        Err(_) => Err(not_ours(path, 0, "the store's id, 16 bytes", format!("{id:?}")).into()),
    }
}

/// Makes an empty database a store, in one write.
fn make_store(db: &DB, path: &Path) -> Result<[u8; 16], OpenError> {
    // RocksDB syncs the directory, but not those that it is in, which may be new as well. Before the write: once there
    // is a store, nobody looks at them again.
    sync_above(path).map_err(|source| OpenError::Io {
        action: "sync the directories above",
        path: path.to_owned(),
        source,
    })?;
    let store_id = uuid::Uuid::new_v4().into_bytes();
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut batch = WriteBatch::default();
    batch.put(keys::FORMAT, FORMAT.to_be_bytes());
    batch.put(keys::STORE_ID, store_id);
    batch.put(keys::CREATED, format!("{created} seconds after 1970-01-01 UTC"));
    let io = |error| OpenError::Io {
        action: "make a store of the database",
        path: path.to_owned(),
        source: io_error(error),
    };
    db.write_opt(batch, &synced()).map_err(io)?;
    Ok(store_id)
}

/// Syncs the directories that the directory at `path`, an absolute one, is in.
fn sync_above(path: &Path) -> std::io::Result<()> {
    // Only Unix can sync a directory; elsewhere there is nothing to do.
    for directory in path.ancestors().skip(1).take_while(|_| cfg!(unix)) {
        match std::fs::File::open(directory) {
            Ok(directory) => directory.sync_all()?,
            // Not one that was made for the store.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
