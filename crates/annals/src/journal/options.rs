//! The options of a Journal.

use std::sync::Arc;

use super::fs::FileSystem;
use super::fs::real::RealFileSystem;
use super::segment::frame::FRAME_HEAD;
use super::segment::index_file::MOST_INDEX_BYTES;
use crate::backend::commit::clock::Clock;
use crate::backend::encode::RECORD_HEAD;
use crate::error::OpenError;
use crate::event::limits::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};

/// When an append to a Journal returns. [`EventStore::sync`](crate::EventStore::sync) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the events are on disk: they survive loss of power. The default.
    #[default]
    Sync,
    /// When the operating system has the events: they survive the end of the process, not loss of power. They are
    /// synced when their segment is sealed, by [`sync`](crate::EventStore::sync), and on close.
    Buffered,
}

/// The options of a Journal. Each has a default that suits most logs.
///
/// ```
/// use annals::{Durability, EventStore, Journal, JournalOptions, RawEvent};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("large.store");
/// let options: JournalOptions = Journal::options().durability(Durability::Buffered).segment_bytes(256 << 20);
/// let store = EventStore::<RawEvent, _>::on(options.open(&path)?);
/// store.append(RawEvent::builder("seat-sold").build()?)?;
/// store.sync()?; // from here on, the event survives a loss of power
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct JournalOptions {
    pub(super) segment_bytes: u64,
    pub(super) index_limits: IndexLimits,
    pub(super) durability: Durability,
    pub(super) file_system: Arc<dyn FileSystem>,
    pub(super) clock: Clock,
    pub(super) store_id: Option<[u8; 16]>,
}

/// The smallest size of a segment in bytes.
const MIN_SEGMENT_BYTES: u64 = 4 << 10;
/// The largest size of a segment in bytes: positions in it take 4 bytes, and its last batch may reach beyond it.
const MAX_SEGMENT_BYTES: u64 = 2 << 30;

/// The limits of a segment's index.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexLimits {
    /// The number of bytes of the index file at which the segment is sealed. The commit that reaches it stays in the
    /// segment.
    pub(super) sealed_at: u64,
    /// The most bytes of an index file that is written.
    pub(super) most: u64,
}

/// The most bytes by which a commit may reach beyond the size at which its segment is sealed: the batches of one
/// commit, with their heads.
const COMMIT_ROOM: u64 =
    (MAX_BATCH_BYTES + (RECORD_HEAD + FRAME_HEAD + 8) * MAX_BATCH_EVENTS) as u64;

/// The most bytes that one commit adds to its segment's index: less than 20 for each byte of its records.
///
/// A tag is the worst case. In a record it takes its size and at least 1 byte. In an index it takes 33 bytes, its
/// text, an offset of 4 bytes, and 2 bytes of the filter. That is 40 bytes for 2 if its text has 1 byte, as only
/// some 100 tags have, and 41 bytes for 3 if it has 2. An event with a type and an id takes at least 26 bytes in a
/// record, and adds 82 bytes and its two names to an index. The heads of its frame and records leave room for the
/// rounding of the filter.
const COMMIT_INDEX_ROOM: u64 = 20 * COMMIT_ROOM;

const _: () = assert!(COMMIT_INDEX_ROOM < MOST_INDEX_BYTES / 4, "most of an index is for use");

impl Default for IndexLimits {
    fn default() -> Self {
        Self { sealed_at: MOST_INDEX_BYTES - COMMIT_INDEX_ROOM, most: MOST_INDEX_BYTES }
    }
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            index_limits: IndexLimits::default(),
            durability: Durability::Sync,
            file_system: Arc::new(RealFileSystem),
            clock: Clock::default(),
            store_id: None,
        }
    }
}

impl JournalOptions {
    /// Sets the size in bytes at which a segment is sealed and the next begun: 64 MiB by default, 4 KiB to 2 GiB. The
    /// batch that reaches it stays in the segment. A segment with very many names (tags and ids) is sealed earlier,
    /// before its index file reaches 4 GiB.
    ///
    /// Each segment takes two memory mappings of the process. Linux allows 65,530 by default (`vm.max_map_count`). A
    /// log of 64 GiB has a thousand segments of the default size; with the smallest size it would have too many to be
    /// opened.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Sets when an append returns: [`Durability::Sync`] by default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the file system: the operating system's by default. [`FileSystem`] has an example of another one.
    ///
    /// ```
    /// # use annals::{Journal, RawEvent, RealFileSystem};
    /// # use std::sync::Arc;
    /// # let directory = tempfile::tempdir()?;
    /// let options = Journal::options().file_system(Arc::new(RealFileSystem)); // the default
    /// let log = options.open::<RawEvent>(directory.path().join("log.store"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn file_system(mut self, file_system: Arc<dyn FileSystem>) -> Self {
        self.file_system = file_system;
        self
    }

    /// Sets the clock that gives events their times: the system's by default. A test passes a
    /// [`TestClock`](crate::testing::TestClock).
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Sets the [id](crate::Backend::store_id) of the log, as the 16 bytes of a UUID. By default, a new log gets a
    /// random one, and an existing log may have any.
    ///
    /// A log that is created gets this id, and an existing log must have it. Meant for the replicas of one log: their
    /// snapshots, indexes and consumer positions agree. Two logs with different events must not have the same id.
    ///
    /// ```
    /// use annals::{Backend as _, Journal, OpenError, RawEvent};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("replica.store");
    /// let journal = Journal::options().store_id([7; 16]).open::<RawEvent>(&path)?;
    /// assert_eq!(journal.store_id(), Some([7; 16]));
    /// drop(journal);
    /// let other = Journal::options().store_id([8; 16]).open::<RawEvent>(&path);
    /// assert!(matches!(other, Err(OpenError::OtherStore { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn store_id(mut self, id: [u8; 16]) -> Self {
        self.store_id = Some(id);
        self
    }

    /// Returns the number of bytes that a segment's file can hold.
    pub(super) fn capacity(&self) -> u64 {
        self.segment_bytes + COMMIT_ROOM
    }

    pub(super) fn check(&self) -> Result<(), OpenError> {
        if (MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&self.segment_bytes) {
            return Ok(());
        }
        Err(OpenError::BadOption {
            name: "segment_bytes",
            value: self.segment_bytes.to_string(),
            expected: format!("{MIN_SEGMENT_BYTES} to {MAX_SEGMENT_BYTES} bytes"),
        })
    }
}
