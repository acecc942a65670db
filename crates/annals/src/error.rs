//! What can go wrong, one enum an area: each says what was wrong, where, and what would be right.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::event::error::{CodecError, InvalidEvent};
use crate::event::limits::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};

/// Why no event can match a query, so that it finds nothing, and a condition made of it guards nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidQuery {
    /// It asks for a name that no event can have.
    #[error("no event can match the query: {source}")]
    Name {
        /// What is wrong with the name.
        source: InvalidEvent,
    },
    /// It asks for an event type that the events of the store do not have.
    #[error(
        "no event can match the query: there is no event type {event_type:?}; {}",
        event_types(event_type, known)
    )]
    UnknownType {
        /// The type that was asked for.
        event_type: String,
        /// The types that there are.
        known: &'static [&'static str],
    },
}

/// Names the type that may have been meant, or else all that there are.
fn event_types(event_type: &str, known: &[&str]) -> String {
    let near =
        known.iter().map(|known| (crate::util::spelling::distance(event_type, known), known)).min();
    match near {
        Some((distance, near)) if distance <= 1 + near.len() / 4 => format!("is it {near:?}?"),
        _ => format!("there are {}", known.join(", ")),
    }
}

/// Why nothing was appended: the log shows none of the batch. (After [`AppendError::Failed`] it may, when it is reopened.)
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// An event breaks a limit.
    #[error("event {index} of the batch: {source}")]
    Invalid {
        /// Which event of the batch, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidEvent,
    },
    /// More events than a batch may have.
    #[error(
        "the batch has {count} events; the limit is {MAX_BATCH_EVENTS}: append them in several batches"
    )]
    BatchTooLong {
        /// How many it has.
        count: usize,
    },
    /// More bytes than a batch may have.
    #[error(
        "the batch has {bytes} bytes or more; the limit is {MAX_BATCH_BYTES} (32 MiB): append it in several batches"
    )]
    BatchTooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// No event can match the condition, so it guards nothing.
    #[error("the condition guards nothing: {0}")]
    InvalidCondition(#[source] InvalidQuery),
    /// What must not have happened has happened: read again and decide anew.
    #[error("the condition failed: the event at offset {offset} matches its query")]
    Conflict {
        /// An event that matches the condition's query.
        offset: u64,
    },
    /// The log has an event of this id already, but of another type, or has only a part of this batch. (If it has the whole
    /// batch, with the same ids and types, an append returns the offsets that the batch has.)
    #[error("the id {id:?} is already in the log at offset {offset}, {how}")]
    IdConflict {
        /// The id.
        id: String,
        /// Where the log has it.
        offset: u64,
        /// What differs.
        how: Cow<'static, str>,
    },
    /// An id that stands twice in one batch.
    #[error("the id {id:?} stands twice in the batch; each event needs its own")]
    IdTwice {
        /// The id.
        id: String,
    },
    /// A given time before that of the last event.
    #[error(
        "the given time, {given} ms, is before the last event's, {last} ms; times never go back"
    )]
    TimeGoesBack {
        /// The time that was given.
        given: u64,
        /// The last event's time.
        last: u64,
    },
    /// A given time more than a day ahead of the clock, which all later events would get, too.
    #[error(
        "the given time, {given}, is more than a day ahead of the clock, {now}; times are milliseconds since 1970-01-01 UTC (were these microseconds or nanoseconds?), and `Batch::allow_future_time` allows it"
    )]
    TimeInFuture {
        /// The time that was given.
        given: u64,
        /// The clock's time, in ms since 1970 UTC.
        now: u64,
    },
    /// The condition looks at offsets that are not there yet, so that it would guard nothing.
    #[error(
        "the condition looks only at events from offset {after} on, which guards nothing: the head is {head}; give `after` the head at which the decision was made, at most {head}"
    )]
    ConditionBeyondHead {
        /// The offset that was given to [`Condition::after`](crate::Condition::after).
        after: u64,
        /// The log's head.
        head: u64,
    },
    /// No room for the events; nothing was written, and appends work again once there is room.
    #[error("no room for {bytes} bytes: {source}{}", room_way_out(source))]
    NoRoom {
        /// How many bytes were wanted.
        bytes: u64,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Writing or syncing failed: the log shows nothing of the batch, and takes no more appends until it is reopened.
    /// (What was written is taken back; should that fail too, the batch may be there, whole, when it is.)
    #[error("writing failed: {source}; reopen the store to go on from what is on disk")]
    Failed {
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// An earlier write or sync failed, so what is on disk is not known: reopen the store.
    #[error(
        "the store takes no more appends since a write failed ({cause}); reopen it to go on from what is on disk"
    )]
    Poisoned {
        /// The failure.
        cause: Arc<str>,
    },
    /// The store was opened read-only.
    #[error("the store was opened read-only")]
    ReadOnly,
    /// The store was opened by another process, of which this one is a fork.
    #[error(
        "process {opened_by} opened the store, and this process was forked from it; open the store after the fork"
    )]
    Forked {
        /// The process that opened the store.
        opened_by: u32,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// All that was appended is durable, but the store could not be closed cleanly: when it is opened again, it cannot tell
    /// whether the log lost events at its end meanwhile. Close it again once the cause is removed.
    #[error(
        "everything is durable, but the store was not closed cleanly: {source}; close it again"
    )]
    NotClosed {
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The log could not be read while a condition or an id was checked.
    #[error("the log could not be read to check the append")]
    Read(#[from] ReadError),
}

/// Why an event could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No event can match the query.
    #[error(transparent)]
    InvalidQuery(#[from] InvalidQuery),
    /// The log's bytes are damaged.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// The event does not fit the type it is read as.
    #[error(
        "the event at offset {offset}, of type {event_type:?}, cannot be read as asked: {source}"
    )]
    Decode {
        /// Its offset.
        offset: u64,
        /// Its type in the log.
        event_type: String,
        /// What does not fit.
        source: CodecError,
    },
    /// The system failed to read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

/// Damage: where it is, what was expected there, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {position} (offset {offset}): expected {expected}, found {found}", file.display())]
pub struct Corruption {
    /// The damaged file.
    pub file: PathBuf,
    /// Where in the file, in bytes.
    pub position: u64,
    /// The first offset that cannot be trusted.
    pub offset: u64,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// Why a store that is open read-only is not followed any more. What was read up to then can still be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The log is damaged.
    #[error(transparent)]
    Damaged(#[from] Corruption),
    /// The writer took back a commit that was seen already, since its write or sync failed.
    #[error(
        "{}: the event at offset {offset} was read before it was synced, and the writer took it back since the sync failed; open the store again", path.display()
    )]
    TakenBack {
        /// The store.
        path: PathBuf,
        /// The first event that is not there any more.
        offset: u64,
    },
    /// The store's files were removed, or others are in their place: after a restored backup, for example.
    #[error("{}: {found}; open the store again", path.display())]
    Replaced {
        /// The store, where it was when it was opened.
        path: PathBuf,
        /// What was found.
        found: String,
    },
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Nothing is there, and the store was to be read only.
    #[error("there is no store at {}", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{} is no annals store: {found}; give the path of a store, or one where nothing is yet", path.display())]
    NotAStore {
        /// Where it was looked for.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// It is open for writing already.
    #[error("{} is open for writing {holder}; {}", path.display(), holder.way_out())]
    Locked {
        /// The store.
        path: PathBuf,
        /// Where it is open.
        holder: LockHolder,
    },
    /// A newer annals wrote it.
    #[error("{} has format {found}; this annals reads formats up to {supported}: use a newer one", path.display())]
    NewerFormat {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format known here.
        supported: u64,
    },
    /// The log is damaged: not by a crash, which leaves nothing to repair.
    #[error("{0}; `annals verify` tells all that is wrong{way_out}", way_out = way_out(.0))]
    Corrupt(#[from] Corruption),
    /// An option that makes no sense.
    #[error("the option {name} is {value}; it must be {expected}")]
    BadOption {
        /// Which option.
        name: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// The system failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    /// For `map_err`: what was being done, to what.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.into(), source }
    }
}

/// Where a store is open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockHolder {
    /// In this process.
    ThisProcess,
    /// In this other process.
    Process(u32),
    /// In a process of another container, where the process has this number: here the number means nothing.
    OtherContainer(u32),
    /// In a process that is not named in `LOCK`: the last writer has closed the store or has ended, and a process that was
    /// forked from it still has the lock; or the disk was full when the writer opened the store.
    Inherited,
    /// In another process, which is not known.
    Unknown,
}

impl LockHolder {
    /// What a program can do.
    fn way_out(self) -> &'static str {
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

impl std::fmt::Display for LockHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ThisProcess => f.write_str("in this process"),
            Self::Process(process) => write!(f, "in process {process}"),
            Self::OtherContainer(process) => {
                write!(f, "in another container (as process {process} there)")
            }
            Self::Inherited => f.write_str(
                "in a process that is not named in its file LOCK: one that was forked from the last writer, or a writer on a full disk",
            ),
            Self::Unknown => f.write_str("in another process"),
        }
    }
}

/// What to do about a lack of room. A limit on the size of files says itself what to do.
fn room_way_out(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::FileTooLarge => "",
        _ => "; free some and append again",
    }
}

/// What can still be read of a damaged log.
fn way_out(damage: &Corruption) -> String {
    if damage.file.ends_with("closed.json") {
        return "; that file holds no events: remove it, and the store opens".into();
    }
    match damage.offset {
        0 => "; the files are to be had back from a backup".into(),
        offset => format!(
            ", and the events before offset {offset} can be read when it is opened read-only"
        ),
    }
}
