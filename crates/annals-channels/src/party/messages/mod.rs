//! Messages between parties. Each message that is sent or received is recorded, with its result.
//!
//! ```text
//!   send(peer, turn)  ─▶ message-sent in the log ─▶ bytes
//!   take(peer, bytes) ─▶ state-received, message-received ─▶ an acknowledgement to return to the peer
//!                   ╰──▶ message-acked
//!                   ╰──▶ message-dropped, with a code for the reason
//! ```
//! A message's id is a hash of its bytes, so both sides compute the same id and a repeated message is recognized. A
//! message is recorded as received once. Each repetition is dropped as a replay and acknowledged again, because the
//! first acknowledgement may be lost. A party that is killed between recording the state and recording the message
//! accepts the message again. So nothing is lost if the sender repeats a message until it is acknowledged.

use annals::{Backend, DecideError, EventStore, Query, QueryItem, ReadError};

use super::recent::signatures_of;
use super::refusal::{Refusal, Stop, refused};
use super::{Party, PartyError, now_ms};
use crate::envelope::{Envelope, message_id};
use crate::log::incoming::LogTaken;
use crate::log::refusal::LogError;
use crate::rules::{Rule, check_message};
use crate::views::{Equivocation, Message, MessageState};
use crate::{
    ChannelEvent, DropCode, EventVersion, Hash, MessageAcked, MessageDropped, MessageReceived,
    MessageSent, SignedState,
};

/// The payload type of a signed state.
const SIGNED_STATE: &str = "signed-state";
/// The maximum length of a recorded reason in bytes. Longer reasons are cut, so that a peer cannot fill the log with
/// them.
const REASON_MAX: usize = 200;

/// The result of a received message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and not for long")]
pub enum Taken {
    /// A signed state was recorded.
    State {
        /// The state, its signer and the signature.
        turn: SignedState,
        /// The evidence that the signer had already signed another state for the turn, if there is any.
        evidence: Option<Equivocation>,
        /// The acknowledgement to send to the peer.
        ack: Vec<u8>,
    },
    /// The peer acknowledged a message that was sent.
    Acked {
        /// The id of the message.
        message_id: Hash,
    },
    /// The message was about a log: a checkpoint, a receipt, or what the peer has seen.
    Log(LogTaken),
    /// The message was not accepted, and that was recorded.
    Dropped {
        /// The reason, for a program.
        error_code: DropCode,
        /// The reason, for a person.
        reason: String,
        /// For a message that was received before, the acknowledgement to send to the peer again.
        ack: Option<Vec<u8>>,
    },
}

impl<B: Backend<ChannelEvent>> Party<B> {
    /// Returns the message that sends this signed state to a peer, under an objective. The message is recorded, and its
    /// record is durable, before it is returned. A second call returns the same bytes, to send them again.
    ///
    /// # Errors
    /// [`PartyError`] if the log does not have this state with this signature, the state is too large for a message, or
    /// the log fails.
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
        self.sync()?;
        Ok(bytes)
    }

    /// Receives the bytes that a peer sent, and records the result, whatever the bytes are. A state and its message are
    /// durable before an acknowledgement is returned.
    ///
    /// # Errors
    /// [`PartyError`] if the log fails. A message that is not accepted is [`Taken::Dropped`].
    pub fn take(&mut self, peer_id: &str, bytes: &[u8]) -> Result<Taken, PartyError> {
        let message = Incoming { peer_id, id: message_id(bytes), size: size(bytes) };
        match Envelope::from_bytes(bytes) {
            Err(error) => self.dropped(&message, DropCode::DecodeFailed, &error.to_string()),
            Ok(Envelope::Ack { message_id }) => self.take_ack(&message, message_id),
            Ok(Envelope::SignedState { objective_id, turn }) => {
                self.take_state(&message, objective_id, turn)
            }
            Ok(envelope) => self.take_about_log(&message, &envelope),
        }
    }

    fn take_about_log(
        &mut self,
        message: &Incoming<'_>,
        envelope: &Envelope,
    ) -> Result<Taken, PartyError> {
        let Some(log) = &self.log else {
            return self.dropped(message, DropCode::PayloadInvalid, "the party has no proofs");
        };
        match log.take_envelope(message.peer_id, envelope) {
            Ok(taken) => Ok(Taken::Log(taken)),
            Err(LogError::Refused(refusal)) => {
                self.dropped(message, DropCode::PayloadInvalid, &refusal.to_string())
            }
            Err(error) => Err(refused(Refusal::of_log(error))),
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
                // The peer does not send again what was acknowledged.
                self.sync()?;
                return Ok(Taken::State { turn, evidence, ack });
            }
        }
        let again = "the message was received before";
        match self.dropped(message, DropCode::ReplayAttack, again)? {
            Taken::Dropped { error_code, reason, .. } => {
                self.sync()?;
                Ok(Taken::Dropped { error_code, reason, ack: Some(ack) })
            }
            other => Ok(other),
        }
    }

    /// Records that a message was received, unless it is recorded already. Returns whether it was recorded now.
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
                self.dropped(message, DropCode::ReplayAttack, "the message was acknowledged before")
            }
            Ok(_) => Ok(Taken::Acked { message_id: of }),
            Err(DecideError::Rejected(violation)) => {
                let violation: Box<Refusal> = violation;
                self.dropped(message, DropCode::PayloadInvalid, &violation.to_string())
            }
            Err(error) => Err(error),
        }
    }

    /// Records that a message was not accepted.
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

/// A received message: its peer, its id and its size in bytes.
struct Incoming<'a> {
    peer_id: &'a str,
    id: Hash,
    size: u32,
}

/// Returns the code of a message that a party refuses for this reason.
fn drop_code(refusal: &Refusal) -> DropCode {
    let Refusal::Violation(violation) = refusal else { return DropCode::PayloadInvalid };
    match *violation.rule {
        Rule::OwnChannel { .. } | Rule::ChannelExists { .. } => DropCode::ChannelUnknown,
        Rule::SignatureIsValid(_) | Rule::SignatureIsSigners { .. } => DropCode::SignatureInvalid,
        _ => DropCode::PayloadInvalid,
    }
}

/// Returns the time at which a message was sent to a peer, in milliseconds since 1970 UTC.
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
