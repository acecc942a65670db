//! The errors of consumers and groups.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use annals::{AppendError, OpenError, ReadError};

/// Why a call on a consumer or a group failed. The text says what to do.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_consumer::{ConsumerError, Consumers as _, Holder};
///
/// let store = EventStore::<RawEvent>::in_memory();
/// let first = store.consumer("mailer").start()?;
/// match store.consumer("mailer").start() {
///     Err(ConsumerError::Running { holder: Holder::Process(id), .. }) => println!("it runs in process {id}"),
///     Err(error) => assert!(error.to_string().contains("is running in this process")),
///     Ok(_) => unreachable!("one consumer of a name runs at a time"),
/// }
/// # drop(first);
/// # Ok::<(), ConsumerError>(())
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The name cannot be the name of a consumer.
    #[error("{problem}; a name has 1 to 200 bytes and is one file name on every system")]
    BadName {
        /// The name and its problem.
        problem: String,
    },
    /// An option is out of its bounds.
    #[error("the option {name} is {value}; it must be {expected}")]
    BadOption {
        /// The option.
        name: &'static str,
        /// The value.
        value: String,
        /// The bounds.
        expected: &'static str,
    },
    /// The backend has no storage beside its log.
    #[error("the log's backend has no storage for positions; give one with `checkpoints`")]
    NoStorage,
    /// No consumer and no group has this name.
    #[error("no consumer or group has the name {name:?}")]
    NotFound {
        /// The name.
        name: String,
    },
    /// A consumer was started with the name of a group, or a group was opened with the name of a consumer.
    #[error("{name:?} is a {found}; use another name, or delete the {found}")]
    OtherKind {
        /// The name.
        name: String,
        /// The kind that has the name: `consumer` or `group`.
        found: &'static str,
    },
    /// The consumer or the group is at work already.
    #[error("{name:?} is running {holder}; end it first, or use another name")]
    Running {
        /// The name.
        name: String,
        /// The process that has it.
        holder: Holder,
    },
    /// The lock file of a consumer was removed or replaced while the consumer ran, so another process may run under the
    /// name. The position is not saved.
    #[error(
        "the lock file {} was removed while {name:?} ran, so another process may run under this name; end this \
         consumer, and start it again",
        path.display()
    )]
    LockRemoved {
        /// The name.
        name: String,
        /// The lock file.
        path: PathBuf,
    },
    /// The position is beyond the end of the log.
    #[error(
        "{name:?} is at offset {position}, but the log ends at {head}: the log was restored from an older copy, or \
         lost its end in a power failure; reset {name:?} to the offset where it shall go on"
    )]
    BeyondHead {
        /// The name.
        name: String,
        /// The position.
        position: u64,
        /// The offset that the next event of the log will get.
        head: u64,
    },
    /// The event before the position is not the one that was there when the position was saved.
    #[error(
        "{name:?} is at offset {position}, but the event before it is another one than then: the log was restored from \
         an older copy and then grew; reset {name:?} to the offset where it shall go on"
    )]
    OtherHistory {
        /// The name.
        name: String,
        /// The position.
        position: u64,
    },
    /// The position belongs to another log.
    #[error(
        "the position of {name:?}, offset {position}, is of the log {found}, and this is {expected}; if this log is a \
         copy of that one, reset {name:?} to {position} to go on there"
    )]
    OtherStore {
        /// The name.
        name: String,
        /// The position.
        position: u64,
        /// The id of the position's log.
        found: String,
        /// The id of this log.
        expected: String,
    },
    /// A stored position is damaged: cut short, changed, or not a position at all.
    #[error(
        "the stored position of {name:?} is damaged: {problem}; reset {name:?} to the offset where it shall go on"
    )]
    DamagedPosition {
        /// The name.
        name: String,
        /// A description of the damage.
        problem: String,
    },
    /// The file of a consumer's position was removed, and not by
    /// [`ConsumerAdmin::delete`](crate::ConsumerAdmin::delete).
    #[error(
        "the position of the consumer {name:?}, {}, was removed; restore it from a backup, or reset {name:?} to the \
         offset where it shall go on",
        path.display()
    )]
    PositionRemoved {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// A group exists with another query or key.
    #[error(
        "the group {name:?} exists with another {what}: {found}, not {given}; use another name, or delete the group"
    )]
    OtherSettings {
        /// The name.
        name: String,
        /// The setting that differs: `query` or `key`.
        what: &'static str,
        /// The value of the group.
        found: String,
        /// The value that was given.
        given: String,
    },
    /// A group's state log is damaged: cut short, changed, or an event in it does not fit the events before it.
    #[error(
        "the state log of the group {name:?} is damaged at its offset {offset}: {problem}; restore the directory of \
         the group from a backup, or delete the group and open it with `from` at the offset where it shall go on"
    )]
    DamagedState {
        /// The name.
        name: String,
        /// The offset in the state log.
        offset: u64,
        /// A description of the damage.
        problem: String,
    },
    /// A group's state was removed, and not by [`ConsumerAdmin::delete`](crate::ConsumerAdmin::delete).
    #[error(
        "the state of the group {name:?}, {}, was removed; restore it from a backup, or delete the group and open it \
         with `from` at the offset where it shall go on",
        path.display()
    )]
    StateRemoved {
        /// The name.
        name: String,
        /// The directory.
        path: PathBuf,
    },
    /// A lease is lost: the event was delivered again, was parked, or the group was reset.
    #[error(
        "the lease of the event at offset {offset} is lost: its deadline passed and the event was delivered again or \
         parked, or the group was reset"
    )]
    LeaseLost {
        /// The offset of the event.
        offset: u64,
    },
    /// A consumer cannot park an event. A group can.
    #[error(
        "the consumer {name:?} cannot park an event; use a group, or answer with retry or skip"
    )]
    CannotPark {
        /// The name.
        name: String,
    },
    /// The event at this offset is not parked.
    #[error("the event at offset {offset} is not parked")]
    NotParked {
        /// The offset.
        offset: u64,
    },
    /// An offset to begin at, to go on at or to save is beyond the end of the log.
    #[error("offset {to} is beyond the end of the log, which ends at {head}")]
    ResetBeyondHead {
        /// The offset.
        to: u64,
        /// The offset that the next event of the log will get.
        head: u64,
    },
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A group's state log could not be opened.
    #[error("cannot open the state log of the group {name:?}: {source}")]
    StateLogNotOpened {
        /// The name.
        name: String,
        /// The failure.
        source: Arc<OpenError>,
    },
    /// A group's state log could not be written.
    #[error("cannot write the state log of the group {name:?}: {source}")]
    StateLogNotWritten {
        /// The name.
        name: String,
        /// The failure.
        source: AppendError,
    },
    /// The system failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The action that failed, a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// The store of positions failed.
    #[error("cannot {action} the position of {name:?}: {source}")]
    Position {
        /// The action that failed, a verb.
        action: &'static str,
        /// The name.
        name: String,
        /// The error.
        source: Arc<io::Error>,
    },
}

/// The process in which a consumer or a group is running. [`ConsumerError`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// This process.
    ThisProcess,
    /// The process with this id.
    Process(u32),
    /// A process that is not known.
    Unknown,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisProcess => f.write_str("in this process"),
            Self::Process(process) => write!(f, "in process {process}"),
            Self::Unknown => f.write_str("in another process"),
        }
    }
}

impl ConsumerError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.into(), source: Arc::new(source) }
    }
}
