//! A violation: an event that breaks a rule, the rule, and the values that break it.

use annals::Event;

use crate::statement::StatementError;
use crate::views::ObjectiveStatus;
use crate::{Address, Amount, ChannelEvent, Hash, SignatureError};

/// An event that breaks a rule and was therefore not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event_type} breaks a rule: {rule} (event {event_id})")]
pub struct Violation {
    /// The event's type.
    pub event_type: String,
    /// The event's id.
    pub event_id: String,
    /// The rule, with the values that break it.
    pub rule: Box<Rule>,
}

impl Violation {
    pub(crate) fn new(event: &ChannelEvent, rule: Rule) -> Self {
        let event_id = event.id().unwrap_or_default().into_owned();
        Self { event_type: event.event_type().to_owned(), event_id, rule: Box::new(rule) }
    }
}

/// The rules, each with the values that break it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// An objective is created once.
    #[error("an objective is created once; {objective_id} exists and is {status:?}")]
    ObjectiveIsNew {
        /// The objective.
        objective_id: Hash,
        /// Its status.
        status: ObjectiveStatus,
    },
    /// An objective is created before its other events.
    #[error("an objective must be created first; {objective_id} does not exist")]
    ObjectiveExists {
        /// The objective.
        objective_id: Hash,
    },
    /// An objective is approved or rejected after it is created, and is cranked and completed only while it is
    /// approved. An approved objective may still be rejected. Rejected and completed objectives do not change.
    #[error("an objective must be {needed} for this event; {objective_id} is {status:?}")]
    ObjectiveStatus {
        /// The objective.
        objective_id: Hash,
        /// The status that the event needs.
        needed: &'static str,
        /// Its status.
        status: ObjectiveStatus,
    },
    /// At most one approved objective owns a channel.
    #[error("one objective at a time owns a channel; {owner} owns {channel_id}")]
    OneOwner {
        /// The channel.
        channel_id: Hash,
        /// The objective that owns it.
        owner: Hash,
    },
    /// A channel's id is the hash of its fixed part.
    #[error("a channel's id must be the hash of its fixed part, {expected}; found {found}")]
    ChannelId {
        /// The hash of the fixed part.
        expected: Hash,
        /// The id in the event.
        found: Hash,
    },
    /// A party records only events about its own channel.
    #[error("the party is in channel {expected}; the event is about {}", channel_or_none(.found.as_ref()))]
    OwnChannel {
        /// The party's channel.
        expected: Hash,
        /// The channel of the event, if it is about one.
        found: Option<Hash>,
    },
    /// [`Party::observe`](crate::Party::observe) takes only events of the chain.
    #[error(
        "events of the chain are deposits, allocations, challenges, conclusions and withdrawals; this event is none of them"
    )]
    OfTheChain,
    /// A channel is created once.
    #[error("a channel is created once; {channel_id} exists")]
    ChannelIsNew {
        /// The channel.
        channel_id: Hash,
    },
    /// The participants of a channel are distinct: a participant listed twice would sign for two.
    #[error("the participants of a channel must be distinct; {twice} is listed twice")]
    ParticipantsDiffer {
        /// The participant that is listed twice.
        twice: Address,
    },
    /// A channel is created before its other events.
    #[error("a channel must be created first; {channel_id} does not exist")]
    ChannelExists {
        /// The channel.
        channel_id: Hash,
    },
    /// Every signer is a participant.
    #[error("a signer must be a participant of the channel; {signer} is not")]
    SignerIsParticipant {
        /// The signer.
        signer: Address,
    },
    /// Every signature is valid.
    #[error("a signature must be valid: {0}")]
    SignatureIsValid(#[source] SignatureError),
    /// Every signature is by its signer, of the state in the event.
    #[error(
        "a signature must be by its signer, {signer}; this one is by {found}, or of another state"
    )]
    SignatureIsSigners {
        /// The signer in the event.
        signer: Address,
        /// The address that the signature recovers to.
        found: Address,
    },
    /// A party signs turns in ascending order.
    #[error("a party signs turns in ascending order; turn {found} is not after turn {latest}")]
    TurnGoesUp {
        /// The last turn that the signer signed.
        latest: u64,
        /// The turn.
        found: u64,
    },
    /// The supported turn only goes up.
    #[error("the supported turn must go up; turn {found} is not after turn {previous}")]
    SupportGoesUp {
        /// The event's `prev_supported_turn`.
        previous: u64,
        /// The turn.
        found: u64,
    },
    /// `prev_supported_turn` is the turn that is supported now.
    #[error("prev_supported_turn must be the turn that is supported now, {current}; found {found}")]
    PreviousIsCurrent {
        /// The turn that is supported now, or 0 if none is.
        current: u64,
        /// The event's `prev_supported_turn`.
        found: u64,
    },
    /// Every participant signed one of the last n turns, where n is the number of participants. A signature of the
    /// supported turn counts only if it is of the supported state.
    #[error(
        "a supported turn needs a signature by every participant; for turn {turn_num} there is none by {missing}"
    )]
    SupportedByAll {
        /// The turn.
        turn_num: u64,
        /// The participant that did not sign.
        missing: Address,
    },
    /// The mover of the turn signed the supported state.
    #[error(
        "the mover of a turn must sign the supported state; {mover} did not sign it for turn {turn_num}"
    )]
    SupportedByMover {
        /// The turn.
        turn_num: u64,
        /// The mover of the turn.
        mover: Address,
    },
    /// A kept state is one that a participant signed.
    #[error(
        "a kept state must have the hash that was signed, {state_hash}; no signature of it is in the log, or the \
         outcome or the application data is of another state"
    )]
    KeptIsSigned {
        /// The hash of the state.
        state_hash: Hash,
    },
    /// An account signed the statement of its log's keys.
    #[error("a statement of keys must be signed by its account: {0}")]
    KeyIsStated(#[source] StatementError),
    /// At least one participant signed the supported state.
    #[error(
        "a supported state must be signed; no participant signed {state_hash} for turn {turn_num}"
    )]
    SupportedWasSigned {
        /// The turn.
        turn_num: u64,
        /// The hash of the state.
        state_hash: Hash,
    },
    /// `num_signatures` is the number of participants.
    #[error("num_signatures must be the number of participants, {expected}; found {found}")]
    SignatureCount {
        /// The number of participants.
        expected: usize,
        /// The event's `num_signatures`.
        found: u32,
    },
    /// Every participant signed the final state.
    #[error(
        "every participant must sign the final state; {missing} did not sign it as final for turn {turn_num}"
    )]
    FinalByAll {
        /// The turn.
        turn_num: u64,
        /// The participant that did not sign.
        missing: Address,
    },
    /// A channel is finalized once.
    #[error(
        "a channel is finalized once; it was finalized at turn {final_turn}, and the event says turn {found}"
    )]
    FinalOnce {
        /// The turn of the final state.
        final_turn: u64,
        /// The turn of the event.
        found: u64,
    },
    /// A channel is concluded before funds are withdrawn.
    #[error(
        "a channel must be concluded before funds are withdrawn; {channel_id} is not concluded"
    )]
    ConcludedFirst {
        /// The channel.
        channel_id: Hash,
    },
    /// A challenge is cleared only while it is open.
    #[error("channel {channel_id} has no challenge to clear")]
    ChallengeExists {
        /// The channel.
        channel_id: Hash,
    },
    /// A challenge is cleared with a later turn.
    #[error("a challenge of turn {challenged} is cleared with a later turn; found turn {found}")]
    ClearingBeats {
        /// The turn that is challenged.
        challenged: u64,
        /// The turn.
        found: u64,
    },
    /// A deposit does not lower the amount held.
    #[error(
        "a deposit must not lower the amount held; {held} was held before it, and {found} after it"
    )]
    HoldingGrows {
        /// The amount held before the deposit.
        held: Amount,
        /// The amount held after the deposit, by the event.
        found: Amount,
    },
    /// The amount held includes the amount deposited.
    #[error(
        "the amount held must include the deposit; {deposited} was deposited, and {found} is held"
    )]
    DepositIsHeld {
        /// The amount deposited.
        deposited: Amount,
        /// The amount held after the deposit, by the event.
        found: Amount,
    },
    /// A deposit is recorded once.
    #[error(
        "a deposit is recorded once; there is one of {asset} in block {block_num}, transaction {tx_index}"
    )]
    DepositIsNew {
        /// The block.
        block_num: u64,
        /// The index of the transaction in the block.
        tx_index: u32,
        /// The asset.
        asset: Address,
    },
    /// A peer acknowledges only messages that were sent to it.
    #[error(
        "a peer acknowledges only messages that were sent to it; {message_id} was not sent to {peer_id:?}"
    )]
    AckedWasSent {
        /// The message.
        message_id: Hash,
        /// The peer that acknowledged it.
        peer_id: String,
    },
}

/// Returns how an error names the channel of an event.
fn channel_or_none(channel_id: Option<&Hash>) -> String {
    channel_id.map_or_else(|| "no channel".to_owned(), |id| format!("channel {id}"))
}
