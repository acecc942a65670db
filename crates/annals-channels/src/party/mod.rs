//! A participant that keeps itself and the others honest: everything it does is an event first.
//!
//! ```text
//!   sign(state)     ─▶ state-signed in the log    ─▶ only then the signature is handed out
//!   receive(turn)   ─▶ state-received in the log  ─▶ evidence, if it is one
//!   either          ─▶ state-supported-updated, channel-finalized, once the signatures are there
//!   observe(event)  ─▶ what the chain says
//! ```
//! It keeps nothing but its key: dropped or killed at any moment and opened again on its log, it knows what it signed.

mod agreement;

use std::time::{SystemTime, UNIX_EPOCH};

use agreement::agreed;
use annals::{Backend, DecideError, EventStore, Memory, ReadError, Reconstructor};

use crate::rules::{BrokenRule, RecordError, RecordedEvent, Rule, check_channel};
use crate::views::{Channel, ChannelState, Equivocation, Signed, channel_of, signed_by};
use crate::{
    Address, ChannelCreated, ChannelEvent, EventVersion, FixedPart, Hash, SecretKey, Signature,
    SignatureError, State, StateReceived, StateSigned, record,
};

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

/// A state with somebody's signature: what parties send each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedState {
    /// The state.
    pub state: State,
    /// Who signed.
    pub signer: Address,
    /// The signature of the state's hash.
    pub signature: Signature,
}

/// A participant in one channel.
///
/// ```
/// use annals::EventStore;
/// use annals_channels::{FixedPart, Participants, Party, SecretKey, State};
///
/// let keys = [SecretKey::from_bytes(&[0x11; 32])?, SecretKey::from_bytes(&[0x22; 32])?];
/// let fixed = FixedPart {
///     participants: Participants::new(keys.iter().map(SecretKey::address).collect())?,
///     channel_nonce: 7,
///     app_definition: "0x5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f".parse()?,
///     challenge_duration: 60.try_into()?,
/// };
/// let [alice, bob] = keys;
/// let mut alice = Party::open(&EventStore::in_memory(), alice, &fixed)?;
/// let mut bob = Party::open(&EventStore::in_memory(), bob, &fixed)?;
///
/// let channel_id = fixed.channel_id();
/// let state = State { channel_id, app_data: vec![], outcome: vec![], turn_num: 1, is_final: false };
/// let from_alice = alice.sign(&state)?;
/// bob.receive(&from_alice)?;
/// alice.receive(&bob.sign(&state)?)?;
/// assert_eq!(alice.state()?.supported, bob.state()?.supported);
/// assert!(alice.sign(&State { app_data: vec![1], ..state }).is_err()); // no second state for a turn
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Party<B: Backend<ChannelEvent> = Memory<ChannelEvent>> {
    key: SecretKey,
    view: Reconstructor<Channel, B>,
}

impl<B: Backend<ChannelEvent>> Party<B> {
    /// The party with this key in this channel, as its log has it; opens the channel if the log has none.
    ///
    /// # Errors
    /// [`PartyError`] if the channel cannot be opened.
    pub fn open(
        store: &EventStore<ChannelEvent, B>,
        key: SecretKey,
        fixed: &FixedPart,
    ) -> Result<Self, PartyError> {
        let channel_id = fixed.channel_id();
        let mut party = Self { key, view: store.reconstruct(Channel(channel_id)) };
        let created = ChannelEvent::from(ChannelCreated {
            app_definition: fixed.app_definition,
            challenge_duration: fixed.challenge_duration,
            channel_id,
            channel_nonce: fixed.channel_nonce,
            event_version: EventVersion,
            participants: fixed.participants.clone(),
            timestamp_ms: now_ms(),
        });
        party.view.decide(|state| match state.fixed {
            Some(_) => Ok(vec![]),
            None => checked(state, created.clone()),
        })?;
        party.agree()?;
        Ok(party)
    }

    /// The channel as the party's log has it.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read.
    pub fn state(&mut self) -> Result<&ChannelState, ReadError> {
        self.view.now()
    }

    /// Signs a state: into the log, and then out. Asked again for the same state, it gives the same signature.
    ///
    /// # Errors
    /// [`PartyError`]: it signed another state for this turn, or a later turn, or a final state before,
    /// or the log fails.
    pub fn sign(&mut self, state: &State) -> Result<SignedState, PartyError> {
        let (state_hash, signer) = (state.hash(), self.key.address());
        let signature = self.key.sign(state_hash).map_err(refused)?;
        let turn_num = state.turn_num;
        let event = ChannelEvent::from(StateSigned {
            app_data_hash: None,
            channel_id: state.channel_id,
            event_version: EventVersion,
            is_final: state.is_final,
            signature,
            signer,
            state_hash,
            timestamp_ms: now_ms(),
            turn_num,
        });
        self.is_ours(&event).map_err(refused)?;
        self.view.decide(|known| {
            let ours = |known: &&Signed| known.signer == signer;
            match known.signatures_at(turn_num).iter().find(ours) {
                Some(first) if first.state_hash == state_hash => Ok(vec![]),
                Some(first) => {
                    let (first, asked) = (first.state_hash, state_hash);
                    Err(Box::new(Refusal::SecondState { turn_num, first, asked }))
                }
                None => match signed_as_final(known, signer) {
                    Some(final_turn) if final_turn < turn_num => {
                        Err(Box::new(Refusal::Ended { final_turn, asked: turn_num }))
                    }
                    _ => checked(known, event.clone()),
                },
            }
        })?;
        self.agree()?;
        Ok(SignedState { state: state.clone(), signer, signature })
    }

    /// Takes a state that somebody else signed. One that it has already changes nothing; a second state for a turn
    /// is kept, and answered as the evidence it is.
    ///
    /// # Errors
    /// [`PartyError`]: the signature is no participant's, or the log fails.
    pub fn receive(&mut self, turn: &SignedState) -> Result<Option<Equivocation>, PartyError> {
        let event = ChannelEvent::from(StateReceived {
            channel_id: turn.state.channel_id,
            event_version: EventVersion,
            is_final: turn.state.is_final,
            peer_id: None,
            signature: turn.signature,
            signer: turn.signer,
            state_hash: turn.state.hash(),
            timestamp_ms: now_ms(),
            turn_num: turn.state.turn_num,
        });
        self.is_ours(&event).map_err(refused)?;
        let mut evidence = None;
        self.view.decide(|known| {
            let events = checked(known, event.clone())?;
            let Some((turn_num, signed)) = signed_by(&event) else { return Ok(vec![]) };
            evidence = known.equivocation(turn_num, &signed);
            let has =
                |one: &Signed| one.signer == signed.signer && one.state_hash == signed.state_hash;
            Ok(if known.signatures_at(turn_num).iter().any(has) { vec![] } else { events })
        })?;
        self.agree()?;
        Ok(evidence)
    }

    /// Takes what the chain says of the channel: deposits, challenges, its end.
    ///
    /// # Errors
    /// [`RecordError`]: it is about another channel or breaks a rule, or the log fails.
    pub fn observe(&mut self, event: ChannelEvent) -> Result<RecordedEvent, RecordError> {
        self.is_ours(&event).map_err(DecideError::Rejected)?;
        record(self.view.store(), event)
    }

    /// The turn with which to answer the challenge that is there: the supported one, if it beats it.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read.
    pub fn answer_to_challenge(&mut self) -> Result<Option<u64>, ReadError> {
        let state = self.state()?;
        let challenged = state.challenge.map(|challenge| challenge.turn_num_record);
        let supported = state.supported.map(|supported| supported.turn_num);
        Ok(supported.filter(|turn| challenged.is_some_and(|challenged| *turn > challenged)))
    }

    /// Records what the signatures in the log now add up to: a later supported turn, a final state.
    fn agree(&mut self) -> Result<(), PartyError> {
        let channel_id = self.view.projection().0;
        self.view.decide(|state| Ok::<_, Box<Refusal>>(agreed(state, channel_id, now_ms())))?;
        Ok(())
    }

    fn is_ours(&self, event: &ChannelEvent) -> Result<(), BrokenRule> {
        let (expected, found) = (self.view.projection().0, channel_of(event));
        if found == Some(expected) {
            return Ok(());
        }
        Err(BrokenRule::new(event, Rule::OwnChannel { expected, found }))
    }
}

fn refused(reason: impl Into<Refusal>) -> PartyError {
    DecideError::Rejected(Box::new(reason.into()))
}

fn checked(state: &ChannelState, event: ChannelEvent) -> Result<Vec<ChannelEvent>, Box<Refusal>> {
    check_channel(state, &event).map_err(|broken| Box::new(broken.into()))?;
    Ok(vec![event])
}

/// The turn that this party signed last, if it signed it as final.
fn signed_as_final(state: &ChannelState, signer: Address) -> Option<u64> {
    let last = state.latest_signed_turn?;
    let ours = |signed: &Signed| signed.own && signed.signer == signer && signed.is_final;
    state.signatures_at(last).iter().any(ours).then_some(last)
}

/// Milliseconds since 1970 UTC, by the system's clock; 0 before that.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
