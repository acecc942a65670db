//! The failures that end a command, and their exit codes.
//!
//! ```text
//!   mod             the failures and their texts
//!   channel         those of state channels
//!   record          those of records in an engine
//!   consumer        those of consumers and groups
//!   advice          what the user can do about each of them
//!   library_errors  the library's errors, in words for a person at a shell
//!   report          prints a failure with its advice
//! ```
//! A failure's text states what is wrong. Its advice states what would be right.

mod advice;
#[cfg(feature = "channels")]
mod channel;
pub(crate) mod consumer;
mod library_errors;
#[cfg(feature = "replicated")]
mod record;
mod report;

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use annals::{
    AppendError, Corruption, FollowError, InvalidEvent, LockHolder, MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS, OpenError, ReadError, SalvageError,
};
use annals_cli::LineError;
use annals_consumer::ConsumerError;
#[cfg(feature = "replicated")]
use annals_replicated::repair::RepairError;

#[cfg(feature = "channels")]
pub(crate) use channel::ChannelFailure;
#[cfg(feature = "replicated")]
pub(crate) use record::RecordFailure;

use crate::csv::error::CsvError;
use crate::store_path::StorePath;

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// A store did not open, for a reason that has no variant of its own.
    #[error("{}", library_errors::not_opened(.0))]
    Open(OpenError),
    /// Another process has the store open for writing.
    #[error("{}", library_errors::locked(store, *holder))]
    Locked { store: PathBuf, holder: LockHolder },
    /// A store did not open because it is damaged.
    #[error("{0}")]
    OpenDamaged(Corruption),
    /// The follower of a store ended.
    #[error("{}", library_errors::not_followed(.0))]
    NotFollowed(FollowError),
    /// An event could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Events could not be appended, and no single line is the cause.
    #[error("{}", library_errors::not_appended(.0))]
    Append(AppendError),
    /// This program was built without the store's backend.
    #[cfg(not(all(feature = "rocksdb", feature = "postgres", feature = "nats")))]
    #[error("cannot open {store}: this annals was built without {}", store.backend())]
    NotBuiltIn { store: StorePath },
    /// A record, or its replica, failed.
    #[cfg(feature = "replicated")]
    #[error(transparent)]
    Record(Box<RecordFailure>),
    /// The command is only for the addresses of records.
    #[error("{store} is a path, and `annals record` is for the address of a record")]
    NotARecord { store: StorePath },
    /// The command is not for the addresses of records.
    #[error("`annals {command}` is for paths, and {store} is the address of a record")]
    NotOnRecord { command: &'static str, store: StorePath },

    /// A line is not an event.
    #[error("line {line}, {problem}")]
    Line {
        line: u64,
        problem: LineError,
        /// Whether it is the first line and does not begin like an object, as in a CSV file.
        may_be_csv: bool,
    },
    /// A line is longer than the limit.
    #[error("line {line} is longer than {limit_bytes} bytes ({} MiB)", limit_bytes >> 20)]
    LineTooLong { line: u64, limit_bytes: usize },
    /// The event of a line cannot be appended.
    #[error("line {line}, column 1: {problem}")]
    EventOfLine { line: u64, problem: AppendError },
    /// The store already contains the id of a line.
    #[error("line {line}, column 1: {problem}")]
    IdInStore {
        line: u64,
        problem: AppendError,
        /// Whether the event in the store has another type.
        other_type: bool,
    },
    /// An earlier line of the same batch has the id of a line, and another type.
    #[error(
        "line {line}, column 1: the id {id:?} is already used by line {first_line}, for an event of another type"
    )]
    IdInBatch { line: u64, id: String, first_line: u64 },
    /// With --if-none, the input does not fit into one batch.
    #[error(
        "line {line}: the input is too large for one batch of at most {MAX_BATCH_EVENTS} events and \
        {MAX_BATCH_BYTES} bytes (32 MiB)"
    )]
    InputTooLarge { line: u64 },
    /// The store contains an event that --if-none excludes.
    #[error("nothing appended: the event at offset {offset} has one of {names} as a tag or type")]
    ConditionFailed { offset: u64, names: String },
    /// Appending failed after a line; batches before it may have been appended.
    #[error("{problem}")]
    AfterLines {
        /// Why appending failed.
        #[source]
        problem: Box<Failure>,
        /// The first line that was not appended.
        next_line: u64,
    },
    /// The data on the command line is not JSON.
    #[error("--data, column {column}: {message}")]
    DataOfOptions { column: usize, message: String },
    /// The options describe an event that breaks a limit.
    #[error(transparent)]
    EventOfOptions(InvalidEvent),
    /// A signal ended the command before its end.
    #[error("interrupted")]
    Interrupted,
    /// A CSV file is wrong.
    #[error(transparent)]
    Csv(CsvError),
    /// A record has no time, and times are kept.
    #[error("line {line}: there is no time")]
    NoTime { line: u64 },
    /// A record is earlier than the one before.
    #[error("line {line}: the time goes back, from {before} to {time}")]
    TimeGoesBack { line: u64, time: String, before: String },
    /// A record is earlier than the last event of the store.
    #[error("line {line}: the time {time} is before that of the store's last event, {last}")]
    BeforeLastEvent { line: u64, time: String, last: String },
    /// A record is more than a day ahead of the clock.
    #[error("line {line}: the time {time} is more than a day ahead of this machine's clock")]
    TimeInFuture { line: u64, time: String },
    /// All events were appended, but their report could not be written.
    #[error("{problem}")]
    Unreported {
        /// Why the report could not be written.
        #[source]
        problem: Box<Failure>,
        /// The last line of the input.
        last_line: u64,
    },

    /// The server did not start, or did not end well.
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Serve(annals_server::ServeError),
    /// The store does not exist, and must not be created.
    #[error("there is no store at {store}")]
    MustExist { store: StorePath },
    /// annals has no such command.
    #[error("there is no command {name:?}")]
    NoSuchCommand {
        name: String,
        /// The commands.
        known: String,
    },
    /// The log has no event with this id.
    #[error("there is no event with the id {id:?}")]
    NoEventWithId { id: String },
    /// The log has no event at this offset.
    #[error("there is no event at offset {offset}: {}", extent(*len))]
    NoEvent { offset: u64, len: u64 },

    /// Verification found damage.
    #[error("{store} is damaged: {problems} found")]
    Damaged { store: StorePath, problems: String },
    /// Verification found damage in index files only, which are derived from the log.
    #[error("{store} is damaged: {problems} found, in index files only; no event is lost")]
    DamagedIndex { store: StorePath, problems: String },
    /// A damaged store was read up to the damage. The damage itself was logged as a warning.
    #[error("the log is damaged; only the events before the damage were used")]
    ReadBeforeDamage,

    /// A damaged store could not be salvaged.
    #[error("{}", library_errors::not_salvaged(.0))]
    Salvage(SalvageError),
    /// The source or the target of a salvage is not a Journal.
    #[error(
        "`annals salvage` works only from a store in files to a store in files, without `rocksdb:`"
    )]
    SalvageOfFilesOnly,
    /// A salvage saved the whole events, but durable events are missing.
    #[error("{from} was salvaged in part: {saved} saved, {missing} missing")]
    SalvagedInPart { from: StorePath, saved: String, missing: String },
    /// The target of a copy contains another log.
    #[error("{to} is not a copy of {from}: {difference}")]
    NotACopy { from: StorePath, to: StorePath, difference: String },
    /// The target of a copy is its source, or inside its source.
    #[error(
        "{to} is {} {from}; a store cannot be copied into itself",
        if *inside { "inside" } else { "the same store as" }
    )]
    CopyIntoItself { from: StorePath, to: StorePath, inside: bool },
    /// Events could not be appended to a copy.
    #[error("{}", library_errors::not_appended(problem))]
    CopyStopped {
        problem: AppendError,
        /// The number of events in the copy.
        copied: u64,
    },
    /// The source of a copy could not be read to its end.
    #[error("{problem}")]
    SourceUnreadable {
        problem: ReadError,
        /// The number of events in the copy.
        copied: u64,
    },

    /// The demo did not finish.
    #[cfg(feature = "channels")]
    #[error("the demo failed: {problem}")]
    Demo {
        /// Why it did not finish.
        #[source]
        problem: Box<Failure>,
        /// The directory that it wrote to.
        directory: PathBuf,
    },
    /// A claim of the demo is not true.
    #[cfg(feature = "channels")]
    #[error("this claim is not true: {claim}")]
    FalseClaim { claim: String },
    /// The demo's directory exists and is not an empty directory.
    #[cfg(feature = "channels")]
    #[error("{} already exists and is not an empty directory", directory.display())]
    DemoDirectoryNotEmpty { directory: PathBuf },
    /// The demo's directory could not be created or read.
    #[cfg(feature = "channels")]
    #[error("cannot create {}", directory.display())]
    DemoDirectory {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The process that the demo kills could not be started, read from or killed.
    #[cfg(feature = "channels")]
    #[error("cannot run the demo's second process")]
    DemoProcess(#[source] io::Error),
    /// The bench's directory exists and is not an empty directory.
    #[error("{} already exists and is not an empty directory; it was not changed", directory.display())]
    BenchDirectoryNotEmpty { directory: PathBuf },
    /// The bench could not write to the disk.
    #[error("cannot write {}", path.display())]
    BenchDisk {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The bench's files could not be removed.
    #[error("{}cannot remove {}", before(problem.as_deref()), path.display())]
    BenchNotRemoved {
        path: PathBuf,
        #[source]
        source: io::Error,
        /// The failure before that, if there was one.
        problem: Option<Box<Failure>>,
    },
    /// A signal ended the bench.
    #[error("interrupted: the measurement is incomplete, so there are no results")]
    BenchInterrupted,

    /// A consumer or group could not be listed or changed.
    #[error("{}", consumer::text(.0))]
    Consumer(ConsumerError),
    /// Proofs could not be opened, signed or made.
    #[error(transparent)]
    Proof(#[from] annals_proof::ProofError),
    /// A file does not prove what it should.
    #[error("refused: {0}")]
    Check(#[from] annals_proof::CheckError),
    /// A witness did not cosign.
    #[error(transparent)]
    Witness(#[from] annals_proof::WitnessError),
    /// A file about proofs is not of the kind that is expected.
    #[error("{}: {problem}{}", path.display(), kind.map_or(String::new(), |kind| format!("; the file is {kind}")))]
    OtherFile { path: PathBuf, problem: annals_proof::FormatError, kind: Option<&'static str> },
    /// A checkpoint that was given for a comparison says nothing about the log.
    #[error("--against {problem}")]
    Against { problem: Box<Failure> },
    /// A checkpoint that was given for a comparison is not of the log.
    #[error("{}: {problem}", path.display())]
    NotOwn { path: PathBuf, problem: Box<annals_proof::ProofError> },
    /// The log contradicts what was signed.
    #[error("{}", problems.join("; "))]
    Contradicted { problems: Vec<String> },
    /// A state channel is missing or refused an action.
    #[cfg(feature = "channels")]
    #[error(transparent)]
    Channel(#[from] ChannelFailure),

    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    InputFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The input is a directory.
    #[error("{} is a directory", path.as_ref().map_or("the input".into(), |path| path.display().to_string()))]
    InputIsDirectory { path: Option<PathBuf> },
    /// The temporary copy of the input could not be written.
    #[error("cannot write a temporary copy of the input")]
    TemporaryFile(#[source] io::Error),
    /// Standard input could not be read.
    #[error("cannot read the input")]
    Input(#[source] io::Error),
    /// Standard output could not be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// The handler for signals could not be installed.
    #[error("cannot listen for Ctrl-C")]
    Signals(#[source] ctrlc::Error),
}

#[cfg(feature = "replicated")]
impl From<RecordFailure> for Failure {
    fn from(problem: RecordFailure) -> Self {
        Self::Record(Box::new(problem))
    }
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

impl From<ConsumerError> for Failure {
    fn from(problem: ConsumerError) -> Self {
        Self::Consumer(problem)
    }
}

impl From<SalvageError> for Failure {
    fn from(problem: SalvageError) -> Self {
        Self::Salvage(problem)
    }
}

impl From<AppendError> for Failure {
    fn from(problem: AppendError) -> Self {
        Self::Append(problem)
    }
}

impl Failure {
    /// Returns the failure of a line of input, from 1, that is not an event.
    pub(crate) fn of_line(line: u64, bytes: &[u8], problem: LineError) -> Self {
        let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let may_be_csv = line == 1 && !text.trim_ascii_start().starts_with(b"{");
        Self::Line { line, problem, may_be_csv }
    }

    /// Returns the exit code of the command: 2 if the arguments alone are wrong, or a file of
    /// `--against` says nothing about the store; 1 for every other failure.
    pub(crate) fn exit_code(&self) -> u8 {
        let is_wrong_usage = match self {
            Self::NotARecord { .. }
            | Self::NotOnRecord { .. }
            | Self::SalvageOfFilesOnly
            | Self::NoSuchCommand { .. }
            | Self::DataOfOptions { .. }
            | Self::Against { .. }
            | Self::Consumer(ConsumerError::BadName { .. }) => true,
            // The data may be that of a file.
            Self::EventOfOptions(problem) => !matches!(problem, InvalidEvent::DataTooLarge { .. }),
            #[cfg(feature = "replicated")]
            Self::Record(problem) => matches!(
                **problem,
                RecordFailure::Address(_)
                    | RecordFailure::Repair { problem: RepairError::Reason, .. }
            ),
            _ => false,
        };
        if is_wrong_usage { 2 } else { 1 }
    }

    /// Returns whether the failure is only that the reader of standard output closed the pipe.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == ErrorKind::BrokenPipe)
    }

    /// Returns whether another process has the store, or the replica, open for writing.
    pub(crate) fn is_locked(&self) -> bool {
        match self {
            #[cfg(feature = "replicated")]
            Self::Record(problem) => matches!(**problem, RecordFailure::InUse { .. }),
            problem => matches!(problem, Self::Locked { .. }),
        }
    }

    /// Returns whether a signal ended the command.
    pub(crate) fn is_interrupt(&self) -> bool {
        match self {
            Self::AfterLines { problem, .. } => problem.is_interrupt(),
            problem => matches!(problem, Self::Interrupted),
        }
    }

    /// Returns the failure of an event that was not on a line of input.
    pub(crate) fn without_line(self) -> Self {
        match self {
            Self::EventOfLine { problem, .. } | Self::IdInStore { problem, .. } => {
                Self::Append(problem)
            }
            problem => problem,
        }
    }

    /// Returns the text of the failure and of all its causes. A cause whose text is already part of the message is left
    /// out.
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
}

/// Returns the message of an earlier failure, as the beginning of another message.
fn before(problem: Option<&Failure>) -> String {
    problem.map_or(String::new(), |problem| format!("{}; ", problem.message()))
}

fn extent(len: u64) -> String {
    match len {
        0 => "the store is empty".to_owned(),
        len => format!("the store has offsets 0 to {}", len - 1),
    }
}
