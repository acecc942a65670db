//! The texts of the errors, their causes, and conversions between them.

use std::error::Error;
use std::{fmt, io};

use crate::error::{
    AppendError, Corruption, FollowError, InvalidQuery, LockHolder, OpenError, ReadError,
};
use crate::event::limits::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};

impl fmt::Display for InvalidQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { source } => write!(f, "no event can match the query: {source}"),
            Self::UnknownType { event_type, known } => write!(
                f,
                "no event can match the query: there is no event type {event_type:?}; {}",
                event_types(event_type, known)
            ),
        }
    }
}

impl Error for InvalidQuery {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Name { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { index, source } => write!(f, "event {index} of the batch: {source}"),
            Self::BatchTooLong { count } => write!(
                f,
                "the batch has {count} events; the limit is {MAX_BATCH_EVENTS}: append them in several \
                     batches"
            ),
            Self::BatchTooLarge { bytes } => write!(
                f,
                "the batch has {bytes} bytes or more; the limit is {MAX_BATCH_BYTES} (32 MiB): append it in \
                     several batches"
            ),
            Self::InvalidCondition(error) => write!(f, "the condition guards nothing: {error}"),
            Self::Conflict { offset, .. } => {
                write!(f, "the condition failed: the event at offset {offset} matches its query")
            }
            Self::IdConflict { id, offset, how } => {
                write!(f, "the id {id:?} is already in the log at offset {offset}, {how}")
            }
            Self::IdTwice { id } => {
                write!(f, "duplicate id {id:?} in the batch; each event needs its own")
            }
            Self::TimeGoesBack { given, last } => write!(
                f,
                "the given time, {given} ms, is before the last event's, {last} ms; times never go back"
            ),
            Self::TimeInFuture { given, now } => time_in_future(f, *given, *now),
            Self::ConditionBeyondHead { after, head } => write!(
                f,
                "the condition begins at offset {after}, beyond the head, {head}, so it guards nothing; give \
                     `after` the head at which the decision was made"
            ),
            Self::NoRoom { bytes, source } => {
                write!(f, "no room for {bytes} bytes: {source}{}", room_way_out(source))
            }
            Self::Failed { source } => write!(
                f,
                "writing failed: {source}; reopen the store to continue from what is on disk"
            ),
            Self::Poisoned { cause } => write!(
                f,
                "the store takes no more appends, since a write failed ({cause}); reopen it to continue from \
                     what is on disk"
            ),
            Self::ReadOnly => f.write_str("the store was opened read-only"),
            Self::Forked { opened_by } => write!(
                f,
                "process {opened_by} opened the store, and this process was forked from it; open the store \
                     after the fork"
            ),
            Self::Closed => f.write_str("the store is closed"),
            Self::NotClosed { source } => write!(
                f,
                "everything is durable, but the store was not closed cleanly: {source}; close it again"
            ),
            Self::Read(_) => f.write_str("the log could not be read to check the append"),
            Self::Unavailable { cause } => unavailable(f, cause),
            Self::InDoubt { cause } => in_doubt(f, cause),
            Self::Diverged { cause } => diverged(f, cause),
            Self::ClockAhead { ahead_ms } => write!(
                f,
                "this machine's clock is {ahead_ms} ms ahead of the engine's, and nothing was appended; \
                     correct the clock"
            ),
        }
    }
}

fn time_in_future(f: &mut fmt::Formatter<'_>, given: u64, now: u64) -> fmt::Result {
    write!(
        f,
        "the given time, {given} ms, is more than a day ahead of the clock, {now} ms; times are milliseconds since \
         1970-01-01 UTC (is this one in microseconds or nanoseconds?), and `Batch::allow_future_time` allows it"
    )
}

fn unavailable(f: &mut fmt::Formatter<'_>, cause: &str) -> fmt::Result {
    write!(
        f,
        "the engine could not be used in time ({cause}); nothing was appended and nothing will be: append the batch \
         again"
    )
}

fn in_doubt(f: &mut fmt::Formatter<'_>, cause: &str) -> fmt::Result {
    write!(
        f,
        "the batch was sent, and whether it is in the log is not known yet ({cause}); if all events have ids, append \
         the batch again, else append an empty batch and then look for the events"
    )
}

fn diverged(f: &mut fmt::Formatter<'_>, cause: &str) -> fmt::Result {
    write!(
        f,
        "the store takes no more appends, since its record has diverged: {cause}; stop this program and look at the \
         record"
    )
}

impl Error for AppendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Invalid { source, .. } => Some(source),
            Self::InvalidCondition(error) => Some(error),
            Self::NoRoom { source, .. } | Self::Failed { source } | Self::NotClosed { source } => {
                Some(&**source)
            }
            Self::Read(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ReadError> for AppendError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidQuery(error) => fmt::Display::fmt(error, f),
            Self::Corrupt(error) => fmt::Display::fmt(error, f),
            Self::Decode { offset, event_type, source } => write!(
                f,
                "cannot decode the event at offset {offset}, of type {event_type:?}: {source}"
            ),
            Self::Io { path, source } => write!(f, "cannot read {}: {source}", path.display()),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InvalidQuery(error) => error.source(),
            Self::Corrupt(error) => error.source(),
            Self::Decode { source, .. } => Some(source),
            Self::Io { source, .. } => Some(&**source),
        }
    }
}

impl From<InvalidQuery> for ReadError {
    fn from(error: InvalidQuery) -> Self {
        Self::InvalidQuery(error)
    }
}

impl From<Corruption> for ReadError {
    fn from(error: Corruption) -> Self {
        Self::Corrupt(error)
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, position, offset, expected, found } = self;
        write!(
            f,
            "{} is damaged at byte {position} (offset {offset}): expected {expected}, found {found}",
            file.display()
        )
    }
}

impl Error for Corruption {}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(error) => fmt::Display::fmt(error, f),
            Self::TakenBack { path, offset } => write!(
                f,
                "{}: the event at offset {offset} was read before it was synced, and the writer removed it \
                     since the sync failed; open the store again",
                path.display()
            ),
            Self::Replaced { path, found } => {
                write!(f, "{}: {found}; open the store again", path.display())
            }
            Self::Panicked => {
                f.write_str("the thread that follows the log panicked; open the store again")
            }
        }
    }
}

impl Error for FollowError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Damaged(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Corruption> for FollowError {
    fn from(error: Corruption) -> Self {
        Self::Damaged(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { path } => write!(f, "there is no store at {}", path.display()),
            Self::NotAStore { path, found } => write!(
                f,
                "{} is not an annals store: {found}; give the path of a store, or a path where nothing exists \
                     yet",
                path.display()
            ),
            Self::OtherStore { path, found, expected } => write!(
                f,
                "{} has the store id {}, and the store with the id {} was asked for: give the path of that one",
                path.display(),
                hex(*found),
                hex(*expected)
            ),
            Self::Locked { path, holder } => {
                write!(f, "{} is open for writing {holder}; {}", path.display(), holder.way_out())
            }
            Self::NewerFormat { path, found, supported } => write!(
                f,
                "{} has format {found}; this annals reads formats up to {supported}: use a newer one",
                path.display()
            ),
            Self::Corrupt(error) => write!(
                f,
                "{error}; `annals verify` shows the damage{way_out}",
                way_out = way_out(error)
            ),
            Self::BadOption { name, value, expected } => {
                write!(f, "the option {name} is {value}; it must be {expected}")
            }
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Corrupt(error) => Some(error),
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Corruption> for OpenError {
    fn from(error: Corruption) -> Self {
        Self::Corrupt(error)
    }
}

/// Returns a store id as the text of its UUID.
fn hex(id: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(id));
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]).join("-")
}

/// Returns the event type that was probably meant, or else all event types.
fn event_types(event_type: &str, known: &[&str]) -> String {
    let near =
        known.iter().map(|known| (crate::util::spelling::distance(event_type, known), known)).min();
    match near {
        Some((distance, near)) if distance <= 1 + near.len() / 4 => format!("is it {near:?}?"),
        _ => format!("there are {}", known.join(", ")),
    }
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisProcess => f.write_str("in this process"),
            Self::Process(process) => write!(f, "in process {process}"),
            Self::OtherContainer(process) => {
                write!(f, "in another container (as process {process} there)")
            }
            Self::Inherited => f.write_str(
                "in a process that its file LOCK does not name: a fork of the last writer, or a writer on a full disk",
            ),
            Self::Unknown => f.write_str("in another process"),
        }
    }
}

/// Returns what a user can do about a lack of room. The error of a limit on the size of files says it already.
fn room_way_out(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::FileTooLarge => "",
        _ => "; free some room and append again",
    }
}

/// Returns what a user can still do with a damaged log.
fn way_out(damage: &Corruption) -> String {
    if damage.file.ends_with("closed.json") {
        return "; that file holds no events: remove it, and the store opens".into();
    }
    match damage.offset {
        0 => "; restore the files from a backup".into(),
        offset => {
            format!("; the events before offset {offset} are readable when it is opened read-only")
        }
    }
}
