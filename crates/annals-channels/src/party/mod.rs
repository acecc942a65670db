//! A participant in a channel, which records each action as an event before it takes effect.
//!
//! ```text
//!   sign(state)     ─▶ state-signed on the disk   ─▶ only then the signature is returned
//!   receive(turn)   ─▶ state-received in the log  ─▶ evidence of a second state, if there is any
//!   either          ─▶ state-supported-updated, channel-finalized, once enough signatures are in the log
//!   observe(event)  ─▶ an event of the chain in the log
//! ```
//! A party stores nothing but its key. If it is dropped or killed at any moment and opened again on its log, it knows
//! all that it signed.

mod agreement;
mod chain;
mod evidence;
mod messages;
mod objective;
mod options;
mod proof;
mod recent;
mod recorded;
mod refusal;

use std::time::{SystemTime, UNIX_EPOCH};

use agreement::agreed;
use annals::{Backend, DecideError, Decision, EventStore, Memory, ReadError, Reconstructor};
pub use chain::OnChain;
pub use evidence::ChannelEvidence;
pub use messages::Taken;
pub use options::PartyOptions;
pub use proof::SupportProof;
use recent::{Recent, last_signed, signatures_of};
pub use refusal::{PartyError, Refusal};
use refusal::{Stop, refused};

use crate::log::party_log::PartyLog;
use crate::rules::{Rule, Violation, check_channel};
use crate::views::{ChannelState, Equivocation, Signed, channel_of, second_state, signed_by};
use crate::{
    Address, ChannelCreated, ChannelEvent, EventVersion, FixedPart, Hash, Participants, SecretKey,
    SignedState, State, StateKept, StateReceived, StateSigned,
};

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
    view: Reconstructor<Recent, B>,
    /// The log's proofs, if the party was opened with them.
    log: Option<PartyLog<B>>,
    keep_states: bool,
    /// Whether the party signs only after the other participants have shown what they have seen.
    witnessed: bool,
    participants: Participants,
}

impl<B: Backend<ChannelEvent>> Party<B> {
    fn create(&mut self, fixed: &FixedPart) -> Result<(), PartyError> {
        let created = ChannelEvent::from(ChannelCreated {
            app_definition: fixed.app_definition,
            challenge_duration: fixed.challenge_duration,
            channel_id: self.channel_id(),
            channel_nonce: fixed.channel_nonce,
            event_version: EventVersion,
            participants: fixed.participants.clone(),
            timestamp_ms: now_ms(),
        });
        self.decide(|state, _| match state.fixed {
            Some(_) => Ok(vec![]),
            None => checked(state, created.clone()),
        })?;
        self.agree()?;
        // A process that was killed may have left signatures that only a power cut would lose.
        self.sync()
    }

    /// Returns the channel's id.
    #[must_use]
    pub fn channel_id(&self) -> Hash {
        self.view.projection().0
    }

    /// Returns the address that the party signs with.
    #[must_use]
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// Returns the state of the channel by the party's log, without most of its settled turns.
    ///
    /// A turn is settled if it is at least 64 turns behind the supported one, or at least as many turns as there are
    /// participants if these are more than 64. Of settled turns the state has only each participant's last signature,
    /// and no evidence that is found later. The view [`Channel`](crate::Channel) has everything.
    ///
    /// # Errors
    /// [`ReadError`] if the log cannot be read.
    pub fn state(&mut self) -> Result<&ChannelState, ReadError> {
        self.view.now()
    }

    /// Signs a state. The signature is recorded, and its record is durable, before it is returned: also on a log that
    /// is [buffered](annals::Durability::Buffered). The same state always has the same signature.
    ///
    /// A party on a log with proofs also refuses if the log contradicts what it signed or what a peer showed, and a
    /// [witnessed](PartyOptions::witnessed) one until the other participants have shown what they have seen.
    ///
    /// # Errors
    /// [`PartyError`] if the party has signed another state for this turn, a later turn or a final state, or if the log
    /// fails.
    pub fn sign(&mut self, state: &State) -> Result<SignedState, PartyError> {
        let (state_hash, signer) = (state.hash(), self.key.address());
        let turn_num = state.turn_num;
        self.may_sign().map_err(refused)?;
        let mut signature = self.key.sign(state_hash).map_err(refused)?;
        let event = ChannelEvent::from(StateSigned {
            app_data_hash: Some(state.app_data_hash()),
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
        let (channel_id, kept) = (self.channel_id(), self.kept(state, state_hash));
        self.decide(|known, store| {
            let at_turn =
                signatures_of(store, channel_id, known, turn_num).map_err(Stop::Unread)?;
            let mut ours = at_turn.iter().filter(|known| known.signer == signer);
            if let Some(same) = ours.clone().find(|ours| ours.state_hash == state_hash) {
                // The signature that is returned is the one in the log.
                signature = same.signature;
                return Ok(vec![]);
            }
            if let Some(first) = ours.next() {
                let (first, asked) = (first.state_hash, state_hash);
                return Err(Refusal::SecondState { turn_num, first, asked }.into());
            }
            match last_signed(known, signer) {
                // A signature of the party binds it, even if the party only received it from another participant.
                Some((latest, _)) if turn_num <= latest => {
                    let rule = Rule::TurnGoesUp { latest, found: turn_num };
                    Err(Violation::new(&event, rule).into())
                }
                Some((final_turn, last)) if last.is_final => {
                    Err(Refusal::Ended { final_turn, asked: turn_num }.into())
                }
                _ => Ok(with_kept(
                    checked(known, event.clone())?,
                    &at_turn,
                    state_hash,
                    kept.as_ref(),
                )),
            }
        })?;
        self.agree()?;
        // A signature that a power cut makes the party forget would let it sign a second state.
        self.sync()?;
        Ok(SignedState { state: state.clone(), signer, signature })
    }

    /// Receives a state that another participant signed. A signature that the log has already changes nothing. A second
    /// state for a turn is recorded and returned as evidence. The record is as durable as the log's own appends are.
    ///
    /// # Errors
    /// [`PartyError`] if the signature is not a participant's, or if the log fails.
    pub fn receive(&mut self, turn: &SignedState) -> Result<Option<Equivocation>, PartyError> {
        self.receive_from(turn, None)
    }

    fn receive_from(
        &mut self,
        turn: &SignedState,
        peer_id: Option<&str>,
    ) -> Result<Option<Equivocation>, PartyError> {
        let event = ChannelEvent::from(StateReceived {
            channel_id: turn.state.channel_id,
            event_version: EventVersion,
            is_final: turn.state.is_final,
            peer_id: peer_id.map(str::to_owned),
            signature: turn.signature,
            signer: turn.signer,
            state_hash: turn.state.hash(),
            timestamp_ms: now_ms(),
            turn_num: turn.state.turn_num,
        });
        self.is_ours(&event).map_err(refused)?;
        let channel_id = self.channel_id();
        let (state_hash, kept) = (turn.state.hash(), self.kept(&turn.state, turn.state.hash()));
        let mut evidence = None;
        self.decide(|known, store| {
            let events = checked(known, event.clone())?;
            let Some((turn_num, signed)) = signed_by(&event) else { return Ok(vec![]) };
            let at_turn =
                signatures_of(store, channel_id, known, turn_num).map_err(Stop::Unread)?;
            evidence = second_state(&at_turn, turn_num, &signed);
            let has =
                |one: &Signed| one.signer == signed.signer && one.state_hash == signed.state_hash;
            Ok(if at_turn.iter().any(has) {
                vec![]
            } else {
                with_kept(events, &at_turn, state_hash, kept.as_ref())
            })
        })?;
        self.agree()?;
        Ok(evidence)
    }

    /// Returns the turn that can clear the open challenge: the supported turn, if it is later than the challenged one.
    ///
    /// # Errors
    /// [`ReadError`] if the log cannot be read.
    pub fn answer_to_challenge(&mut self) -> Result<Option<u64>, ReadError> {
        let state = self.state()?;
        let challenged = state.challenge.map(|challenge| challenge.turn_num_record);
        let supported = state.supported.map(|supported| supported.turn_num);
        Ok(supported.filter(|turn| challenged.is_some_and(|challenged| *turn > challenged)))
    }

    /// Returns the signatures of the supported state, to submit to the chain. Returns `None` if no state is supported.
    /// The records of the signatures are durable before they are returned.
    ///
    /// # Errors
    /// [`PartyError`] if the log cannot be read or synced.
    pub fn support(&mut self) -> Result<Option<SupportProof>, PartyError> {
        let (store, channel_id) = (self.view.store().clone(), self.channel_id());
        let state = self.view.now().map_err(DecideError::Read)?;
        let proof = SupportProof::of_supported(&store, channel_id, state);
        let proof = proof.map_err(DecideError::Read)?;
        self.sync()?;
        Ok(proof)
    }

    /// Records a later supported turn and a final state, if the signatures in the log now prove them.
    fn agree(&mut self) -> Result<(), PartyError> {
        let channel_id = self.channel_id();
        self.view.decide(|state| Ok::<_, Box<Refusal>>(agreed(state, channel_id, now_ms())))?;
        Ok(())
    }

    /// Makes everything in the log durable. Call it before anything that is in the log leaves the party.
    fn sync(&self) -> Result<(), PartyError> {
        self.view.store().sync().map_err(DecideError::Append)
    }

    /// Decides on the channel's current state. The decision also gets the log, to look up settled turns.
    fn decide<R>(
        &mut self,
        mut decision: impl FnMut(
            &ChannelState,
            &EventStore<ChannelEvent, B>,
        ) -> Result<Vec<ChannelEvent>, Stop<R>>,
    ) -> Result<Decision, DecideError<R>> {
        let store = self.view.store().clone();
        let mut unread = None;
        let decided = self.view.decide(|state| match decision(state, &store) {
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::Unread(error)) => {
                unread = Some(error);
                Ok(vec![])
            }
            Ok(events) => Ok(events),
        })?;
        unread.map_or(Ok(decided), |error| Err(DecideError::Read(error)))
    }

    /// Returns the event that keeps a state, if the party keeps states.
    fn kept(&self, state: &State, state_hash: Hash) -> Option<ChannelEvent> {
        self.keep_states.then(|| {
            ChannelEvent::from(StateKept {
                app_data: state.app_data.clone(),
                channel_id: state.channel_id,
                event_version: EventVersion,
                outcome: state.outcome.clone(),
                state_hash,
                timestamp_ms: now_ms(),
            })
        })
    }

    /// Checks that the log is not known to be an old or a changed copy.
    fn may_sign(&self) -> Result<(), Refusal> {
        let Some(log) = &self.log else { return Ok(()) };
        if let Some(found) = log.contradiction() {
            return Err(Refusal::of_proofs(&found));
        }
        let own = self.key.address();
        let mut others = self.participants.iter().filter(|one| **one != own);
        match others.find(|other| self.witnessed && !log.is_confirmed_by(other)) {
            Some(participant) => Err(Refusal::Unconfirmed { participant: *participant }),
            None => Ok(()),
        }
    }

    fn is_ours(&self, event: &ChannelEvent) -> Result<(), Violation> {
        let (expected, found) = (self.channel_id(), channel_of(event));
        if found == Some(expected) {
            return Ok(());
        }
        Err(Violation::new(event, Rule::OwnChannel { expected, found }))
    }
}

fn checked(state: &ChannelState, event: ChannelEvent) -> Result<Vec<ChannelEvent>, Stop> {
    check_channel(state, &event)?;
    Ok(vec![event])
}

/// Adds the event that keeps the state, if these events record the first signature of it.
fn with_kept(
    mut events: Vec<ChannelEvent>,
    at_turn: &[Signed],
    state_hash: Hash,
    kept: Option<&ChannelEvent>,
) -> Vec<ChannelEvent> {
    if !at_turn.iter().any(|one| one.state_hash == state_hash) {
        events.extend(kept.cloned());
    }
    events
}

/// Returns the milliseconds since 1970 UTC by the system's clock, or 0 before 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
