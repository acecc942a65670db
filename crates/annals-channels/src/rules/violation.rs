//! what was broken: the rule, by which event, and what was found.

use annals::Event;

use crate::views::ObjectiveStatus;
use crate::{Address, Amount, ChannelEvent, Hash, SignatureError};

/// An event that must not be: nothing was appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event_type} breaks a rule: {rule} (event {event_id})")]
pub struct Violation {
    /// The event's type.
    pub event_type: String,
    /// The event's id.
    pub event_id: String,
    /// The rule, and what was found.
    pub rule: Box<Rule>,
}

impl Violation {
    pub(crate) fn new(event: &ChannelEvent, rule: Rule) -> Self {
        let event_id = event.id().unwrap_or_default().into_owned();
        Self { event_type: event.event_type().to_owned(), event_id, rule: Box::new(rule) }
    }
}

/// The rules, each with what was found instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// An objective's id is new when it is created.
    #[error("an objective is created once; {objective_id} is {status:?}")]
    ObjectiveIsNew {
        /// The objective.
        objective_id: Hash,
        /// How far it is.
        status: ObjectiveStatus,
    },
    /// An objective is created before anything else happens to it.
    #[error("an objective is created first; there is no {objective_id}")]
    ObjectiveExists {
        /// The objective.
        objective_id: Hash,
    },
    /// Created, then approved or rejected; cranked and completed only when approved; rejected and completed are final.
    #[error("an objective is {needed} for this; {objective_id} is {status:?}")]
    ObjectiveStatus {
        /// The objective.
        objective_id: Hash,
        /// How far it must be.
        needed: &'static str,
        /// How far it is.
        status: ObjectiveStatus,
    },
    /// No two approved objectives own a channel at once.
    #[error("one objective at a time owns a channel; {owner} owns {channel_id}")]
    OneOwner {
        /// The channel.
        channel_id: Hash,
        /// The objective that owns it.
        owner: Hash,
    },
    /// A channel's id is the hash of its fixed part.
    #[error("a channel's id is the hash of its fixed part: {expected}; found {found}")]
    ChannelId {
        /// The hash.
        expected: Hash,
        /// The id.
        found: Hash,
    },
    /// A party is in one channel.
    #[error("this party is in channel {expected}; this is about {found:?}")]
    OwnChannel {
        /// The party's channel.
        expected: Hash,
        /// The other one, if any.
        found: Option<Hash>,
    },
    /// What the chain said is of the chain.
    #[error(
        "what the chain says are deposits, allocations, challenges, the end and withdrawals; this is none"
    )]
    OfTheChain,
    /// A channel is created once.
    #[error("a channel is created once; {channel_id} exists")]
    ChannelIsNew {
        /// The channel.
        channel_id: Hash,
    },
    /// Each participant signs for himself.
    #[error("a channel's participants differ; {twice} is there twice")]
    ParticipantsDiffer {
        /// Who is there twice.
        twice: Address,
    },
    /// A channel is created before anything is signed in it.
    #[error("a channel is created first; there is no {channel_id}")]
    ChannelExists {
        /// The channel.
        channel_id: Hash,
    },
    /// Only participants sign.
    #[error("a signer is one of the participants; {signer} is none")]
    SignerIsParticipant {
        /// Who signed.
        signer: Address,
    },
    /// A signature is one.
    #[error("a signature is valid; {0}")]
    SignatureIsValid(#[source] SignatureError),
    /// A signature recovers to its signer.
    #[error("a signature is its signer's, {signer}; this is by {found}, or of another state")]
    SignatureIsSigners {
        /// Who should have signed.
        signer: Address,
        /// To whom it recovers.
        found: Address,
    },
    /// What is signed goes up by turn.
    #[error("what one signs goes up by turn; turn {found} comes after {latest}")]
    TurnGoesUp {
        /// The last turn that was signed.
        latest: u64,
        /// The turn.
        found: u64,
    },
    /// The supported turn goes up.
    #[error("the supported turn goes up; {found} is not after {previous}")]
    SupportGoesUp {
        /// The previous turn of the event.
        previous: u64,
        /// The turn.
        found: u64,
    },
    /// The turn that was supported before is the current one.
    #[error("prev_supported_turn is the current one, {current}; found {found}")]
    PreviousIsCurrent {
        /// The turn that is supported; 0 if none is.
        current: u64,
        /// The previous turn of the event.
        found: u64,
    },
    /// Everyone signed, one of the last turns each and somebody this state.
    #[error(
        "a supported turn has signatures by all; at turn {turn_num} there is none by {missing}"
    )]
    SupportedByAll {
        /// The turn.
        turn_num: u64,
        /// Who did not sign.
        missing: Address,
    },
    /// Whose turn it is signed the state that is said to be supported.
    #[error("a supported turn is its mover's; at turn {turn_num} {mover} did not sign this state")]
    SupportedByMover {
        /// The turn.
        turn_num: u64,
        /// Whose turn it is.
        mover: Address,
    },
    /// Somebody signed the state that is said to be supported.
    #[error("a supported state was signed; nobody signed {state_hash} at turn {turn_num}")]
    SupportedWasSigned {
        /// The turn.
        turn_num: u64,
        /// The hash of the state.
        state_hash: Hash,
    },
    /// As many signatures as participants.
    #[error("num_signatures is one of each participant, {expected}; found {found}")]
    SignatureCount {
        /// How many participants.
        expected: usize,
        /// How many the event says.
        found: u32,
    },
    /// Everyone signed the final state.
    #[error(
        "a final state is signed by all; {missing} did not sign it as final at turn {turn_num}"
    )]
    FinalByAll {
        /// The turn.
        turn_num: u64,
        /// Who did not sign.
        missing: Address,
    },
    /// A channel is finalized once.
    #[error("a channel is finalized once, as it was at turn {final_turn}; found turn {found}")]
    FinalOnce {
        /// The turn of the final state.
        final_turn: u64,
        /// The turn of the event.
        found: u64,
    },
    /// Concluded before withdrawn.
    #[error("a channel is concluded before funds are withdrawn; {channel_id} is not")]
    ConcludedFirst {
        /// The channel.
        channel_id: Hash,
    },
    /// A challenge is cleared only while there is one.
    #[error("a challenge is there to be cleared; {channel_id} has none")]
    ChallengeExists {
        /// The channel.
        channel_id: Hash,
    },
    /// A challenge is cleared with a later turn.
    #[error("a challenge is cleared with a later turn than {challenged}; found {found}")]
    ClearingBeats {
        /// The turn that is challenged.
        challenged: u64,
        /// The turn.
        found: u64,
    },
    /// What is held does not go down with a deposit.
    #[error("what is held does not go down with a deposit; {held} was held, now {found}")]
    HoldingGrows {
        /// What is held.
        held: Amount,
        /// What the deposit says.
        found: Amount,
    },
    /// What was deposited is held.
    #[error("what is deposited is held; {deposited} was deposited, and {found} is held")]
    DepositIsHeld {
        /// What was deposited.
        deposited: Amount,
        /// What the deposit says is held.
        found: Amount,
    },
    /// A deposit is counted once.
    #[error(
        "a deposit is counted once; there is one in block {block_num} at {tx_index} of {asset}"
    )]
    DepositIsNew {
        /// The block.
        block_num: u64,
        /// The place in the block.
        tx_index: u32,
        /// The asset.
        asset: Address,
    },
    /// Only what was sent is acknowledged.
    #[error(
        "a message is acknowledged by whom it was sent to; {message_id} was not sent to {peer_id:?}"
    )]
    AckedWasSent {
        /// The message.
        message_id: Hash,
        /// Who acknowledged it.
        peer_id: String,
    },
}
