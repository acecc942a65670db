//! The failures of `annals state` and `annals demo` that are about state channels.

use annals_channels::{
    EvidenceError, Hash, InvalidField, LogError, PartyError, RecordError, SignatureError,
};

use super::Failure;
use crate::human::counted;

/// What is wrong with a channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ChannelFailure {
    /// The log has no events of this channel.
    #[error("there is no channel {channel_id} in the store: {}", channel_count(*count))]
    NoChannel {
        channel_id: Hash,
        /// The number of channels in the store.
        count: usize,
        /// The ids of the first few of them.
        first: Vec<String>,
    },
    /// The channel did not exist yet at this offset.
    #[error(
        "at offset {offset} there was no channel {channel_id} yet: its first event is at offset {first}"
    )]
    NoChannelYet { channel_id: Hash, offset: u64, first: u64 },
    /// A party of a channel refused an action.
    #[error(transparent)]
    Party(PartyError),
    /// An event of the chain could not be recorded.
    #[error(transparent)]
    Record(RecordError),
    /// A state could not be signed.
    #[error(transparent)]
    Signature(SignatureError),
    /// Evidence does not hold.
    #[error("refused: {0}")]
    Evidence(EvidenceError),
    /// The log of a party, or its proofs, failed.
    #[error(transparent)]
    Log(LogError),
    /// A field has a value that no channel can have.
    #[error(transparent)]
    Field(InvalidField),
}

fn channel_count(count: usize) -> String {
    match count {
        0 => "it has no channels".to_owned(),
        count => format!("it has {}", counted(count as u64, "channel")),
    }
}

impl From<PartyError> for Failure {
    fn from(problem: PartyError) -> Self {
        ChannelFailure::Party(problem).into()
    }
}

impl From<EvidenceError> for Failure {
    fn from(problem: EvidenceError) -> Self {
        match problem {
            EvidenceError::Check(problem) => problem.into(),
            problem => ChannelFailure::Evidence(problem).into(),
        }
    }
}

impl From<LogError> for Failure {
    fn from(problem: LogError) -> Self {
        ChannelFailure::Log(problem).into()
    }
}

impl From<RecordError> for Failure {
    fn from(problem: RecordError) -> Self {
        ChannelFailure::Record(problem).into()
    }
}

impl From<SignatureError> for Failure {
    fn from(problem: SignatureError) -> Self {
        ChannelFailure::Signature(problem).into()
    }
}

impl From<InvalidField> for Failure {
    fn from(problem: InvalidField) -> Self {
        ChannelFailure::Field(problem).into()
    }
}
