//! The Journal, the backend in files: a log in segments that are mapped to be read, appended to through one leader, and synced.
//!
//! ```text
//!   follow      reading beside another process     verify     every checksum, every index entry
//!   writer      the writer's side                  log        the readers' side
//!   snapshots   a directory of snapshots
//!   recovery    what is found on opening, and what is done
//!   salvage     every whole event of a damaged log, copied to a new one
//!   segment     a file and its index
//!   sealed      an index as a file                 live       an index in memory
//!   sieve       the segments that may match        filter     which of many segments may have a name
//!   directory   the store's files and lock         file       a segment's file, mapped
//!   options     how it is opened                   frame      what one commit adds to a file
//!   lock        the right to write                 map        files as memory
//!   fs          the seam to the file system
//! ```
//! The files are described in docs/FORMAT.md, what is promised of them in docs/DURABILITY.md.

pub(crate) mod directory;
pub(crate) mod follower;
pub(crate) mod fs;
#[cfg(fuzzing)]
pub mod fuzzing;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod map;
pub(crate) mod options;
pub(crate) mod pruning;
pub(crate) mod recovery;
pub(crate) mod salvage;
pub(crate) mod segment;
pub(crate) mod snapshots;
pub(crate) mod verify;
pub(crate) mod writer;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use annals_base::segmented_list;
use arc_swap::ArcSwap;

pub use fs::real::RealFileSystem;
pub use fs::{FileId, FileSystem, StoreDirectory, StoreFile};
pub use options::{Durability, JournalOptions};
pub use salvage::report::{SalvageError, SalvageGap, SalvageReport, SalvagedRange};
pub use salvage::salvage;
pub use snapshots::DirectorySnapshots;
pub use verify::verify::{VerifyReport, verify};

use crate::backend::backend::{
    AppendFuture, Backend, Batch, Health, NameCount, NameKind, Selection,
};
use crate::backend::commit::committer::Committer;
use crate::backend::encode::Encoded;
use crate::backend::head::Head;
use crate::backend::head::publisher::HeadPublisher;
use crate::backend::process::Opener;
use crate::error::{AppendError, Corruption, FollowError, OpenError, ReadError};
use crate::event::event::{Event, EventRef};
use crate::event::name::Hasher;
use crate::event::raw::RawEvent;
use crate::index::lookup::Kind;
use crate::metrics::stats::{SegmentStats, Stats};
use crate::snapshot::SnapshotStore;
use crate::snapshot::digest::EventDigest;
use directory::Directory;
use follower::thread::Follower;
use log::Log;
use pruning::pruning::FilterWriter;
use recovery::active::Active;
use recovery::recover::{Recovered, recover, recover_read_only};
use segment::segment::{Segment, SegmentIndex};
use writer::state::JournalTarget;

/// A log in the files of a directory: durable, and as fast to read as memory that is mapped.
///
/// Usually opened through [`EventStore::open`](crate::EventStore::open); with other settings:
///
/// ```no_run
/// use annals::{Durability, EventStore, Journal, RawEvent};
/// let journal = Journal::options().durability(Durability::Buffered).open("data/log")?;
/// let store = EventStore::<RawEvent, _>::on(journal);
/// # Ok::<(), annals::OpenError>(())
/// ```
pub struct Journal<E: Event> {
    log: Arc<Log>,
    head: HeadPublisher<E>,
    snapshots: Arc<DirectorySnapshots>,
    role: Role<E>,
    opener: Opener,
}

/// What an opened log consists of.
struct Parts<E: Event> {
    log: Arc<Log>,
    head: HeadPublisher<E>,
    sealed: annals_base::ListWriter<Segment>,
    filters: FilterWriter,
    active: Active,
}

enum Role<E: Event> {
    Writer(Arc<Committer<E, JournalTarget<E>>>),
    /// Held so that its thread ends with the Journal.
    Reader(Follower),
}

impl Journal<RawEvent> {
    /// The settings as they are by default, to be changed and opened with, whatever the type of the events.
    #[must_use]
    pub fn options() -> JournalOptions {
        JournalOptions::default()
    }
}

impl JournalOptions {
    /// Opens the log in the directory `path` for appending and reading, or creates it there.
    ///
    /// # Errors
    /// [`OpenError`]: an option is out of bounds, something else is there, another process writes to it, it is
    /// damaged, or the system fails.
    pub fn open<E: Event>(self, path: impl AsRef<Path>) -> Result<Journal<E>, OpenError> {
        self.check()?;
        Journal::open_with(&absolute(path.as_ref())?, self)
    }

    /// Opens the log in the directory `path` for reading, also while another process writes to it, and follows it.
    /// Where the log is damaged, what is good before the damage is read, and [`Journal::damage`] tells of it.
    ///
    /// # Errors
    /// [`OpenError`]: nothing or something else is there, or the system fails.
    pub fn open_read_only<E: Event>(self, path: impl AsRef<Path>) -> Result<Journal<E>, OpenError> {
        self.check()?;
        Journal::follow_with(&absolute(path.as_ref())?, &self)
    }
}

impl<E: Event> Journal<E> {
    /// Returns the damage before which the log ends, where one was opened read-only that has any; for all of it:
    /// [`verify()`].
    #[must_use]
    pub fn damage(&self) -> Option<&Corruption> {
        match self.follow_error() {
            Some(FollowError::Damaged(damage)) => Some(damage),
            _ => None,
        }
    }

    /// Returns why a log that was opened read-only is not followed any more: it is damaged, its writer took back what
    /// was read before it was synced, or its files were removed or replaced. Its cursors have ended then, and it has to
    /// be opened again.
    #[must_use]
    pub fn follow_error(&self) -> Option<&FollowError> {
        match &self.role {
            Role::Writer(_) => None,
            Role::Reader(follower) => follower.error(),
        }
    }

    fn encode(&self, batch: &Batch<E>) -> Result<Encoded, AppendError> {
        self.opener.check().map_err(|error| self.head.refused(error))?;
        let encoded = Encoded::records(&batch.events, &self.log.hasher);
        encoded.map_err(|error| self.head.refused(error))
    }

    fn open_with(path: &Path, options: JournalOptions) -> Result<Self, OpenError> {
        let (directory, lock) = Directory::open_locked(&*options.file_system, path)?;
        let recovered = recover(&directory, &options)?;
        let snapshots = snapshots(&directory);
        let Parts { log, head, sealed, filters, active } = Self::parts(directory, recovered, true);
        filters.sweep(&log.directory).map_err(OpenError::io("list", path))?;
        let target = JournalTarget::new(Arc::clone(&log), sealed, filters, active, options, lock)
            .map_err(OpenError::io("look at", path))?;
        let committer = Committer::new(head.clone(), target);
        Ok(Self {
            log,
            head,
            snapshots,
            role: Role::Writer(committer),
            opener: Opener::this_process(),
        })
    }

    fn follow_with(path: &Path, options: &JournalOptions) -> Result<Self, OpenError> {
        let directory = Directory::open(&*options.file_system, path)?;
        // Before the segments: a process that closes the store meanwhile notes a head beyond what is then read.
        let closed = match directory.closed_head() {
            Err(OpenError::Corrupt(found)) => {
                tracing::warn!(%found, "whether the log lost its end since it was closed is not known");
                0
            }
            closed => closed?,
        };
        let (recovered, damage) = recover_read_only(&directory)?;
        let snapshots = snapshots(&directory);
        let Parts { log, head, sealed, filters, active } = Self::parts(directory, recovered, false);
        let follower = Follower::start(
            Arc::clone(&log),
            head.clone(),
            (sealed, filters),
            active,
            closed,
            damage,
        )?;
        Ok(Self {
            log,
            head,
            snapshots,
            role: Role::Reader(follower),
            opener: Opener::this_process(),
        })
    }

    /// What both roles have in common; filters that are missing are made, if `make`.
    fn parts(directory: Directory, recovered: Recovered, make: bool) -> Parts<E> {
        let (mut writer, sealed) = segmented_list();
        recovered.sealed.into_iter().for_each(|segment| {
            writer.push(segment);
        });
        let mut filters = FilterWriter::new();
        filters.extend(&directory, &sealed, recovered.active.segment.first, make);
        let index = SegmentIndex::Mem(recovered.active.index.reader());
        let active = Segment { file: recovered.active.segment.clone(), index };
        let log = Log {
            hasher: Hasher::new(&directory.store_id),
            directory,
            sealed,
            filters: filters.reader(),
            active: ArcSwap::from_pointee(active),
            active_bytes: AtomicU64::new(recovered.active.end as u64),
        };
        let head = HeadPublisher::for_backend("journal", recovered.active.next_offset);
        Parts { log: Arc::new(log), head, sealed: writer, filters, active: recovered.active }
    }
}

impl<E: Event> Drop for Journal<E> {
    fn drop(&mut self) {
        let Role::Writer(committer) = &self.role else { return };
        if !self.opener.is_here() {
            // Forked: the files, the lock and whoever commits are those of the process that opened the store.
            return;
        }
        committer.retire();
    }
}

impl<E: Event> Backend<E> for Journal<E> {
    fn append(&self, batch: Batch<E>) -> Result<Range<u64>, AppendError> {
        let Role::Writer(committer) = &self.role else {
            return Err(self.head.refused(AppendError::ReadOnly));
        };
        let encoded = self.encode(&batch)?;
        committer.append(batch, encoded)
    }

    fn submit(&self, batch: Batch<E>) -> AppendFuture {
        let Role::Writer(committer) = &self.role else {
            let refused = self.head.refused(AppendError::ReadOnly);
            return Box::pin(std::future::ready(Err(refused)));
        };
        match self.encode(&batch) {
            Ok(encoded) => committer.submit(batch, encoded),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn head(&self) -> &Head<E> {
        &self.head
    }

    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError> {
        if offset >= self.head.get() {
            return Ok(None);
        }
        Ok(Some(EventRef::Owned(self.log.get(offset)?)))
    }

    fn time_ms(&self, offset: u64) -> Result<Option<u64>, ReadError> {
        if offset >= self.head.get() {
            return Ok(None);
        }
        Ok(Some(self.log.get_raw(offset)?.1))
    }

    fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
        if offset >= self.head.get() {
            return Ok(None);
        }
        Ok(Some(EventDigest::of(self.log.get_raw(offset)?.0.body())))
    }

    fn read<'a>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, E>>,
    ) -> Result<Range<u64>, ReadError> {
        let Range { start, end } = selection.range;
        self.log.read(Selection { range: start..end.min(self.head.get()), ..selection }, page)
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        let kind = match kind {
            NameKind::Type => Kind::Type,
            NameKind::Tag => Kind::Tag,
        };
        self.log.names(kind, prefix, self.head.get())
    }

    fn stats(&self) -> Stats {
        Stats {
            events: self.head.get(),
            subscribers: self.head.subscriber_count() as u64,
            ..self.log.stats()
        }
    }

    fn segments(&self) -> Vec<SegmentStats> {
        self.log.segments()
    }

    fn sync(&self) -> Result<(), AppendError> {
        match &self.role {
            Role::Writer(committer) => {
                self.opener.check()?;
                committer.sync()
            }
            Role::Reader(_) => Ok(()),
        }
    }

    fn close(&self) -> Result<(), AppendError> {
        match &self.role {
            Role::Writer(committer) => {
                self.opener.check()?;
                committer.close()
            }
            Role::Reader(_) => {
                self.head.close();
                Ok(())
            }
        }
    }

    fn health(&self) -> Health {
        match &self.role {
            Role::Writer(committer) => committer.health(),
            Role::Reader(_) if self.head.is_closed() => Health::Closed,
            Role::Reader(_) => Health::ReadOnly,
        }
    }

    fn store_id(&self) -> Option<[u8; 16]> {
        Some(self.log.directory.store_id)
    }

    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        Some(Arc::clone(&self.snapshots) as Arc<dyn SnapshotStore>)
    }
}

/// The same path wherever the process goes: files are made for as long as the store is open.
fn absolute(path: &Path) -> Result<PathBuf, OpenError> {
    std::path::absolute(path).map_err(OpenError::io("find", path))
}

/// The place for snapshots that a store's directory has.
fn snapshots(directory: &Directory) -> Arc<DirectorySnapshots> {
    Arc::new(DirectorySnapshots::of_store(Arc::clone(&directory.handle), &directory.path))
}

impl<E: Event> std::fmt::Debug for Journal<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.log.directory.path)
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}
