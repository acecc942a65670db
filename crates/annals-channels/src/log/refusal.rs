//! The reasons for which a party refuses a message about a log.

use annals::{DecideError, ReadError};
use annals_proof::{CheckError, ProofError};

use crate::hex::Address;
use crate::signing::SignatureError;

/// The reason for which a party refused a message about a log. It signed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogRefusal {
    /// A statement of keys is of another account than the caller expects.
    #[error("the statement is of {found}, not of {expected}")]
    OtherAccount {
        /// The expected account.
        expected: Address,
        /// The account of the statement.
        found: Address,
    },
    /// The log has another key, or another owner, by an earlier statement. A new key needs a new name.
    #[error(
        "the log {origin} was stated with another key or by another account; a new key needs a new origin"
    )]
    OtherKey {
        /// The name of the log.
        origin: String,
    },
    /// No account stated the keys of this log.
    #[error("no account stated the keys of the log {origin}")]
    UnknownLog {
        /// The name of the log.
        origin: String,
    },
    /// The log's owner stated a newer log. A thief may have the old key, so this party neither cosigns the old log nor
    /// takes a statement of its keys again.
    #[error(
        "the owner of the log {origin} replaced it by {current}, so this party does not cosign it"
    )]
    Retired {
        /// The name of the old log.
        origin: String,
        /// The name of the owner's current log.
        current: String,
    },
    /// The message is from another peer than the log's owner.
    #[error("the peer {peer_id:?} has not stated the keys of a log, or of another one")]
    OtherPeer {
        /// The peer.
        peer_id: String,
    },
    /// A signature or a proof does not hold.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The log contradicts what this party cosigned. Both checkpoints together may convict its owner: keep them.
    #[error("the log {origin} contradicts what this party cosigned at size {size}: {problem}")]
    Contradicts {
        /// The name of the log.
        origin: String,
        /// The size that this party cosigned.
        size: u64,
        /// The contradiction.
        problem: Box<CheckError>,
        /// The checkpoint that this party cosigned.
        cosigned: String,
        /// The checkpoint that contradicts it.
        shown: String,
    },
    /// A participant has not shown yet which checkpoint of this log it has, so the log may be an old copy, which has
    /// forgotten what the party cosigned.
    #[error(
        "the party cosigns nothing until {participant} has shown the last checkpoint of this log that it has: the log may \
         have been restored from an old backup"
    )]
    Unconfirmed {
        /// The participant.
        participant: Address,
    },
    /// A cosignature is of no checkpoint that the party sent last.
    #[error("the receipt is of none of the checkpoints that were sent last, or not by a known key")]
    NoSuchCheckpoint,
    /// The time of a receipt is more than a minute ahead of this party's clock. In a dispute, such a receipt would make
    /// every later event of the log look backdated.
    #[error("the receipt of the peer {peer_id:?} has a time {seconds} seconds in the future")]
    FromTheFuture {
        /// The peer.
        peer_id: String,
        /// The number of seconds that its time is ahead of this party's clock.
        seconds: u64,
    },
    /// A peer shows less of this log than it cosigned: it lost its memory, or does not show all of it.
    #[error("the peer {peer_id:?} shows {shown} events of this log, and it cosigned {cosigned}")]
    ShowsLess {
        /// The peer.
        peer_id: String,
        /// The size that it shows; 0 for nothing.
        shown: u64,
        /// The size that it cosigned, by its last receipt.
        cosigned: u64,
    },
    /// The message is about something else.
    #[error("the message is not about a log: {problem}")]
    OtherMessage {
        /// The subject of the message.
        problem: String,
    },
}

/// Why a [`PartyLog`](crate::PartyLog) did not do something.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// It refused. Nothing was signed.
    #[error(transparent)]
    Refused(Box<LogRefusal>),
    /// The proofs failed; [`ProofError::RolledBack`] and [`ProofError::Forked`] if the log contradicts what it signed.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event could not be recorded.
    #[error("the event cannot be recorded: {0}")]
    Record(String),
    /// The statement of keys cannot be signed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl From<LogRefusal> for LogError {
    fn from(refusal: LogRefusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<CheckError> for LogError {
    fn from(error: CheckError) -> Self {
        LogRefusal::Check(error).into()
    }
}

impl From<DecideError<LogRefusal>> for LogError {
    fn from(error: DecideError<LogRefusal>) -> Self {
        match error {
            DecideError::Rejected(refusal) => refusal.into(),
            DecideError::Read(error) => error.into(),
            other => Self::Record(other.to_string()),
        }
    }
}
