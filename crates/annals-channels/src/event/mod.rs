//! The 20 things that happen to state channels.
//!
//! ```text
//!   objective   created ─▶ approved ─▶ cranked … ─▶ completed        message   sent ─▶ acked
//!                      └─▶ rejected                                            received, dropped
//!   channel     created ─▶ signed, received … ─▶ supported … ─▶ finalized
//!   chain       deposits, allocations, challenges, concluded, withdrawn
//! ```

mod chain;
mod channel;
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
pub use message::{DropCode, MessageAcked, MessageDropped, MessageReceived, MessageSent};
pub use objective::{
    ObjectiveApproved, ObjectiveCompleted, ObjectiveCranked, ObjectiveCreated, ObjectiveRejected,
    ObjectiveType,
};

/// Something that happened to an objective, a channel or a message.
///
/// As an event of the log it has a type, the tags of what it names (`channel:0x…`, `objective:0x…`, `message:0x…`,
/// `peer:…`, `participant:0x…`, hex in lower case), its id, and its payload as canonical JSON (RFC 8785, but
/// integers with all their digits).
///
/// An event of more than 62 participants has no tags for them: an event has at most 64 tags.
#[derive(Debug, Clone, PartialEq, Eq, Event)]
pub enum ChannelEvent {
    /// An objective was proposed.
    ObjectiveCreated(ObjectiveCreated),
    /// It was approved, and owns its channel.
    ObjectiveApproved(ObjectiveApproved),
    /// It was rejected, which is final.
    ObjectiveRejected(ObjectiveRejected),
    /// It was taken as far as it goes.
    ObjectiveCranked(ObjectiveCranked),
    /// It came to its end, which is final.
    ObjectiveCompleted(ObjectiveCompleted),
    /// A channel came into being.
    ChannelCreated(ChannelCreated),
    /// We signed a state.
    StateSigned(StateSigned),
    /// Somebody else signed a state, and we have it.
    StateReceived(StateReceived),
    /// A later state has everyone's signatures.
    StateSupportedUpdated(StateSupportedUpdated),
    /// Everyone signed a final state.
    ChannelFinalized(ChannelFinalized),
    /// Funds were locked.
    DepositDetected(DepositDetected),
    /// The chain holds another amount for the channel.
    AllocationUpdated(AllocationUpdated),
    /// A state was taken to the chain, to become final unless it is answered.
    ChallengeRegistered(ChallengeRegistered),
    /// A challenge was answered with a later state.
    ChallengeCleared(ChallengeCleared),
    /// The chain took the outcome as final.
    ChannelConcluded(ChannelConcluded),
    /// Funds were paid out.
    WithdrawCompleted(WithdrawCompleted),
    /// A message was sent.
    MessageSent(MessageSent),
    /// A message was received.
    MessageReceived(MessageReceived),
    /// A message that was sent has arrived.
    MessageAcked(MessageAcked),
    /// A message was not taken.
    MessageDropped(MessageDropped),
}

/// Makes an event of each payload.
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
);

impl ChannelEvent {
    /// The event of this type with this JSON payload.
    ///
    /// # Errors
    /// [`CodecError`] that names the field and what is wrong with it, or the types there are.
    pub fn from_json(event_type: &str, payload: &str) -> Result<Self, CodecError> {
        let raw = RawEvent::builder(event_type).data(payload.to_owned()).build();
        Self::decode(&raw.map_err(|error| match error {
            InvalidEvent::Encode(error) => error,
            other => CodecError::payload(other),
        })?)
    }
}
