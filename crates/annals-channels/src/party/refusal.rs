//! Why a party does not do something.

use annals::{DecideError, ReadError};

use crate::rules::BrokenRule;
use crate::{Hash, SignatureError};

/// Why a party did not do it; its log holds nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It breaks a rule.
    #[error(transparent)]
    Broken(#[from] BrokenRule),
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
    /// The state cannot be signed.
    #[error("the state cannot be signed: {0}")]
    Signature(#[from] SignatureError),
}

/// Why a party could not do something.
pub type PartyError = DecideError<Box<Refusal>>;

/// What ends a decision: a reason not to, or a log that cannot be read.
pub(super) enum Stop {
    Refused(Box<Refusal>),
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
