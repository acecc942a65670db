//! The 24 events of state channels.
//!
//! ```text
//!   objective   created ─▶ approved ─▶ cranked … ─▶ completed        message   sent ─▶ acked
//!                      └─▶ rejected                                            received, dropped
//!   channel     created ─▶ signed, received … ─▶ supported … ─▶ finalized
//!   chain       deposits, allocations, challenges, concluded, withdrawn
//!   log         key stated, checkpoint cosigned, receipt received               state     kept
//! ```

mod chain;
mod channel;
mod kept;
mod log;
mod message;
mod objective;
mod payload;

use annals::{CodecError, Event, InvalidEvent, RawEvent};

pub use chain::{
    AllocationUpdated, ChallengeCleared, ChallengeRegistered, ChannelConcluded, DepositDetected,
    WithdrawCompleted,
};
pub use channel::{
    ChannelCreated, ChannelFinalized, StateReceived, StateSigned, StateSupportedUpdated,
};
pub use kept::StateKept;
pub use log::{CheckpointCosigned, LogKeyStated, ReceiptReceived};
pub use message::{DropCode, MessageAcked, MessageDropped, MessageReceived, MessageSent};
pub use objective::{
    ObjectiveApproved, ObjectiveCompleted, ObjectiveCranked, ObjectiveCreated, ObjectiveRejected,
    ObjectiveType,
};

/// An event about an objective, a channel, a message or a log.
///
/// In the log it has a type, its id, and tags for what it names: `channel:0x…`, `objective:0x…`, `message:0x…`,
/// `peer:…` and `participant:0x…`, with hex in lower case. Its payload is canonical JSON (RFC 8785), except that
/// integers keep all their digits.
///
/// An event of more than 62 participants has no tags for them, because an event has at most 64 tags.
#[derive(Debug, Clone, PartialEq, Eq, Event)]
pub enum ChannelEvent {
    /// An objective was proposed.
    ObjectiveCreated(ObjectiveCreated),
    /// An objective was approved, and owns its channel.
    ObjectiveApproved(ObjectiveApproved),
    /// An objective was rejected, which is final.
    ObjectiveRejected(ObjectiveRejected),
    /// An objective was advanced as far as possible.
    ObjectiveCranked(ObjectiveCranked),
    /// An objective was completed, which is final.
    ObjectiveCompleted(ObjectiveCompleted),
    /// A channel was created.
    ChannelCreated(ChannelCreated),
    /// The party signed a state.
    StateSigned(StateSigned),
    /// The party received a state that another participant signed.
    StateReceived(StateReceived),
    /// A later state is supported by every participant's signature.
    StateSupportedUpdated(StateSupportedUpdated),
    /// Every participant signed a final state.
    ChannelFinalized(ChannelFinalized),
    /// Funds were locked.
    DepositDetected(DepositDetected),
    /// The chain holds another amount for the channel.
    AllocationUpdated(AllocationUpdated),
    /// A state was registered on the chain; it becomes final unless the challenge is cleared.
    ChallengeRegistered(ChallengeRegistered),
    /// A challenge was cleared with a later state.
    ChallengeCleared(ChallengeCleared),
    /// The chain accepted the outcome as final.
    ChannelConcluded(ChannelConcluded),
    /// Funds were paid out.
    WithdrawCompleted(WithdrawCompleted),
    /// A message was sent.
    MessageSent(MessageSent),
    /// A message was received.
    MessageReceived(MessageReceived),
    /// The peer acknowledged a message that was sent.
    MessageAcked(MessageAcked),
    /// A message was not accepted.
    MessageDropped(MessageDropped),
    /// An account stated the keys of its log.
    LogKeyStated(LogKeyStated),
    /// The party cosigned a checkpoint of a peer's log.
    CheckpointCosigned(CheckpointCosigned),
    /// A peer cosigned a checkpoint of this log.
    ReceiptReceived(ReceiptReceived),
    /// The outcome and the application data of a signed state.
    StateKept(StateKept),
}

/// Implements `From` for each payload, and the list of schemas.
macro_rules! from {
    ($($name:ident),* $(,)?) => {
        $(impl From<$name> for ChannelEvent {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })*

        #[cfg(test)]
        pub(crate) fn schemas() -> Vec<(&'static str, schemars::Schema)> {
            vec![$((<$name>::TYPE, schemars::schema_for!($name))),*]
        }
    };
}

from!(
    ObjectiveCreated,
    ObjectiveApproved,
    ObjectiveRejected,
    ObjectiveCranked,
    ObjectiveCompleted,
    ChannelCreated,
    StateSigned,
    StateReceived,
    StateSupportedUpdated,
    ChannelFinalized,
    DepositDetected,
    AllocationUpdated,
    ChallengeRegistered,
    ChallengeCleared,
    ChannelConcluded,
    WithdrawCompleted,
    MessageSent,
    MessageReceived,
    MessageAcked,
    MessageDropped,
    LogKeyStated,
    CheckpointCosigned,
    ReceiptReceived,
    StateKept,
);

impl ChannelEvent {
    /// Reads an event from its type and its JSON payload.
    ///
    /// # Errors
    /// [`CodecError`], which names the field and the rule that it breaks. For an unknown type it lists the known types.
    pub fn from_json(event_type: &str, payload: &str) -> Result<Self, CodecError> {
        let raw = RawEvent::builder(event_type).data(payload.to_owned()).build();
        Self::decode(&raw.map_err(|error| match error {
            InvalidEvent::Encode(error) => error,
            other => CodecError::payload(other),
        })?)
    }
}
