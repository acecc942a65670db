//! The reasons for which a party refuses an action.

use annals::{DecideError, ReadError};
use annals_proof::ProofError;

use crate::log::refusal::LogError;
use crate::rules::Violation;
use crate::{Address, Amount, Hash, SignatureError};

/// The reason for which a party refused an action. Its log is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The event would break a rule.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The party has signed another state for the turn, and does not sign a second one.
    #[error(
        "the party has signed state {first} for turn {turn_num}, and does not sign a second one, {asked}"
    )]
    SecondState {
        /// The turn.
        turn_num: u64,
        /// The hash of the state that the party signed.
        first: Hash,
        /// The hash of the state that the caller asked it to sign.
        asked: Hash,
    },
    /// The party has signed a final state, and signs no later turn.
    #[error(
        "the party has signed turn {final_turn} as the final one, and does not sign a later turn, {asked}"
    )]
    Ended {
        /// The turn of the final state.
        final_turn: u64,
        /// The turn that the caller asked it to sign.
        asked: u64,
    },
    /// No state is supported, so the party has none to submit to the chain.
    #[error("no state is supported, so there is none to submit to the chain")]
    NothingSupported,
    /// The supported turn is not later than the turn of the open challenge.
    #[error("turn {challenged} is challenged, and the supported turn, {supported}, is not later")]
    Challenged {
        /// The turn that is challenged.
        challenged: u64,
        /// The turn that is supported.
        supported: u64,
    },
    /// Not every participant has signed a final state.
    #[error(
        "a channel is concluded with a final state that every participant signed; there is none"
    )]
    NotFinal,
    /// The channel is concluded already.
    #[error("channel {channel_id} is concluded already")]
    Concluded {
        /// The channel.
        channel_id: Hash,
    },
    /// The channel holds less than the amount to withdraw.
    #[error("the channel holds {held} of {asset}; {asked} cannot be withdrawn")]
    NotHeld {
        /// The asset.
        asset: Address,
        /// The amount held.
        held: Amount,
        /// The amount to withdraw.
        asked: Amount,
    },
    /// The signature to send is not in the party's log.
    #[error("turn {turn_num} is not in the log with this signature, so it cannot be sent")]
    Unrecorded {
        /// The turn.
        turn_num: u64,
    },
    /// The state is too large for a message.
    #[error("turn {turn_num} is too large to send: a message has at most 1 MiB")]
    TooLong {
        /// The turn.
        turn_num: u64,
    },
    /// A participant has not shown yet which checkpoint of this log it has, so the log may be an old copy.
    #[error(
        "the party signs nothing until {participant} has shown the last checkpoint of this log that it has: the log may \
         have been restored from an old backup"
    )]
    Unconfirmed {
        /// The participant.
        participant: Address,
    },
    /// The log is shorter than a checkpoint that it signed.
    #[error(
        "the log has {events} events, and signed a checkpoint of {signed}: it was rolled back, and signs nothing more"
    )]
    RolledBack {
        /// The number of events in the log.
        events: u64,
        /// The size of the signed checkpoint.
        signed: u64,
    },
    /// The log has other events than a checkpoint that it signed.
    #[error(
        "the log's first {signed} events are not those of a checkpoint that it signed; it signs nothing more"
    )]
    Forked {
        /// The size of the signed checkpoint.
        signed: u64,
    },
    /// The party was opened without proofs of its log.
    #[error(
        "the party was opened without proofs of its log; open it with `PartyOptions::open_proved`"
    )]
    NoProofs,
    /// A supplied state is not one that the log has a signature of.
    #[error("the log has no signature of the supplied state {state_hash} among the selected turns")]
    OtherState {
        /// The hash of the state.
        state_hash: Hash,
    },
    /// The proofs of the log failed.
    #[error("{0}")]
    Log(String),
    /// The state cannot be signed.
    #[error("the state cannot be signed: {0}")]
    Signature(#[from] SignatureError),
}

impl Refusal {
    /// Returns the reason that an error of the log's proofs is.
    pub(super) fn of_log(error: LogError) -> Self {
        match error {
            LogError::Proof(error) => Self::of_proofs(&error),
            other => Self::Log(with_causes(&other)),
        }
    }

    /// Returns the reason that an error of the proofs is.
    pub(super) fn of_proofs(error: &ProofError) -> Self {
        match *error {
            ProofError::RolledBack { events, signed } => Self::RolledBack { events, signed },
            ProofError::Forked { signed } => Self::Forked { signed },
            ref other => Self::Log(with_causes(other)),
        }
    }
}

/// Returns the text of an error and of its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The reason for which a party's action failed.
pub type PartyError = DecideError<Box<Refusal>>;

/// The end of a decision without events: a reason to refuse, or a log that cannot be read.
pub(super) enum Stop<R = Box<Refusal>> {
    Refused(R),
    Unread(ReadError),
}

impl<R: Into<Refusal>> From<R> for Stop {
    fn from(reason: R) -> Self {
        Self::Refused(Box::new(reason.into()))
    }
}

/// Makes an error of this reason.
pub(super) fn refused(reason: impl Into<Refusal>) -> PartyError {
    DecideError::Rejected(Box::new(reason.into()))
}
