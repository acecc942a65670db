//! The errors of a log, one enum for each area.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::event::error::{CodecError, InvalidEvent};

/// Why no event can match a query. Such a query would find nothing, and a condition made from it would guard nothing.
///
/// ```
/// use annals::{Event, EventStore, InvalidQuery, Query, ReadError};
///
/// #[derive(Event)]
/// enum Booking {
///     SeatSold { seat: u32 },
/// }
///
/// let store = EventStore::<Booking>::in_memory();
/// let Some(Err(ReadError::InvalidQuery(error))) = store.query(&Query::event_type("seat-sld")).next() else {
///     panic!("`Booking` has no such type")
/// };
/// assert!(matches!(error, InvalidQuery::UnknownType { .. }));
/// assert!(error.to_string().ends_with(r#"is it "seat-sold"?"#));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum InvalidQuery {
    /// The query has a name that no event can have.
    Name {
        /// The problem with the name.
        source: InvalidEvent,
    },
    /// The query has an event type that the events of the store do not have.
    UnknownType {
        /// The event type in the query.
        event_type: String,
        /// The event types of the store.
        known: &'static [&'static str],
    },
}

/// Why a batch was not appended. The log shows none of its events. After [`InDoubt`](Self::InDoubt) and
/// [`Failed`](Self::Failed), it may show them later: read what they say.
///
/// A log that is replicated to several machines has four errors of its own: [`Unavailable`](Self::Unavailable),
/// [`InDoubt`](Self::InDoubt), [`Diverged`](Self::Diverged) and [`ClockAhead`](Self::ClockAhead).
///
/// ```
/// use annals::{AppendError, Condition, EventStore, Query, RawEvent};
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("seat-sold").tag("seat:12A").build()?)?;
///
/// let unsold = Condition::fail_if(Query::tag("seat:12A"));
/// match store.append_if([RawEvent::builder("seat-sold").tag("seat:12A").build()?], &unsold) {
///     Err(AppendError::Conflict { offset, .. }) => println!("sold already, at offset {offset}"),
///     other => println!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AppendError {
    /// An event exceeds a limit, or has no encoding.
    Invalid {
        /// The event's position in the batch, from 0.
        index: usize,
        /// The problem with the event.
        source: InvalidEvent,
    },
    /// The batch has too many events.
    BatchTooLong {
        /// The number of events in the batch.
        count: usize,
    },
    /// The batch is too large.
    BatchTooLarge {
        /// The size of the events that were encoded until the limit was exceeded, in bytes.
        bytes: usize,
    },
    /// No event can match the condition, so it would guard nothing.
    InvalidCondition(InvalidQuery),
    /// The log has an event that the condition forbids. Read again and decide again.
    Conflict {
        /// The lowest offset of an event that a condition of the batch forbids.
        offset: u64,
        /// The position in [`Batch::conditions`](crate::Batch) of the condition that forbids it, from 0. If several
        /// conditions forbid it, this is the first of them.
        condition: usize,
    },
    /// The log has an event with the same id but of another type, or it has only some events of this batch. (If it has
    /// the whole batch, with the same ids and types, the append succeeds and returns the recorded offsets.)
    IdConflict {
        /// The id.
        id: String,
        /// The offset of the event that has the id in the log.
        offset: u64,
        /// The difference between the log and the batch.
        how: Cow<'static, str>,
    },
    /// Two events of the batch have the same id.
    IdTwice {
        /// The id.
        id: String,
    },
    /// The batch's time is before the time of the last event.
    TimeGoesBack {
        /// The batch's time, in ms since 1970 UTC.
        given: u64,
        /// The time of the last event, in ms since 1970 UTC.
        last: u64,
    },
    /// The batch's time is more than a day ahead of the clock. Every later event would get at least that time.
    TimeInFuture {
        /// The batch's time, in ms since 1970 UTC.
        given: u64,
        /// The time of the clock, in ms since 1970 UTC.
        now: u64,
    },
    /// The condition begins beyond the head, so it would guard nothing.
    ConditionBeyondHead {
        /// The offset that was given to [`Condition::after`](crate::Condition::after).
        after: u64,
        /// The log's head.
        head: u64,
    },
    /// The disk or index has no room for the events. Nothing was written, and appends work again once there is room.
    NoRoom {
        /// The number of bytes that the batch needs.
        bytes: u64,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// A write or sync failed. The open store shows nothing of the batch, and takes no more appends until it is
    /// reopened.
    ///
    /// The store removes from the disk what it wrote of the batch. If that fails too, the reopened store may have the
    /// batch, always as a whole: look for its events before you append them again, or give them
    /// [ids](crate::Event::id).
    Failed {
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// An earlier write or sync failed, so the store does not know what is on disk. Reopen it.
    Poisoned {
        /// The failure.
        cause: Arc<str>,
    },
    /// The store was opened read-only.
    ReadOnly,
    /// The store was opened by another process, and this process is a fork of that one.
    Forked {
        /// The id of the process that opened the store.
        opened_by: u32,
    },
    /// The store was closed.
    Closed,
    /// Everything is durable, but the store could not be marked as cleanly closed. When it is opened again, it cannot
    /// detect whether the log lost events at its end meanwhile. Remove the cause and close it again.
    NotClosed {
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// The log could not be read while a condition or an id was checked.
    Read(ReadError),
    /// The time limit of a replicated log passed. Nothing of the batch is in the log, and nothing of it ever will be.
    /// Append it again, now or later: nothing can be doubled.
    Unavailable {
        /// The last answer of the engine.
        cause: Arc<str>,
    },
    /// The batch was sent to the engine of a replicated log, and the time limit passed before its outcome was known.
    /// The batch is in the log as a whole, or will be, or never will be.
    ///
    /// If all its events have [ids](crate::Event::id), append the same batch again: it is in the log once, and the
    /// append returns its offsets. Without ids, an append of the same batch may double it: append an empty batch, which
    /// ends the doubt. Then look for the events from the head at which the batch was decided, and append them only if
    /// they are absent.
    InDoubt {
        /// The last answer of the engine.
        cause: Arc<str>,
    },
    /// The record of a replicated log lost or changed events that this replica has. Nothing was appended, and the store
    /// takes no more appends. An operator has to decide which of the two is the log.
    Diverged {
        /// How they differ.
        cause: Arc<str>,
    },
    /// This machine's clock is far ahead of the clock of a replicated log's engine. Nothing was appended. Correct the
    /// clock, and append again.
    ClockAhead {
        /// How far the clock is ahead, in ms.
        ahead_ms: u64,
    },
}

/// Why an event could not be read.
///
/// ```
/// use annals::{Event, EventStore, RawEvent, ReadError};
///
/// #[derive(Event)]
/// enum Booking {
///     SeatSold { seat: u32 },
/// }
///
/// let directory = tempfile::tempdir()?;
/// EventStore::open(directory.path())?.append(RawEvent::builder("seat-upgraded").build()?)?;
/// let store = EventStore::<Booking>::open(directory.path())?;
/// assert!(matches!(store.get(0), Err(ReadError::Decode { offset: 0, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ReadError {
    /// No event can match the query.
    InvalidQuery(InvalidQuery),
    /// The log is damaged.
    Corrupt(Corruption),
    /// The event cannot be decoded into the requested type. Other events are not affected.
    Decode {
        /// The event's offset.
        offset: u64,
        /// The event's type in the log.
        event_type: String,
        /// The error of the codec.
        source: CodecError,
    },
    /// The system failed to read.
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
}

/// Damage in a file: where it is, what was expected there, and what was found.
///
/// ```
/// use annals::{Corruption, EventStore, RawEvent};
///
/// let directory = tempfile::tempdir()?;
/// EventStore::<RawEvent>::open(directory.path())?;
/// let store = EventStore::<RawEvent>::open_read_only(directory.path())?;
/// let damage: Option<&Corruption> = store.backend().damage();
/// assert_eq!(damage, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    /// The damaged file.
    pub file: PathBuf,
    /// The position of the damage in the file, in bytes.
    pub position: u64,
    /// The offset of the first event that cannot be trusted.
    pub offset: u64,
    /// The expected content.
    pub expected: String,
    /// The content that was found.
    pub found: String,
}

/// Why a store that is open read-only stopped following its log. The events before that stay readable.
///
/// ```
/// use annals::{EventStore, FollowError, RawEvent};
///
/// let directory = tempfile::tempdir()?;
/// EventStore::<RawEvent>::open(directory.path())?;
/// let reader = EventStore::<RawEvent>::open_read_only(directory.path())?;
/// let failure: Option<&FollowError> = reader.backend().follow_error();
/// assert_eq!(failure, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowError {
    /// The log is damaged.
    Damaged(Corruption),
    /// The writer removed a commit that this reader has shown, since its write or sync failed.
    TakenBack {
        /// The store.
        path: PathBuf,
        /// The offset of the first event that is gone.
        offset: u64,
    },
    /// The store's files were removed or replaced, for example by a restored backup.
    Replaced {
        /// The path of the store when it was opened.
        path: PathBuf,
        /// The change that was found.
        found: String,
    },
    /// The thread that follows the log panicked: a fault of annals, or of the backend or file system that a program
    /// provides.
    Panicked,
}

/// Why a store did not open.
///
/// ```
/// use annals::{EventStore, LockHolder, OpenError, RawEvent};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("bookings.store");
/// assert!(matches!(EventStore::<RawEvent>::open_read_only(&path), Err(OpenError::NotFound { .. })));
///
/// let store = EventStore::<RawEvent>::open(&path)?;
/// let second = EventStore::<RawEvent>::open(&path);
/// assert!(matches!(second, Err(OpenError::Locked { holder: LockHolder::ThisProcess, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// Nothing exists at the path, and the store was to be opened read-only.
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// Something else than a store exists at the path.
    NotAStore {
        /// The path.
        path: PathBuf,
        /// A description of the content of the path.
        found: String,
    },
    /// The store has another id than [`JournalOptions::store_id`](crate::JournalOptions::store_id) asks for.
    OtherStore {
        /// The store.
        path: PathBuf,
        /// The id of the store.
        found: [u8; 16],
        /// The id that was asked for.
        expected: [u8; 16],
    },
    /// The store is already open for writing.
    Locked {
        /// The store.
        path: PathBuf,
        /// Where the store is open.
        holder: LockHolder,
    },
    /// A newer version of annals wrote the store.
    NewerFormat {
        /// The store.
        path: PathBuf,
        /// The format of the store.
        found: u64,
        /// The newest format that this version reads.
        supported: u64,
    },
    /// The log is damaged. (A crash does not damage a log: what it leaves is repaired when the store is opened.)
    Corrupt(Corruption),
    /// An option has a value that is not allowed.
    BadOption {
        /// The name of the option.
        name: &'static str,
        /// The value.
        value: String,
        /// The allowed values.
        expected: String,
    },
    /// The system failed.
    Io {
        /// The action that failed, a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl OpenError {
    /// Returns a function for `map_err` that adds the failed action and the path to the system's error.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.into(), source }
    }
}

/// Where a store is open for writing. [`OpenError`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockHolder {
    /// In this process.
    ThisProcess,
    /// In another process, with this process id.
    Process(u32),
    /// In a process of another container, where the process has this id. The id means nothing outside that container.
    OtherContainer(u32),
    /// In a process that the file `LOCK` does not name. Either the last writer has closed the store or has ended, and a
    /// process that was forked from it still holds the lock; or the disk was full when the writer opened the store.
    Inherited,
    /// In another process, which is not known.
    Unknown,
}

impl LockHolder {
    /// Returns what a user can do about it.
    pub(crate) fn way_out(self) -> &'static str {
        match self {
            Self::ThisProcess => {
                "use a clone of that store, or drop all of its handles first (callbacks may hold some)"
            }
            Self::Process(_) | Self::OtherContainer(_) | Self::Unknown => {
                "open it read-only, or end that process"
            }
            Self::Inherited => "end that process, or open it read-only",
        }
    }
}
