//! Stores the snapshots of projections in a column family of the store's own database.

use std::io;
use std::sync::Arc;

use annals::backend::check_series;
use annals::{ReadError, SnapshotStore};
use rocksdb::{ReadOptions, WriteBatch};

use crate::keys;
use crate::log::Log;
use crate::status::io_error;

/// The snapshot store of a log in RocksDB. Snapshots are backed up, copied and compressed with the log.
///
/// They are written through the write-ahead log and not synced on their own. A snapshot that a loss of power removes is
/// rebuilt by its projection.
///
/// Only the process that has the database open for writing can save and remove them. A reader sees them when it has
/// caught up with the writer.
#[derive(Clone)]
pub(crate) struct RocksDbSnapshots {
    log: Arc<Log>,
    is_read_only: bool,
}

impl RocksDbSnapshots {
    pub(crate) fn new(log: Arc<Log>, is_read_only: bool) -> Self {
        Self { log, is_read_only }
    }

    fn write(&self, batch: WriteBatch) -> io::Result<()> {
        if self.is_read_only {
            let path = self.log.database.path.display();
            let text = format!(
                "{path} is open read-only, and only its writer stores snapshots in it; give others to snapshots_in"
            );
            return Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, text));
        }
        self.log.database.check()?;
        self.log.database.db().write(batch).map_err(io_error)
    }
}

impl SnapshotStore for RocksDbSnapshots {
    fn save(&self, series: &str, head: u64, bytes: &[u8]) -> io::Result<()> {
        check_series(series)?;
        let mut batch = WriteBatch::default();
        let key = keys::snapshot_key(series, head);
        self.log.database.snapshots().put(&mut batch, &key, bytes);
        self.write(batch)
    }

    fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>> {
        check_series(series)?;
        let key = keys::snapshot_key(series, head);
        let bytes = self.log.database.snapshots().get(&key, head).map_err(as_io)?;
        bytes.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn heads(&self, series: &str) -> io::Result<Vec<u64>> {
        check_series(series)?;
        let start = keys::snapshots_prefix(series);
        let mut found =
            self.log.database.snapshots().iterator(ReadOptions::default()).map_err(as_io)?;
        let mut heads = Vec::new();
        found.seek(&start);
        while let Some(head) = found.key().and_then(|key| key.strip_prefix(start.as_slice())) {
            heads.extend(keys::number(head));
            found.next();
        }
        found.status().map_err(io_error)?;
        Ok(heads)
    }

    fn remove(&self, series: &str, head: u64) -> io::Result<()> {
        check_series(series)?;
        let mut batch = WriteBatch::default();
        self.log.database.snapshots().delete(&mut batch, &keys::snapshot_key(series, head));
        self.write(batch)
    }

    fn is_read_only(&self) -> bool {
        self.is_read_only
    }
}

fn as_io(error: ReadError) -> io::Error {
    io::Error::other(error)
}

impl std::fmt::Debug for RocksDbSnapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksDbSnapshots")
            .field("path", &self.log.database.path)
            .field("is_read_only", &self.is_read_only)
            .finish_non_exhaustive()
    }
}
