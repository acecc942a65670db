//! The backend: the calls that a program makes on a log in RocksDB.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::backend::{Beside, HeadPublisher, LogAccess};
use annals::{
    AppendError, AppendFuture, Appended, Backend, Batch, Event, EventDigest, EventRef, FollowError,
    Head, Health, NameCount, NameKind, OpenError, RawEvent, ReadError, Recorded, SegmentStats,
    Selection, SnapshotStore, Stats, Tags,
};
use rocksdb::checkpoint::Checkpoint;

use crate::chunk::MemChunk;
use crate::database::{Database, beside_a_writer};
use crate::follower::follow;
use crate::keys;
use crate::log::Log;
use crate::options::RocksDbOptions;
use crate::recovery::{Recovered, recover};
use crate::rollback::Rollback;
use crate::snapshots::RocksDbSnapshots;
use crate::status::io_error;
use crate::writer::RocksDbTarget;

/// A log in RocksDB: durable, compressed, and in one database with its snapshots.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_rocksdb::RocksDb;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("rocks");
/// let store = EventStore::<RawEvent, _>::on(RocksDb::open(&path)?);
/// let offset = store.append(RawEvent::builder("seat-sold").tag("seat:12A").build()?)?;
/// assert_eq!(store.get(offset)?.map(|event| event.event.event_type().to_owned()), Some("seat-sold".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// It passes the same conformance suite as the Journal, with one difference: an append on a full disk is a failed write
/// here, and the log must be opened again before the next append.
pub struct RocksDb<E: Event> {
    access: LogAccess<E, RocksDbTarget<E>>,
    log: Arc<Log>,
    snapshots: Arc<RocksDbSnapshots>,
}

impl RocksDb<RawEvent> {
    /// Returns the default settings, which can be changed and opened with. They fit every type of events.
    #[must_use]
    pub fn options() -> RocksDbOptions {
        RocksDbOptions::default()
    }
}

impl RocksDbOptions {
    /// Opens the log in the database at `path` for appending and reading, or creates it there.
    ///
    /// # Errors
    /// [`OpenError`] if an option is out of bounds, the path has something else than a store, the store is open
    /// already or damaged, or the system fails.
    pub fn open<E: Event>(self, path: impl AsRef<Path>) -> Result<RocksDb<E>, OpenError> {
        self.check()?;
        let database = Database::open(&absolute(path.as_ref())?, &self)?;
        let rollback = Rollback::new(&database, self.clone());
        let (log, head, recovered) = parts(database, Some(rollback))?;
        let Recovered { chunk, next_offset, last_time_ms } = recovered;
        let target = RocksDbTarget::new(Arc::clone(&log), &self, chunk, next_offset, last_time_ms);
        let snapshots = RocksDbSnapshots::new(Arc::clone(&log), false);
        Ok(RocksDb::new(LogAccess::writer(head, target, self.clock), log, snapshots))
    }

    /// Opens the log in the database at `path` for reading and follows it: events that another process appends become
    /// readable here.
    ///
    /// # Errors
    /// [`OpenError`] if the path has no store, the store is damaged, or the system fails.
    pub fn open_read_only<E: Event>(self, path: impl AsRef<Path>) -> Result<RocksDb<E>, OpenError> {
        self.check()?;
        let path = absolute(path.as_ref())?;
        let open = || parts(Database::follow(&path, &self)?, None);
        let (log, head, recovered) = beside_a_writer(open)?;
        let follower = follow(Arc::clone(&log), head.clone(), recovered, self)?;
        let snapshots = RocksDbSnapshots::new(Arc::clone(&log), true);
        Ok(RocksDb::new(LogAccess::follower(head, follower), log, snapshots))
    }
}

type Parts<E> = (Arc<Log>, HeadPublisher<E>, Recovered);

/// Finds the end of the log in a database, and returns the parts that writers and followers have in common.
fn parts<E: Event>(database: Database, rollback: Option<Rollback>) -> Result<Parts<E>, OpenError> {
    let recovered = recover(&database, &database.hasher())?;
    let head = HeadPublisher::for_backend("rocksdb", recovered.next_offset);
    let log = Log::new(database, rollback, recovered.chunk.reader());
    Ok((Arc::new(log), head, recovered))
}

/// Returns an absolute path, which stays valid when the process changes its working directory.
fn absolute(path: &Path) -> Result<PathBuf, OpenError> {
    std::path::absolute(path).map_err(|source| OpenError::Io {
        action: "find",
        path: path.to_owned(),
        source,
    })
}

impl<E: Event> RocksDb<E> {
    /// Opens the log in the database at `path`, or creates it there, with the default settings.
    ///
    /// # Errors
    /// As [`RocksDbOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        RocksDbOptions::default().open(path)
    }

    /// Opens the log in the database at `path` for reading and follows it, with the default settings.
    ///
    /// # Errors
    /// As [`RocksDbOptions::open_read_only`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        RocksDbOptions::default().open_read_only(path)
    }

    /// Copies the current state of the store, with its snapshots, to the directory `target`, which must not exist.
    /// Appends continue meanwhile. Files on the same file system are linked, not copied, so the copy takes little
    /// time and space. The copy opens as a store, with the same store id. Only a log that is open for appending can be
    /// copied like this: RocksDB's reader does not know the events that are in no table file yet.
    ///
    /// ```
    /// use annals::{EventStore, RawEvent};
    /// use annals_rocksdb::RocksDb;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let [path, backup] = ["rocks", "backup"].map(|name| directory.path().join(name));
    /// let store = EventStore::<RawEvent, _>::on(RocksDb::open(&path)?);
    /// store.append(RawEvent::builder("seat-sold").build()?)?;
    /// store.backend().checkpoint(&backup)?;
    /// assert_eq!(EventStore::<RawEvent, _>::on(RocksDb::open(&backup)?).len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] if the log was opened read-only. An error of the system if `target` exists, its parent does not exist, or the disk is full; nothing is left at
    /// `target` then. [`io::ErrorKind::NotFound`] if the store itself was moved or removed.
    pub fn checkpoint(&self, target: impl AsRef<Path>) -> io::Result<()> {
        let target = target.as_ref();
        if self.snapshots.is_read_only() {
            let path = self.log.database.path.display();
            let text = format!(
                "{path} is open read-only, and only its writer can make a checkpoint; `annals copy` also copies from \
                 a reader"
            );
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        if target.exists() {
            let text =
                format!("{} exists already; a checkpoint creates its directory", target.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        self.log.database.check()?;
        let checkpoint = Checkpoint::new(self.log.database.db()).map_err(io_error)?;
        checkpoint.create_checkpoint(target).map_err(io_error)
    }

    /// Returns why a log that was opened read-only is not followed any more: its directory was moved, removed or
    /// replaced, its writer rolled back events that were read before they were synced, it is damaged, or the thread
    /// that follows it panicked. Its cursors have ended then, and it must be opened again. Returns `None` while the log
    /// is followed, and for a writer.
    #[must_use]
    pub fn follow_error(&self) -> Option<&FollowError> {
        self.access.follow_error()
    }

    fn new(
        access: LogAccess<E, RocksDbTarget<E>>,
        log: Arc<Log>,
        snapshots: RocksDbSnapshots,
    ) -> Self {
        Self { access, log, snapshots: Arc::new(snapshots) }
    }
}

impl<E: Event> Backend<E> for RocksDb<E> {
    fn append(&self, batch: Batch<E>) -> Result<Appended, AppendError> {
        self.access.append(batch, &self.log.hasher)
    }

    fn submit(&self, batch: Batch<E>) -> AppendFuture {
        self.access.submit(batch, &self.log.hasher)
    }

    fn head(&self) -> &Head<E> {
        self.access.head()
    }

    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError> {
        self.access.below_head(offset, || Ok(EventRef::Owned(self.log.get(offset)?)))
    }

    fn time_ms(&self, offset: u64) -> Result<Option<u64>, ReadError> {
        self.access.below_head(offset, || Ok(self.log.get_raw(offset)?.1))
    }

    fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
        let digest = || Ok(EventDigest::of(self.log.get_raw(offset)?.0.body()));
        self.access.below_head(offset, digest)
    }

    fn tags(&self, offset: u64) -> Result<Option<Tags>, ReadError> {
        let tags = || {
            let mut tags = Tags::default();
            self.log.get_raw(offset)?.0.tags().for_each(|tag| tags.push(tag));
            Ok(tags)
        };
        self.access.below_head(offset, tags)
    }

    fn find_id(&self, id: &str) -> Result<Option<u64>, ReadError> {
        // Loaded first: every chunk before the growing one then has its ids in RocksDB.
        let head = self.access.head().get();
        let growing = [MemChunk::clone(&self.log.growing.load())];
        let found = self.log.find_id(self.log.hasher.name(id), &growing)?;
        Ok(found.filter(|&found| found < head))
    }

    /// Large pages pay: an iterator first has to seek in every file.
    fn page_limit(&self) -> usize {
        4_096
    }

    fn read<'a>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, E>>,
    ) -> Result<Range<u64>, ReadError> {
        let Range { start, end } = selection.range;
        self.log.read(Selection { range: start..end.min(self.head().get()), ..selection }, page)
    }

    fn read_raw(
        &self,
        range: Range<u64>,
        limit: usize,
        page: &mut Vec<Recorded<RawEvent>>,
    ) -> Result<Range<u64>, ReadError> {
        self.access.read_raw(range, limit, page, |selection, page| self.log.read(selection, page))
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        self.log.names(kind, prefix, self.head().get())
    }

    fn count(&self, kind: NameKind, name: &str, range: Range<u64>) -> Result<u64, ReadError> {
        let range = range.start..range.end.min(self.access.head().get());
        self.log.count(kind.into(), name, range)
    }

    fn nth(&self, kind: NameKind, name: &str, n: u64) -> Result<Option<u64>, ReadError> {
        let found = self.log.nth(kind.into(), name, n)?;
        Ok(found.filter(|&found| found < self.access.head().get()))
    }

    fn stats(&self) -> Stats {
        let database = &self.log.database;
        let families = [database.events(), database.index(), database.ids(), database.snapshots()];
        let sum = |name: &str| families.iter().map(|family| family.property(name)).sum::<u64>();
        let memtables = sum("rocksdb.cur-size-all-mem-tables");
        let tables = sum("rocksdb.estimate-table-readers-mem");
        let chunk = self.log.growing.load().index.allocated_bytes() as u64;
        let block_index = database.block_index.allocated_bytes() as u64;
        let mut stats = Stats::default();
        stats.events = self.head().get();
        stats.event_bytes = database.events().property("rocksdb.total-sst-files-size")
            + database.events().property("rocksdb.cur-size-all-mem-tables");
        stats.index_bytes = database.index().property("rocksdb.total-sst-files-size")
            + database.ids().property("rocksdb.total-sst-files-size");
        stats.segments = database.db().live_files().map_or(0, |files| files.len()) as u64;
        stats.memory_bytes =
            memtables + tables + chunk + block_index + database.cache().get_usage() as u64;
        stats.subscribers = self.head().subscriber_count() as u64;
        stats
    }

    /// Returns the files of the events. Events that are in no file yet are counted only by [`stats`](Backend::stats).
    fn segments(&self) -> Vec<SegmentStats> {
        let database = &self.log.database;
        let files = database.db().live_files().unwrap_or_default();
        let of_events =
            files.iter().filter(|file| file.column_family_name == database.events().name);
        let mut segments: Vec<_> = of_events
            .filter_map(|file| {
                let first = keys::number(file.start_key.as_deref()?)?;
                let mut segment = SegmentStats::new(first);
                segment.event_bytes = file.size as u64;
                Some(segment)
            })
            .collect();
        segments.sort_unstable_by_key(|segment| segment.first);
        segments
    }

    fn sync(&self) -> Result<(), AppendError> {
        self.access.sync()
    }

    fn close(&self) -> Result<(), AppendError> {
        self.access.close()
    }

    fn health(&self) -> Health {
        self.access.health()
    }

    fn store_id(&self) -> Option<[u8; 16]> {
        Some(self.log.database.store_id)
    }

    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        Some(Arc::clone(&self.snapshots) as Arc<dyn SnapshotStore>)
    }

    /// Returns the database's directory. RocksDB ignores subdirectories in it.
    fn beside(&self) -> Option<Beside> {
        Some(Beside::Directory(self.log.database.path.clone()))
    }
}

impl<E: Event> std::fmt::Debug for RocksDb<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksDb")
            .field("path", &self.log.database.path)
            .field("head", self.access.head())
            .finish_non_exhaustive()
    }
}
