//! What can end the command with exit code 1, what is said of it, and what the user can do.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;

use annals::{
    AppendError, Corruption, FollowError, LockHolder, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, OpenError,
    ReadError, SalvageError,
};
use annals_channels::{Hash, InvalidField, PartyError, RecordError, SignatureError};
use annals_cli::LineError;

use crate::lines::MAX_LINE_BYTES;
use crate::out::counted;
use crate::place::Place;
use crate::words;

/// Why the command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// A store did not open, for none of the reasons below.
    #[error(transparent)]
    Open(OpenError),
    /// A store is open for writing already.
    #[error("{}", words::locked(store, *holder))]
    Locked { store: PathBuf, holder: LockHolder },
    /// A store did not open because it is damaged.
    #[error("{0}")]
    OpenDamaged(Corruption),
    /// A store that was read is not followed any more.
    #[error("{}", words::not_followed(.0))]
    NotFollowed(FollowError),
    /// An event could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Events could not be appended, for no fault of a line.
    #[error("{}", words::not_appended(.0))]
    Append(AppendError),
    /// The store is of a kind that this build cannot open.
    #[cfg(not(feature = "rocksdb"))]
    #[error("{store}: this annals was built without RocksDB")]
    NotBuiltIn { store: Place },
    /// A line is no event.
    #[error("line {line}, {problem}")]
    Line { line: u64, problem: LineError },
    /// A line is too long to be read.
    #[error("line {line} is longer than {MAX_LINE_BYTES} bytes (64 MiB), the limit of a line")]
    LineTooLong { line: u64 },
    /// The event of a line cannot be appended.
    #[error("line {line}, column 1: {problem}")]
    EventOfLine { line: u64, problem: AppendError },
    /// The id of a line stands on an earlier line of the same batch, with another type.
    #[error(
        "line {line}, column 1: the id {id:?} is on line {first_line} already, for an event of another type"
    )]
    IdOfAnotherType { line: u64, id: String, first_line: u64 },
    /// Input that must be one batch does not fit into one.
    #[error(
        "line {line}: the input is too large; with --if-none it is one batch, of at most {MAX_BATCH_EVENTS} events and {MAX_BATCH_BYTES} bytes (32 MiB)"
    )]
    TooMuchForOneBatch { line: u64 },
    /// What must not be in the store is in it.
    #[error("nothing appended: the event at offset {offset} has one of {names} as a tag or type")]
    InTheWay { offset: u64, names: String },
    /// A batch could not be appended, after others were.
    #[error("{problem}")]
    AfterLines {
        /// What happened.
        #[source]
        problem: Box<Failure>,
        /// The first line of which nothing is in the store.
        next_line: u64,
    },
    /// Everything was appended, and that could not be told.
    #[error("{problem}")]
    Unreported {
        /// Why it could not be.
        #[source]
        problem: Box<Failure>,
        /// The last line of the input.
        last_line: u64,
    },
    /// There is no event of this offset.
    #[error("there is no event at offset {offset}: {}", extent(*len))]
    NoEvent { offset: u64, len: u64 },
    /// There is no such channel.
    #[error("the log knows no channel {channel_id}: {}", channel_count(*count))]
    NoChannel {
        channel_id: Hash,
        /// How many it knows.
        count: usize,
        /// The first of them.
        first: Vec<String>,
    },
    /// There was no such channel yet.
    #[error(
        "at offset {offset} there was no channel {channel_id} yet: its first event is at offset {first}"
    )]
    NoChannelYet { channel_id: Hash, offset: u64, first: u64 },
    /// A verification found damage.
    #[error("{store} is damaged: {problems} found")]
    Damaged { store: Place, problems: String },
    /// A verification found damage, and all of it in files that are made from the log.
    #[error("{store} is damaged: {problems} found, in index files only; no event is lost")]
    DamagedIndex { store: Place, problems: String },
    /// A store was opened as far as it is good, and that was told as a warning.
    #[error("the log is damaged; only what is good before the damage was used")]
    OnlyTheGoodPart,
    /// A damaged store could not be salvaged.
    #[error(transparent)]
    Salvage(#[from] SalvageError),
    /// A salvage of, or to, a store that is not in files.
    #[error("only a store in files can be salvaged, to a store in files")]
    SalvageOfFilesOnly,
    /// What was whole was salvaged, and that was not all.
    #[error("{from} was salvaged in part: {saved} saved, {missing} missing")]
    SalvagedInPart { from: Place, saved: String, missing: String },
    /// A copy's target is no copy of its source.
    #[error("{to} is no copy of {from}: {difference}")]
    OtherLog { from: Place, to: Place, difference: String },
    /// A copy's target is its source, or in it.
    #[error("{to} is {} {from}: a store is not copied into itself", if *inside { "inside" } else { "the same store as" })]
    IntoItself { from: Place, to: Place, inside: bool },
    /// A copy could not be appended to.
    #[error("{}", words::not_appended(problem))]
    CopyStopped {
        /// What happened.
        problem: AppendError,
        /// Events that the copy has.
        copied: u64,
    },
    /// A copy's source could not be read to its end.
    #[error("{problem}")]
    SourceUnreadable { problem: ReadError, copied: u64 },
    /// The demo did not come to its end.
    #[error("the demo failed: {problem}")]
    Demo {
        /// What happened.
        #[source]
        problem: Box<Failure>,
        /// Where it wrote.
        directory: PathBuf,
    },
    /// The demo found that something is not as it says.
    #[error("this does not hold: {claim}")]
    NotSo { claim: String },
    /// The demo's directory has something in it, or is none.
    #[error("{} is there already, and is no empty directory", directory.display())]
    DemoPlaceTaken { directory: PathBuf },
    /// The demo's directory could not be made or read.
    #[error("cannot create {}", directory.display())]
    DemoPlace {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The process that the demo kills could not be started, heard or killed.
    #[error("cannot run the demo's second process")]
    DemoProcess(#[source] io::Error),
    /// What is to be measured is there already.
    #[error("{} is there already, and is no empty directory: nothing of it was touched", directory.display())]
    BenchPlaceTaken { directory: PathBuf },
    /// The disk did not do what is to be measured.
    #[error("cannot write {}", path.display())]
    BenchDisk {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// What the bench had written could not be removed.
    #[error("{}cannot remove {}", before(problem.as_deref()), path.display())]
    BenchLeft {
        path: PathBuf,
        #[source]
        source: io::Error,
        /// What else had gone wrong before.
        problem: Option<Box<Failure>>,
    },
    /// The bench was told to stop.
    #[error("interrupted: nothing was measured to its end")]
    BenchInterrupted,
    /// A party refused.
    #[error(transparent)]
    Party(#[from] PartyError),
    /// What the chain says was not recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Something could not be signed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A value that no channel can have.
    #[error(transparent)]
    Field(#[from] InvalidField),
    /// Standard input could not be read.
    #[error("cannot read the input")]
    Input(#[source] io::Error),
    /// Standard output could not be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// Signals could not be listened for.
    #[error("cannot listen for Ctrl-C")]
    Signals(#[source] ctrlc::Error),
}

impl From<OpenError> for Failure {
    fn from(problem: OpenError) -> Self {
        match problem {
            OpenError::Locked { path, holder } => Self::Locked { store: path, holder },
            OpenError::Corrupt(damage) => Self::OpenDamaged(damage),
            problem => Self::Open(problem),
        }
    }
}

impl From<AppendError> for Failure {
    fn from(problem: AppendError) -> Self {
        Self::Append(problem)
    }
}

impl Failure {
    /// Whether it is only that nobody reads the results any more.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == ErrorKind::BrokenPipe)
    }

    /// The error with all its causes; one that says already what its cause says does not say it twice.
    pub(crate) fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                // Writing into a String does not fail.
                let _ = write!(message, ": {text}");
            }
            cause = error.source();
        }
        message
    }

    /// Says it on standard error, with what the user can do.
    pub(crate) fn tell(&self) {
        let advice = self.advice().map_or(String::new(), |advice| format!("\n  {advice}"));
        // If standard error is gone there is nobody to tell.
        let _ = writeln!(io::stderr(), "annals: {}{advice}", self.message());
    }

    /// What the user can do about a store that is not there, or locked.
    fn advice_about_opening(&self) -> Option<String> {
        match self {
            Self::Open(OpenError::NotFound { .. }) => {
                Some("check the path; `annals append` creates a store".into())
            }
            Self::Salvage(SalvageError::Open(OpenError::NotFound { .. })) => {
                Some("check the path".into())
            }
            Self::Locked { store, holder } => Some(words::about_lock(store, *holder)),
            _ => None,
        }
    }

    /// What the user can do about a damaged store.
    fn advice_about_damage(&self) -> Option<String> {
        match self {
            Self::OnlyTheGoodPart => Some("`annals verify STORE` tells all that is wrong; `annals salvage STORE NEW` saves what is whole, also behind the damage".into()),
            Self::SalvageOfFilesOnly => Some("`annals copy STORE NEW` saves the events before the damage, if the database still opens".into()),
            Self::SalvagedInPart { .. } => Some("what is missing is listed above; bring it back from a backup, if there is one".into()),
            Self::Salvage(SalvageError::Write { .. }) => Some("remove the new store, and salvage again".into()),
            Self::OpenDamaged(damage) => Some(words::about_damage(damage)),
            Self::Damaged { store: Place::RocksDb(_), .. } => {
                Some("`annals copy STORE NEW` saves the events before the damage, if the database still opens; or bring it back from a backup".into())
            }
            Self::Damaged { .. } => {
                Some("`annals salvage STORE NEW` saves every event that is whole, also behind the damage; or bring the files back from a backup".into())
            }
            // It may be of either kind of store.
            Self::Read(ReadError::Corrupt(_)) => {
                Some("`annals salvage STORE NEW` saves every event that is whole, also behind the damage (of a store in RocksDB, `annals copy STORE NEW` those before it); or bring the files back from a backup".into())
            }
            _ => None,
        }
    }

    /// What the user can do, if the error does not say that itself.
    pub(crate) fn advice(&self) -> Option<String> {
        if let Some(advice) = self.advice_about_damage().or_else(|| self.advice_about_opening()) {
            return Some(advice);
        }
        match self {
            Self::Open(OpenError::Io { source, .. }) | Self::DemoPlace { source, .. } => {
                io_advice(source)
            }
            Self::Salvage(SalvageError::Open(OpenError::Io { source, .. })) => io_advice(source),
            Self::NotFollowed(error) => Some(words::about_follower(error)),
            Self::Read(ReadError::Decode { offset, .. }) => {
                Some(format!("`annals get STORE {offset}` shows it"))
            }
            Self::NoChannel { first, count: count @ 1.., .. } => {
                let others = if first.len() < *count { ", among others," } else { "" };
                let first = first.join(", ");
                Some(format!("it knows{others} {first}; `annals tags STORE --prefix channel:` shows all there are"))
            }
            Self::NoChannelYet { first, .. } => {
                Some(format!("`--at {first}` shows it right after that event"))
            }
            Self::Append(AppendError::Read(_)) => {
                Some("`annals verify STORE` tells all that is wrong".into())
            }
            #[cfg(not(feature = "rocksdb"))]
            Self::NotBuiltIn { store } => Some(format!(
                "`cargo build --release -p annals-cli --features rocksdb` builds one with it (it takes libclang, a C++ compiler, and 20 to 40 minutes); a directory of that name is ./{store}"
            )),
            Self::LineTooLong { .. } => Some("end each event with a line feed".into()),
            Self::EventOfLine { problem: AppendError::IdConflict { how, .. }, .. } => {
                Some(if how.contains("of the type") {
                    "give the event another id".into()
                } else {
                    "with --if-none the input is one batch, which cannot have both new events and ones that are in the store already: give only the new lines".into()
                })
            }
            Self::IdOfAnotherType { .. } => Some("give the event another id".into()),
            Self::TooMuchForOneBatch { .. } => Some("append less at a time".into()),
            Self::InTheWay { offset, .. } => Some(format!("`annals get STORE {offset}` shows it")),
            Self::AfterLines { problem, next_line } => {
                let mut done = match next_line - 1 {
                    0 => "nothing was appended".to_owned(),
                    last => format!("the lines up to {last} are appended, none from {next_line} on"),
                };
                if let Self::Append(AppendError::NoRoom { source, .. }) = &**problem {
                    let once = match source.kind() {
                        ErrorKind::FileTooLarge => "the limit is raised",
                        _ => "there is room",
                    };
                    // Writing into a String does not fail.
                    let _ = write!(done, "; once {once}, go on with line {next_line}");
                }
                Some(problem.advice().map_or(done.clone(), |advice| format!("{advice}; {done}")))
            }
            Self::Unreported { last_line: 0, .. } => {
                Some("there was nothing to append; only the report could not be written".into())
            }
            Self::Unreported { last_line, .. } => Some(format!(
                "everything up to line {last_line}, the last one, is appended; only the report could not be written, so do not append it again"
            )),
            Self::DamagedIndex { .. } => Some(
                "remove the index files named above; they are made again from the log when the store is next opened for appending".into(),
            ),
            Self::IntoItself { .. } => {
                Some("copy to a path outside the store, where nothing is yet or an earlier copy is".into())
            }
            Self::CopyStopped { copied: 0, .. } => Some("nothing was copied".into()),
            Self::CopyStopped { copied, .. } => {
                Some(format!("the copy has the first {copied} events; run the same again, and it goes on from there"))
            }
            Self::SourceUnreadable { copied, .. } => {
                Some(format!("the copy has the {copied} events before that; of a store in files, `annals salvage STORE NEW` also saves those behind it; or bring the rest from a backup"))
            }
            Self::OtherLog { .. } => {
                Some("copy to a path where nothing is yet, or to an earlier copy of the same store".into())
            }
            Self::Demo { problem, directory } => problem.advice().or_else(|| {
                Some(format!("what it wrote is in {}, to be looked at", directory.display()))
            }),
            Self::DemoPlaceTaken { .. } => Some(
                "the demo writes only where nothing is: give it another directory, or remove that one if it is of an earlier demo".into(),
            ),
            Self::BenchPlaceTaken { .. } => Some(
                "the bench never writes to a store that is there: give it a path where nothing is yet, on the disk to measure".into(),
            ),
            Self::BenchDisk { source, .. } => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(
                    "free some room, measure less (--seconds, --events, --payload), or give a path on another disk".into(),
                ),
                _ => io_advice(source),
            },
            Self::BenchLeft { .. } => Some("look at what is still there, and remove it yourself".into()),
            Self::BenchInterrupted => Some("nothing is left behind".into()),
            Self::Output(error) => io_advice(error),
            _ => None,
        }
    }
}

fn io_advice(error: &io::Error) -> Option<String> {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => "check who may read and write there, or give another path",
        ErrorKind::ReadOnlyFilesystem => "give a path on a file system that can be written to",
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            "create the directory that the path is in first, or check the path's spelling"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some room and try again",
        _ => return None,
    };
    Some(advice.into())
}

/// What went wrong first, in front of what did then.
fn before(problem: Option<&Failure>) -> String {
    problem.map_or(String::new(), |problem| format!("{}; ", problem.message()))
}

fn channel_count(count: usize) -> String {
    match count {
        0 => "it has none".to_owned(),
        count => format!("it has {}", counted(count as u64, "channel")),
    }
}

fn extent(len: u64) -> String {
    match len {
        0 => "the store is empty".to_owned(),
        len => format!("the store has offsets 0 to {}", len - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn no_room() -> AppendError {
        AppendError::NoRoom { bytes: 9, source: Arc::new(ErrorKind::StorageFull.into()) }
    }

    /// A test of the command cannot, without privileges, have the system run out of room.
    #[test]
    fn when_there_is_no_room_it_is_told_what_is_there() {
        let after =
            |next_line| Failure::AfterLines { problem: Box::new(no_room().into()), next_line };
        assert_eq!(
            after(1).advice().unwrap(),
            "nothing was appended; once there is room, go on with line 1"
        );
        assert_eq!(
            after(21).advice().unwrap(),
            "the lines up to 20 are appended, none from 21 on; once there is room, go on with line 21"
        );
        let copy = Failure::CopyStopped { problem: no_room(), copied: 7 };
        assert!(copy.message().starts_with("no room for 9 bytes"), "{}", copy.message());
        assert!(copy.advice().unwrap().starts_with("the copy has the first 7 events"));
    }
}
