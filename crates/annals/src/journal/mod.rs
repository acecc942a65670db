//! The Journal, the backend in files. A log consists of segments, which are mapped for reading, appended to by one
//! leader, and synced.
//!
//! ```text
//!   follower    following a log that another process writes      writer      the writing side
//!   log         the reading side                                 recovery    opening and repairing a log
//!   verify      checking every byte of a store                   salvage     copying the whole events of a damaged log
//!   segment     a segment's file and its index                   lock        the right to write
//!   directory   the store's files                                options     how a Journal is opened
//!   snapshots   a directory of snapshots                         map         mapping files
//!   replica     a copy of a log that is replicated to several machines
//!   count       how many events have a name, cached in `count_cache`
//!   fs          the seam to the file system                  published   events for callbacks, read from the log
//! ```
//! docs/FORMAT.md describes the files, and docs/DURABILITY.md what a Journal guarantees for them.

pub(crate) mod count;
pub(crate) mod count_cache;
pub(crate) mod directory;
pub(crate) mod follower;
pub(crate) mod fs;
#[cfg(fuzzing)]
pub mod fuzzing;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod map;
pub(crate) mod options;
pub(crate) mod published;
pub(crate) mod recovery;
pub(crate) mod replica;
pub(crate) mod salvage;
pub(crate) mod segment;
#[cfg(feature = "snapshots")]
pub(crate) mod snapshots;
pub(crate) mod verify;
pub(crate) mod writer;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use annals_base::segmented_list;
use arc_swap::ArcSwap;

pub use fs::file_id::FileId;
pub use fs::real::RealFileSystem;
pub use fs::{FileSystem, StoreDirectory, StoreFile};
pub use options::{Durability, JournalOptions};
pub use salvage::report::{SalvageError, SalvageGap, SalvageReport, SalvagedRange};
pub use salvage::salvage;
pub use verify::verify::{VerifyReport, verify, verify_watched};

#[cfg(feature = "snapshots")]
use self::snapshots::DirectorySnapshots;
use crate::backend::access::LogAccess;
use crate::backend::backend::{Backend, NameCount, NameKind, Selection};
use crate::backend::batch::{AppendFuture, Appended, Batch};
use crate::backend::beside::Beside;
use crate::backend::head::Head;
use crate::backend::head::publisher::HeadPublisher;
use crate::backend::health::Health;
use crate::error::{AppendError, Corruption, FollowError, OpenError, ReadError};
use crate::event::event::{Event, EventRef, Recorded};
use crate::event::name::Hasher;
use crate::event::raw::RawEvent;
use crate::event::tags::Tags;
use crate::metrics::stats::{SegmentStats, Stats};
#[cfg(feature = "snapshots")]
use crate::snapshot::{SnapshotStore, digest::EventDigest};
use count_cache::CountCache;
use directory::Directory;
use follower::steps::follow;
use log::Log;
use published::published;
use recovery::active::Active;
use recovery::recover::{Recovered, recover, recover_read_only};
use segment::segment::{Segment, SegmentIndex};
use writer::state::JournalTarget;

/// A log in the files of a directory: durable, and read from mapped memory.
///
/// [`EventStore::open`](crate::EventStore::open) opens one with the default options. With other options:
///
/// ```no_run
/// use annals::{Durability, EventStore, Journal, RawEvent};
/// let journal = Journal::options().durability(Durability::Buffered).open("data/log")?;
/// let store = EventStore::<RawEvent, _>::on(journal);
/// # Ok::<(), annals::OpenError>(())
/// ```
pub struct Journal<E: Event> {
    access: LogAccess<E, JournalTarget<E>>,
    log: Arc<Log>,
    #[cfg(feature = "snapshots")]
    snapshots: Arc<DirectorySnapshots>,
}

/// The parts of an opened log.
struct Parts<E: Event> {
    log: Arc<Log>,
    head: HeadPublisher<E>,
    sealed: annals_base::ListWriter<Segment>,
    active: Active,
}

impl Journal<RawEvent> {
    /// Returns the default options, for any type of events.
    #[must_use]
    pub fn options() -> JournalOptions {
        JournalOptions::default()
    }
}

impl JournalOptions {
    /// Opens the log in the directory `path` for appending and reading. Creates it if nothing is there.
    ///
    /// # Errors
    /// [`OpenError`]: an option is out of bounds, something other than a store is there, another process writes to the
    /// store, it is damaged, or the system fails.
    pub fn open<E: Event>(self, path: impl AsRef<Path>) -> Result<Journal<E>, OpenError> {
        self.check()?;
        Journal::open_with(&absolute(path.as_ref())?, self)
    }

    /// Opens the log in the directory `path` for reading, and follows it while another process writes to it. Of a
    /// damaged log, the events before the damage are readable, and [`Journal::damage`] returns the damage.
    ///
    /// # Errors
    /// [`OpenError`]: nothing or something other than a store is there, or the system fails.
    pub fn open_read_only<E: Event>(self, path: impl AsRef<Path>) -> Result<Journal<E>, OpenError> {
        self.check()?;
        Journal::follow_with(&absolute(path.as_ref())?, &self)
    }
}

impl<E: Event> Journal<E> {
    /// Returns the damage at which a log that was opened read-only ends, if it is damaged. [`verify()`] finds all
    /// damage.
    #[must_use]
    pub fn damage(&self) -> Option<&Corruption> {
        match self.follow_error() {
            Some(FollowError::Damaged(damage)) => Some(damage),
            _ => None,
        }
    }

    /// Returns why a log that was opened read-only is no longer followed: it is damaged, its writer withdrew a commit
    /// that was read before it was synced, its files were removed or replaced, or the thread that follows it panicked.
    /// Its cursors have ended, and the store has to be opened again. Returns `None` while the log is followed.
    #[must_use]
    pub fn follow_error(&self) -> Option<&FollowError> {
        self.access.follow_error()
    }

    /// Returns a handle on the same log for events of another type, usually [`RawEvent`]: for a part of the program
    /// that serves or copies the log, and cannot know its types.
    ///
    /// Both handles have one queue of appends and one head. The callbacks of either see all events; those that their
    /// type cannot decode are logged and skipped. The handle does not keep the log open: once the Journal that opened
    /// the log is closed or dropped, the handle's appends fail with [`AppendError::Closed`], its cursors end, and it
    /// reads what is there. Closing it closes the log.
    ///
    /// A handle on a log that was opened read-only does not follow the log itself: the Journal that opened the log
    /// does. Both return the same [`damage`](Self::damage) and [`follow_error`](Self::follow_error), and the handle's
    /// appends fail with [`AppendError::ReadOnly`]. Once that Journal is dropped, the head of the handle is closed and
    /// does not move. The handle still returns an error that was found before.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("my.store");
    /// use annals::{Event, EventStore, Journal, RawEvent};
    ///
    /// #[derive(Event)]
    /// enum Booking {
    ///     SeatSold { #[event(tag = "seat")] seat: String },
    /// }
    ///
    /// let store: EventStore<Booking, _> = EventStore::open(path)?;
    /// let raw: EventStore<RawEvent, _> = EventStore::on(store.backend().raw());
    /// store.append(Booking::SeatSold { seat: "12A".into() })?;
    /// assert_eq!(raw.append(RawEvent::builder("noted").build()?)?, 1);
    /// assert_eq!(raw.get(0)?.expect("an event").event.data_bytes(), br#"{"seat":"12A"}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn raw<F: Event>(&self) -> Journal<F> {
        let log = Arc::clone(&self.log);
        Journal {
            access: self.access.guest(move |range| published(Arc::clone(&log), range)),
            log: Arc::clone(&self.log),
            #[cfg(feature = "snapshots")]
            snapshots: Arc::clone(&self.snapshots),
        }
    }

    fn open_with(path: &Path, options: JournalOptions) -> Result<Self, OpenError> {
        let (directory, lock) =
            Directory::open_locked(&*options.file_system, path, options.store_id)?;
        let recovered = recover(&directory, &options)?;
        #[cfg(feature = "snapshots")]
        let snapshots = snapshots(&directory);
        let Parts { log, head, sealed, active } = Self::parts("journal", directory, recovered);
        let clock = options.clock.clone();
        let target = JournalTarget::new(Arc::clone(&log), sealed, active, options, lock)
            .map_err(OpenError::io("look at", path))?;
        Ok(Self {
            access: LogAccess::writer(head, target, clock),
            log,
            #[cfg(feature = "snapshots")]
            snapshots,
        })
    }

    fn follow_with(path: &Path, options: &JournalOptions) -> Result<Self, OpenError> {
        let directory = Directory::open(&*options.file_system, path)?;
        directory.check_id(options.store_id)?;
        // Before the segments are read: a process that closes the store in the meantime writes a larger head.
        let closed = match directory.closed_head() {
            Err(OpenError::Corrupt(found)) => {
                tracing::warn!(%found, "closed.json is damaged; a loss of the last events may go unnoticed");
                0
            }
            closed => closed?,
        };
        let (recovered, damage) = recover_read_only(&directory)?;
        #[cfg(feature = "snapshots")]
        let snapshots = snapshots(&directory);
        let Parts { log, head, sealed, active } = Self::parts("journal", directory, recovered);
        let follower = follow(Arc::clone(&log), head.clone(), sealed, active, closed, damage)?;
        Ok(Self {
            access: LogAccess::follower(head, follower),
            log,
            #[cfg(feature = "snapshots")]
            snapshots,
        })
    }

    /// Builds the parts that all roles have. `label` is the value of the metrics' label.
    fn parts(label: &'static str, directory: Directory, recovered: Recovered) -> Parts<E> {
        let (mut writer, sealed) = segmented_list();
        recovered.sealed.into_iter().for_each(|segment| {
            writer.push(segment);
        });
        let index = SegmentIndex::Mem(recovered.active.index.reader());
        let active = Segment::new(recovered.active.segment.clone(), index);
        let log = Log {
            hasher: Hasher::new(&directory.store_id),
            directory,
            sealed,
            active: ArcSwap::from_pointee(active),
            active_bytes: AtomicU64::new(recovered.active.end as u64),
            count_cache: CountCache::default(),
        };
        let head = HeadPublisher::for_backend(label, recovered.active.next_offset);
        Parts { log: Arc::new(log), head, sealed: writer, active: recovered.active }
    }
}

impl<E: Event> Backend<E> for Journal<E> {
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

    #[cfg(feature = "snapshots")]
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
        let found = self.log.find_id(self.log.hasher.name(id))?;
        // Offsets at and beyond the head belong to a commit that is being written.
        Ok(found.filter(|&found| found < self.access.head().get()))
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
        self.log.names(kind.into(), prefix, self.access.head().get())
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
        Stats {
            events: self.head().get(),
            subscribers: self.head().subscriber_count() as u64,
            ..self.log.stats()
        }
    }

    fn segments(&self) -> Vec<SegmentStats> {
        self.log.segments()
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
        Some(self.log.directory.store_id)
    }

    #[cfg(feature = "snapshots")]
    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        Some(Arc::clone(&self.snapshots) as Arc<dyn SnapshotStore>)
    }

    fn beside(&self) -> Option<Beside> {
        Some(Beside::Directory(self.log.directory.path.clone()))
    }
}

/// Makes a path absolute, so that it stays valid when the process changes its working directory.
fn absolute(path: &Path) -> Result<PathBuf, OpenError> {
    std::path::absolute(path).map_err(OpenError::io("find", path))
}

/// Returns the snapshots in the store's directory.
#[cfg(feature = "snapshots")]
fn snapshots(directory: &Directory) -> Arc<DirectorySnapshots> {
    Arc::new(DirectorySnapshots::of_store(Arc::clone(&directory.handle), &directory.path))
}

impl<E: Event> std::fmt::Debug for Journal<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.log.directory.path)
            .field("head", self.access.head())
            .finish_non_exhaustive()
    }
}
