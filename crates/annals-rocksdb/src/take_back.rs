//! A commit that failed, taken out of the log again: RocksDB may have it in its write-ahead log, whole, though the sync
//! failed, and would find it there when it is opened next.
//!
//! A database that a write failed in takes no others. So this is done once it is closed: it is opened again for that.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rocksdb::WriteBatch;

use crate::cursor::EventCursor;
use crate::database::{Database, synced};
use crate::identity::Identity;
use crate::options::RocksDbOptions;
use crate::status::io_error;

/// What a commit wrote, or tried to.
pub(crate) struct FailedCommit {
    pub(crate) offsets: Range<u64>,
    /// With the names of their column families. All of them were new.
    pub(crate) keys: Vec<(&'static str, Vec<u8>)>,
}

/// Dropped after the database, it takes back the commit that failed, if one did.
pub(crate) struct TakeBack {
    path: PathBuf,
    /// The directory that the commit was for.
    identity: Arc<Identity>,
    options: RocksDbOptions,
    failed: Mutex<Option<FailedCommit>>,
}

impl TakeBack {
    pub(crate) fn new(path: PathBuf, identity: Arc<Identity>, options: RocksDbOptions) -> Self {
        Self { path, identity, options, failed: Mutex::new(None) }
    }

    pub(crate) fn note(&self, failed: FailedCommit) {
        *self.failed.lock() = Some(failed);
    }

    /// Leaves the log as it is, since the database cannot be closed.
    pub(crate) fn give_up(mut self, forked: bool) {
        if let Some(failed) = self.failed.get_mut().take().filter(|_| !forked) {
            self.tell(&failed, &io::Error::other("the store was moved or removed"));
        }
    }

    fn tell(&self, failed: &FailedCommit, error: &io::Error) {
        let (store, offset) = (self.path.display(), failed.offsets.start);
        tracing::error!(%error, %store, offset, "a commit that failed may be there when the store is opened again");
    }

    fn take_back(&self, failed: &FailedCommit) -> io::Result<()> {
        self.identity.check()?;
        let database = Database::open(&self.path, &self.options).map_err(io::Error::other)?;
        database.check_same_directory(&self.identity)?;
        let last = EventCursor::in_order(&database).and_then(|mut events| events.last());
        let end = last.map_err(io::Error::other)?.map_or(0, |last| last.offsets.end);
        if end <= failed.offsets.start {
            return Ok(());
        }
        let closed = database.closed_head().map_err(io::Error::other)?;
        if end != failed.offsets.end || closed > failed.offsets.start {
            return Err(io::Error::other("another process has opened the store already"));
        }
        let mut batch = WriteBatch::default();
        for (family, key) in &failed.keys {
            database.family(family).delete(&mut batch, key);
        }
        database.db().write_opt(batch, &synced()).map_err(io_error)
    }
}

impl Drop for TakeBack {
    fn drop(&mut self) {
        let Some(failed) = self.failed.get_mut().take() else { return };
        if let Err(error) = self.take_back(&failed) {
            self.tell(&failed, &error);
        }
    }
}
