//! The errors of a format, of a proof, and of the proofs of a log.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use annals::{AppendError, ReadError};

/// A file or a text is not in its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: {problem}")]
pub struct FormatError {
    /// The expected format, for example "checkpoint".
    pub what: &'static str,
    /// The deviation from that format.
    pub problem: String,
}

impl FormatError {
    pub(crate) fn new(what: &'static str, problem: impl Into<String>) -> Self {
        Self { what, problem: problem.into() }
    }
}

/// Why a proof, a signature or a piece of evidence does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The input is not in its format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The hashes do not lead to the root.
    #[error("{proof}: the hashes do not lead to the root of the checkpoint at size {size}")]
    WrongRoot {
        /// The kind of the proof.
        proof: &'static str,
        /// The size of the tree.
        size: u64,
    },
    /// A proof does not fit the size of the tree.
    #[error("{proof}: {problem}")]
    WrongShape {
        /// The kind of the proof.
        proof: &'static str,
        /// A description of the part that does not fit.
        problem: String,
    },
    /// A signature of a known key is wrong.
    #[error("the signature of {name} is not valid")]
    BadSignature {
        /// The name of the key.
        name: String,
    },
    /// No known key has signed.
    #[error(
        "no known key of {origin} has signed the checkpoint; keys must come from elsewhere than the file that is checked"
    )]
    NotSigned {
        /// The origin of the checkpoint.
        origin: String,
    },
    /// A key that signs the checkpoints of its own log was given as the key of a witness.
    #[error(
        "the key of {name} signs checkpoints of its own log; a witness cosigns with its other key: give its \
         `witness_vkey`"
    )]
    NotAWitness {
        /// The name of the key.
        name: String,
    },
    /// A cosignature is not by the expected witness.
    #[error("the cosignature names {found}, and is not by the key {expected}")]
    OtherCosigner {
        /// The vkey of the expected witness.
        expected: String,
        /// The name in the line.
        found: String,
    },
    /// Too few witnesses have cosigned.
    #[error("the witnesses that cosigned are not a quorum of the policy: {found}")]
    NoQuorum {
        /// The witnesses that cosigned, or "none".
        found: String,
    },
    /// A file has more signatures of known keys than are checked.
    #[error("it has more than {most} signatures of known keys; at most {most} are checked")]
    TooManySignatures {
        /// The largest number that is verified for a file.
        most: usize,
    },
    /// The checkpoint is of another log.
    #[error("the checkpoint is of the log {found}, not of {expected}")]
    OtherLog {
        /// The origin of the checkpoint.
        found: String,
        /// The expected origin.
        expected: String,
    },
    /// A part of evidence contradicts another part.
    #[error("{0}")]
    Contradiction(String),
}

impl CheckError {
    pub(crate) fn shape(proof: &'static str, problem: impl Into<String>) -> Self {
        Self::WrongShape { proof, problem: problem.into() }
    }
}

/// Why the proofs of a log could not be opened, or did not sign or prove.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// An event could not be read.
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    /// The log could not be made durable.
    #[error("the log cannot be synced, so nothing is signed")]
    Sync(#[from] AppendError),
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The action that failed, a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// The store has no proofs yet, and only its writer can begin them.
    #[error("there are no proofs at {}; sign a first checkpoint", path.display())]
    NoProofs {
        /// The directory.
        path: PathBuf,
    },
    /// The backend has no directory beside it.
    #[error(
        "the backend has no directory; give the path of one for the proofs, or keep them in memory"
    )]
    NoDirectory,
    /// A path is not for this use: a directory to publish to that is part of a store, for example.
    #[error("{} cannot be used: {problem}", path.display())]
    Misplaced {
        /// The path.
        path: PathBuf,
        /// Why it cannot be used, and what to do.
        problem: String,
    },
    /// A file of the proofs is not in its format.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// A description of the damage.
        problem: String,
    },
    /// The proofs are of another store.
    #[error(
        "{} has the proofs of the store {found}, and this store is {expected}; if the log was moved to this store, \
         adopt them (annals checkpoint --adopt)",
        path.display()
    )]
    OtherStore {
        /// The directory.
        path: PathBuf,
        /// The id of the store that the proofs belong to.
        found: String,
        /// The id of this store.
        expected: String,
    },
    /// The origin or the key is another one than the log's.
    #[error(
        "{what} is {given:?}, but the proofs of this log were begun with {kept:?}. Use the old one; only if the log was \
         rolled back and its events are lost, move the directory of the proofs away (`proofs` in the store), keep it, \
         and sign with a new key of a new name"
    )]
    OtherIdentity {
        /// "the origin" or "the key".
        what: &'static str,
        /// The value that was given.
        given: String,
        /// The value in `log.json`.
        kept: String,
    },
    /// The log is shorter than a checkpoint that it signed: an old copy was restored, or another copy is written to.
    #[error(
        "the log has {events} events, but signed a checkpoint of {signed}: it was rolled back (by a restored backup?); \
         nothing is signed. Restore the whole log. If it is lost, move the directory of the proofs away (`proofs` in the \
         store), keep it, and go on under a new origin with a new key"
    )]
    RolledBack {
        /// The number of events in the log.
        events: u64,
        /// The size of the signed checkpoint.
        signed: u64,
    },
    /// The log contains other events than the checkpoint that it signed.
    #[error(
        "the log's first {signed} events are not those of the checkpoint that it signed: events were changed, or \
         replaced after a restored backup; nothing is signed. Restore the signed log. If it is lost, move the directory \
         of the proofs away (`proofs` in the store), keep it, and go on under a new origin with a new key"
    )]
    Forked {
        /// The size of the signed checkpoint.
        signed: u64,
    },
    /// This process does not write the log.
    #[error("only the process that writes the log signs checkpoints; this one opened it read-only")]
    NotTheWriter,
    /// A checkpoint was given that is of another log.
    #[error("the checkpoint is of the log {found}, and this is the log {expected}")]
    OtherLog {
        /// The origin of the checkpoint.
        found: String,
        /// The origin of the log.
        expected: String,
    },
    /// A checkpoint was given that the log's key did not sign, or that was changed since. It says nothing about the log.
    #[error(
        "the checkpoint of {size} events was changed, or the log's key did not sign it, so it says nothing about this \
         log: {problem}"
    )]
    NotOwn {
        /// The size of the checkpoint.
        size: u64,
        /// The reason why its signature is not valid.
        problem: CheckError,
    },
    /// A proof was asked for that the log cannot give.
    #[error("{0}")]
    OutOfRange(String),
    /// A proof does not hold, although it was computed again from the log.
    #[error("the log contradicts the checkpoint")]
    Check(#[from] CheckError),
    /// A key file is not in its format.
    #[error("{}: {problem}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// The deviation from the format.
        problem: FormatError,
    },
    /// A witness's line is not a cosignature of the last checkpoint.
    #[error(
        "the line is not a cosignature of the last checkpoint, which covers {size} events: {problem}. The line is for \
         one checkpoint: it has to be stored before the next one is signed"
    )]
    Receipt {
        /// The size of the last checkpoint.
        size: u64,
        /// The reason why the line is not such a cosignature.
        problem: CheckError,
    },
    /// A name of a log or a key is not valid.
    #[error(transparent)]
    Format(#[from] FormatError),
}

impl ProofError {
    /// Returns a function for `map_err` that adds the failed action and the path to the system's error.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.into(), source: Arc::new(source) }
    }
}
