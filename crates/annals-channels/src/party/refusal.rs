//! Why a party does not do something.

use annals::{DecideError, ReadError};

use crate::rules::Violation;
use crate::{Address, Amount, Hash, SignatureError};

/// Why a party did not do it; its log holds nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It breaks a rule.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// It signed another state for that turn, and signs no second.
    #[error("turn {turn_num} is signed with state {first}; it signs no second, {asked}")]
    SecondState {
        /// The turn.
        turn_num: u64,
        /// The hash of the state that it signed.
        first: Hash,
        /// The hash of the state that it was asked to sign.
        asked: Hash,
    },
    /// It signed a final state, and signs nothing after it.
    #[error("turn {final_turn} was signed as the final one; it signs no turn after it, {asked}")]
    Ended {
        /// The turn of the final state.
        final_turn: u64,
        /// The turn that it was asked to sign.
        asked: u64,
    },
    /// Nothing is there to be taken to the chain.
    #[error("no state is supported, so there is nothing to take to the chain")]
    NothingSupported,
    /// A challenge is there that the supported state does not beat.
    #[error("turn {challenged} is challenged, and the supported one, {supported}, is no later")]
    Challenged {
        /// The turn that is challenged.
        challenged: u64,
        /// The turn that is supported.
        supported: u64,
    },
    /// Not everyone has signed a final state.
    #[error("a channel is concluded with a final state that everyone signed; there is none")]
    NotFinal,
    /// The channel is at its end.
    #[error("channel {channel_id} is concluded")]
    Concluded {
        /// The channel.
        channel_id: Hash,
    },
    /// The channel does not hold as much.
    #[error("{held} of {asset} is held; {asked} cannot be withdrawn")]
    NotHeld {
        /// The asset.
        asset: Address,
        /// How much is held.
        held: Amount,
        /// How much was asked for.
        asked: Amount,
    },
    /// It was to send what is not in its log.
    #[error("turn {turn_num} is not in the log with this signature, so it is not sent")]
    Unrecorded {
        /// The turn.
        turn_num: u64,
    },
    /// It was to send what no message can hold.
    #[error("turn {turn_num} is too large to be sent: a message has at most 1 MiB")]
    TooLong {
        /// The turn.
        turn_num: u64,
    },
    /// The state cannot be signed.
    #[error("the state cannot be signed: {0}")]
    Signature(#[from] SignatureError),
}

/// Why a party could not do something.
pub type PartyError = DecideError<Box<Refusal>>;

/// What ends a decision: a reason not to, or a log that cannot be read.
pub(super) enum Stop<R = Box<Refusal>> {
    Refused(R),
    Unread(ReadError),
}

impl<R: Into<Refusal>> From<R> for Stop {
    fn from(reason: R) -> Self {
        Self::Refused(Box::new(reason.into()))
    }
}

/// The refusal for this reason.
pub(super) fn refused(reason: impl Into<Refusal>) -> PartyError {
    DecideError::Rejected(Box::new(reason.into()))
}
