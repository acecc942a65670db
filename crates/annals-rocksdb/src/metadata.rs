//! The keys that make a database a store: the format, the store id, and the head when the store was last closed.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use annals::OpenError;
use rocksdb::{DB, WriteBatch, WriteOptions};

use crate::keys;
use crate::preflight::has_a_key;
use crate::status::{io_error, not_ours, open_error};

/// The newest format that this version reads and writes.
const FORMAT: u64 = 1;

/// Returns the options of a write that is synced before it returns.
pub(crate) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// Returns the store id; `None` if the database is empty, so that it can be made a store.
pub(crate) fn read_store_id(db: &DB, path: &Path) -> Result<Option<[u8; 16]>, OpenError> {
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
            let found = format!("{format:?}");
            return Err(not_ours(path, 0, "a known format number", found).into());
        }
    }
    let id = get(keys::STORE_ID)?.unwrap_or_default();
    match <[u8; 16]>::try_from(id.as_slice()) {
        Ok(store_id) => Ok(Some(store_id)),
        Err(_) => Err(not_ours(path, 0, "the store id, 16 bytes", format!("{id:?}")).into()),
    }
}

/// Makes an empty database a store, in one write, and returns the new store id.
pub(crate) fn make_store(db: &DB, path: &Path) -> Result<[u8; 16], OpenError> {
    // RocksDB syncs the store's directory, but not the directories above it, which may be new as well. They are synced
    // before the write: nothing syncs them once the store exists.
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

/// Returns the head that was recorded when the store was last closed cleanly; 0 if it never was.
pub(crate) fn closed_head(db: &DB, path: &Path) -> Result<u64, OpenError> {
    let value = db.get(keys::CLOSED_HEAD).map_err(|error| open_error(path, error))?;
    let Some(value) = value else { return Ok(0) };
    keys::number(&value).ok_or_else(|| {
        let expected = "the head at which the store was closed, 8 bytes";
        not_ours(path, 0, expected, format!("{value:?}")).into()
    })
}

/// Syncs every directory above the directory at `path`, which is absolute.
fn sync_above(path: &Path) -> io::Result<()> {
    // Only Unix can sync a directory. Other systems need nothing here.
    for directory in path.ancestors().skip(1).take_while(|_| cfg!(unix)) {
        match File::open(directory) {
            Ok(directory) => directory.sync_all()?,
            // This process cannot have created a directory that it may not open.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
