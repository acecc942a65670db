//! Messages between parties: what was sent and what came, each in the log, and what became of it.
//!
//! ```text
//!   send(peer, turn)  ─▶ message-sent in the log ─▶ bytes
//!   take(peer, bytes) ─▶ state-received, message-received ─▶ an acknowledgement to send back
//!                   ╰──▶ message-acked
//!                   ╰──▶ message-dropped: why, by its code
//! ```
//! A message's id is a hash of its bytes, so both sides have the same and a repeated one is known. It is recorded as
//! received once; each time it comes again it is dropped as a replay, and acknowledged again, for the first
//! acknowledgement may be lost. A party killed between the state and its message takes the message again: nothing is
//! lost by sending until it is acknowledged.

mod envelope;

use annals::{Backend, DecideError, EventStore, Query, QueryItem, ReadError};
use envelope::message_id;
pub use envelope::{Envelope, EnvelopeError, MAX_MESSAGE_BYTES};

use super::recent::signatures_of;
use super::refusal::{Refusal, Stop, refused};
use super::{Party, PartyError, now_ms};
use crate::rules::{Rule, check_message};
use crate::views::{Equivocation, Message, MessageState};
use crate::{
    ChannelEvent, DropCode, EventVersion, Hash, MessageAcked, MessageDropped, MessageReceived,
    MessageSent, SignedState,
};

/// The payload type of a signed state.
const SIGNED_STATE: &str = "signed-state";
/// A reason is cut there, in bytes: what somebody sends does not fill the log.
const REASON_MAX: usize = 200;

/// What became of a message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and not for long")]
pub enum Taken {
    /// A signed state: it is in the log.
    State {
        /// The state, and who signed it.
        turn: SignedState,
        /// What it proves: that its signer has signed another state for the turn before.
        evidence: Option<Equivocation>,
        /// The acknowledgement, to be sent back.
        ack: Vec<u8>,
    },
    /// A message that was sent has arrived.
    Acked {
        /// The message.
        message_id: Hash,
    },
    /// It was not taken; that is in the log.
    Dropped {
        /// Why, for a program.
        error_code: DropCode,
        /// Why, for a person.
        reason: String,
        /// The acknowledgement of a message that was received before, to be sent back again.
        ack: Option<Vec<u8>>,
    },
}

impl<B: Backend<ChannelEvent>> Party<B> {
    /// The bytes that send this signed state to a peer, under an objective: into the log, and then out. Asked again
    /// it gives the same bytes, to be sent again.
    ///
    /// # Errors
    /// [`PartyError`]: its log does not have this state with this signature, it is too large for a message, or the
    /// log fails.
    pub fn send(
        &mut self,
        peer_id: &str,
        objective_id: Hash,
        turn: &SignedState,
    ) -> Result<Vec<u8>, PartyError> {
        let (channel_id, turn_num, state_hash) =
            (self.channel_id(), turn.state.turn_num, turn.state.hash());
        self.decide(|known, store| {
            let at_turn =
                signatures_of(store, channel_id, known, turn_num).map_err(Stop::Unread)?;
            let has = at_turn.iter().any(|one| {
                (one.signer, one.state_hash, one.signature)
                    == (turn.signer, state_hash, turn.signature)
            });
            if has { Ok(vec![]) } else { Err(Refusal::Unrecorded { turn_num }.into()) }
        })?;
        let envelope = Envelope::SignedState { objective_id, turn: turn.clone() };
        let Ok(bytes) = envelope.to_bytes() else {
            return Err(refused(Refusal::TooLong { turn_num }));
        };
        let message_id = message_id(&bytes);
        let sent = ChannelEvent::from(MessageSent {
            event_version: EventVersion,
            message_id,
            objective_id,
            payload_size_bytes: size(&bytes),
            payload_type: Some(SIGNED_STATE.to_owned()),
            peer_id: peer_id.to_owned(),
            timestamp_ms: now_ms(),
        });
        self.view.store().decide(&Message(message_id), |message| {
            let again = message.sent_to.contains(peer_id);
            Ok::<_, Box<Refusal>>(if again { vec![] } else { vec![sent.clone()] })
        })?;
        Ok(bytes)
    }

    /// Takes the bytes that a peer sent. Whatever they are, the log has what became of them.
    ///
    /// # Errors
    /// [`PartyError`] if the log fails; what cannot be taken is [`Taken::Dropped`].
    pub fn take(&mut self, peer_id: &str, bytes: &[u8]) -> Result<Taken, PartyError> {
        let message = Incoming { peer_id, id: message_id(bytes), size: size(bytes) };
        match Envelope::from_bytes(bytes) {
            Err(error) => self.dropped(&message, DropCode::DecodeFailed, &error.to_string()),
            Ok(Envelope::Ack { message_id }) => self.take_ack(&message, message_id),
            Ok(Envelope::SignedState { objective_id, turn }) => {
                self.take_state(&message, objective_id, turn)
            }
        }
    }

    fn take_state(
        &mut self,
        message: &Incoming<'_>,
        objective_id: Hash,
        turn: SignedState,
    ) -> Result<Taken, PartyError> {
        let ack = Envelope::Ack { message_id: message.id };
        let ack = ack.to_bytes().unwrap_or_default();
        if self.message(message.id)?.received_from.is_empty() {
            let evidence = match self.receive_from(&turn, Some(message.peer_id)) {
                Ok(evidence) => evidence,
                Err(DecideError::Rejected(refusal)) => {
                    return self.dropped(message, drop_code(&refusal), &refusal.to_string());
                }
                Err(error) => return Err(error),
            };
            if self.record_received(message, objective_id)? {
                return Ok(Taken::State { turn, evidence, ack });
            }
        }
        let again = "it was received before";
        match self.dropped(message, DropCode::ReplayAttack, again)? {
            Taken::Dropped { error_code, reason, .. } => {
                Ok(Taken::Dropped { error_code, reason, ack: Some(ack) })
            }
            other => Ok(other),
        }
    }

    /// Records that a message was received, once; whether it was not before.
    fn record_received(
        &mut self,
        message: &Incoming<'_>,
        objective_id: Hash,
    ) -> Result<bool, PartyError> {
        let received = ChannelEvent::from(MessageReceived {
            event_version: EventVersion,
            message_id: message.id,
            objective_id,
            payload_size_bytes: message.size,
            payload_type: Some(SIGNED_STATE.to_owned()),
            peer_id: message.peer_id.to_owned(),
            timestamp_ms: now_ms(),
        });
        let decided = self.view.store().decide(&Message(message.id), |known| {
            let first = known.received_from.is_empty();
            Ok::<_, Box<Refusal>>(if first { vec![received.clone()] } else { vec![] })
        })?;
        Ok(!decided.offsets.is_empty())
    }

    fn take_ack(&mut self, message: &Incoming<'_>, of: Hash) -> Result<Taken, PartyError> {
        let now = now_ms();
        let sent_ms = sent_at(self.view.store(), of, message.peer_id).map_err(DecideError::Read)?;
        let roundtrip = now.saturating_sub(sent_ms.unwrap_or(now));
        let acked = ChannelEvent::from(MessageAcked {
            event_version: EventVersion,
            message_id: of,
            peer_id: message.peer_id.to_owned(),
            roundtrip_ms: u32::try_from(roundtrip).unwrap_or(u32::MAX),
            timestamp_ms: now,
        });
        let decided = self.view.store().decide(&Message(of), |known| {
            if known.acked_by.contains(message.peer_id) {
                return Ok(vec![]);
            }
            check_message(known, &acked).map_err(|violation| Box::new(Refusal::from(violation)))?;
            Ok(vec![acked.clone()])
        });
        match decided {
            Ok(decided) if decided.offsets.is_empty() => {
                self.dropped(message, DropCode::ReplayAttack, "it was acknowledged before")
            }
            Ok(_) => Ok(Taken::Acked { message_id: of }),
            Err(DecideError::Rejected(violation)) => {
                let violation: Box<Refusal> = violation;
                self.dropped(message, DropCode::PayloadInvalid, &violation.to_string())
            }
            Err(error) => Err(error),
        }
    }

    /// Records that a message was not taken.
    fn dropped(
        &mut self,
        message: &Incoming<'_>,
        error_code: DropCode,
        reason: &str,
    ) -> Result<Taken, PartyError> {
        let end =
            (0..=REASON_MAX.min(reason.len())).rev().find(|&end| reason.is_char_boundary(end));
        let reason = reason[..end.unwrap_or(0)].to_owned();
        let readable = error_code != DropCode::DecodeFailed;
        let dropped = MessageDropped {
            error_code,
            event_version: EventVersion,
            message_id: readable.then_some(message.id),
            payload_size_bytes: message.size,
            peer_id: message.peer_id.to_owned(),
            reason: reason.clone(),
            timestamp_ms: now_ms(),
        };
        self.view.store().append(dropped.into()).map_err(DecideError::Append)?;
        Ok(Taken::Dropped { error_code, reason, ack: None })
    }

    fn message(&self, message_id: Hash) -> Result<MessageState, PartyError> {
        let mut view = self.view.store().reconstruct(Message(message_id));
        Ok(view.now().map_err(DecideError::Read)?.clone())
    }
}

/// A message that came: from whom, its id and its size.
struct Incoming<'a> {
    peer_id: &'a str,
    id: Hash,
    size: u32,
}

/// What kind of message it is that a party refuses for this.
fn drop_code(refusal: &Refusal) -> DropCode {
    let Refusal::Violation(violation) = refusal else { return DropCode::PayloadInvalid };
    match *violation.rule {
        Rule::OwnChannel { .. } | Rule::ChannelExists { .. } => DropCode::ChannelUnknown,
        Rule::SignatureIsValid(_) | Rule::SignatureIsSigners { .. } => DropCode::SignatureInvalid,
        _ => DropCode::PayloadInvalid,
    }
}

/// When a message was sent to a peer, in ms since 1970 UTC.
fn sent_at<B: Backend<ChannelEvent>>(
    store: &EventStore<ChannelEvent, B>,
    message_id: Hash,
    peer_id: &str,
) -> Result<Option<u64>, ReadError> {
    let item = QueryItem::new().event_type(MessageSent::TYPE);
    let sent = Query::item(item.tag(format!("message:{}", message_id.lower())));
    for event in store.query(&sent) {
        match &event?.event {
            ChannelEvent::MessageSent(sent) if sent.peer_id == peer_id => {
                return Ok(Some(sent.timestamp_ms));
            }
            _ => {}
        }
    }
    Ok(None)
}

fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
