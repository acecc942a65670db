//! Removes a failed commit from the log. RocksDB may have the whole commit in its write-ahead log although the sync
//! failed, and would replay it at the next opening.
//!
//! RocksDB refuses writes after a failed one. So the rollback waits until the database is closed, and opens it again.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use annals::backend::Opener;
use parking_lot::Mutex;
use rocksdb::WriteBatch;

use crate::cursor::EventCursor;
use crate::database::Database;
use crate::identity::Identity;
use crate::metadata::synced;
use crate::options::RocksDbOptions;
use crate::status::io_error;

/// The keys of a commit whose write failed.
pub(crate) struct FailedCommit {
    pub(crate) offsets: Range<u64>,
    /// The keys with their column families. All of them were new.
    pub(crate) keys: Vec<(&'static str, Vec<u8>)>,
}

/// Rolls a failed commit back when it is dropped, which must happen after the database is dropped.
pub(crate) struct Rollback {
    path: PathBuf,
    /// The directory that the commit was written to.
    identity: Arc<Identity>,
    opener: Opener,
    options: RocksDbOptions,
    failed: Mutex<Option<FailedCommit>>,
}

impl Rollback {
    /// Returns a rollback for `database`, without a failed commit.
    pub(crate) fn new(database: &Database, options: RocksDbOptions) -> Self {
        Self {
            path: database.path.clone(),
            identity: Arc::clone(database.identity()),
            opener: database.opener(),
            options,
            failed: Mutex::new(None),
        }
    }

    /// Records a commit to be rolled back.
    pub(crate) fn record(&self, failed: FailedCommit) {
        *self.failed.lock() = Some(failed);
    }

    fn roll_back(&self, failed: &FailedCommit) -> io::Result<()> {
        // A store that was moved keeps its database open, so it could not be opened again either.
        self.identity.check()?;
        let database = Database::open(&self.path, &self.options).map_err(io::Error::other)?;
        if !database.identity().is_same(&self.identity) {
            return Err(io::Error::other("another store is at the path now"));
        }
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

impl Drop for Rollback {
    fn drop(&mut self) {
        // In a forked process the database stays open, and the commit belongs to the process that opened it.
        let Some(failed) = self.failed.get_mut().take().filter(|_| self.opener.is_here()) else {
            return;
        };
        if let Err(error) = self.roll_back(&failed) {
            let (store, offset) = (self.path.display(), failed.offsets.start);
            tracing::error!(
                %error, %store, offset,
                "a commit that failed may be in the store when it is opened again"
            );
        }
    }
}
