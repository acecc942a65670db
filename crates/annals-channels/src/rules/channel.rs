//! The rules of channels: signers and their order, supported and final states, and the events of the chain.

use std::collections::BTreeSet;

use super::{Rule, Violation};
use crate::views::{ChannelState, Signed, signed_by};
use crate::{
    ChannelCreated, ChannelEvent, ChannelFinalized, DepositDetected, FixedPart, Hash, StateKept,
    StateSupportedUpdated, recover,
};

/// Checks an event about a channel against the state of that channel. Other events pass.
///
/// A second state for a turn passes, because it is evidence: see [`ChannelState::equivocation`].
///
/// # Errors
/// The [`Violation`], if the event breaks a rule.
pub fn check_channel(state: &ChannelState, event: &ChannelEvent) -> Result<(), Violation> {
    check(state, event).map_err(|rule| Violation::new(event, rule))
}

/// Checks as [`check_channel`] does, but returns only the rule. A [`Violation`] has the event's id, which takes the
/// time to write the event as JSON.
pub(crate) fn check(state: &ChannelState, event: &ChannelEvent) -> Result<(), Rule> {
    match event {
        ChannelEvent::ChannelCreated(event) => created(state, event),
        ChannelEvent::StateSigned(body) => {
            signature(state, body.channel_id, event)?;
            turn(state, event)
        }
        ChannelEvent::StateReceived(body) => signature(state, body.channel_id, event),
        ChannelEvent::StateSupportedUpdated(event) => supported(state, event),
        ChannelEvent::ChannelFinalized(event) => finalized(state, event),
        ChannelEvent::DepositDetected(event) => deposit(state, event),
        ChannelEvent::ChallengeCleared(event) => match state.challenge {
            None => Err(Rule::ChallengeExists { channel_id: event.channel_id }),
            Some(challenge) if event.new_turn_num_record <= challenge.turn_num_record => {
                let (challenged, found) = (challenge.turn_num_record, event.new_turn_num_record);
                Err(Rule::ClearingBeats { challenged, found })
            }
            Some(_) => Ok(()),
        },
        ChannelEvent::StateKept(event) => kept(state, event),
        ChannelEvent::WithdrawCompleted(event) if !state.concluded => {
            Err(Rule::ConcludedFirst { channel_id: event.channel_id })
        }
        _ => Ok(()),
    }
}

fn created(state: &ChannelState, event: &ChannelCreated) -> Result<(), Rule> {
    let (expected, found) = (FixedPart::from(event).channel_id(), event.channel_id);
    if found != expected {
        return Err(Rule::ChannelId { expected, found });
    }
    if state.fixed.is_some() {
        return Err(Rule::ChannelIsNew { channel_id: found });
    }
    let mut seen = BTreeSet::new();
    if let Some(&twice) = event.participants.iter().find(|&&one| !seen.insert(one)) {
        return Err(Rule::ParticipantsDiffer { twice });
    }
    Ok(())
}

/// Checks that the channel exists, the signer is a participant, and the signature is the signer's.
fn signature(state: &ChannelState, channel_id: Hash, event: &ChannelEvent) -> Result<(), Rule> {
    let fixed = existing(state, channel_id)?;
    let Some((_, Signed { signer, state_hash, signature, .. })) = signed_by(event) else {
        return Ok(());
    };
    if !fixed.participants.contains(&signer) {
        return Err(Rule::SignerIsParticipant { signer });
    }
    match recover(state_hash, signature).map_err(Rule::SignatureIsValid)? {
        found if found == signer => Ok(()),
        found => Err(Rule::SignatureIsSigners { signer, found }),
    }
}

/// Checks that the signer's turn is after its last one. A second state for a turn passes, because it is evidence
/// against the signer.
fn turn(state: &ChannelState, event: &ChannelEvent) -> Result<(), Rule> {
    let Some((found, signed)) = signed_by(event) else { return Ok(()) };
    if state.equivocation(found, &signed).is_some() {
        return Ok(());
    }
    let ours = |known: &Signed| known.own && known.signer == signed.signer;
    let mut turns = state.signatures.iter().rev();
    match turns.find(|(_, known)| known.iter().any(ours)) {
        Some((&latest, _)) if found <= latest => Err(Rule::TurnGoesUp { latest, found }),
        _ => Ok(()),
    }
}

/// Checks that every participant signed one of the last n turns, where n is the number of participants. A signature of
/// the supported turn counts only if it is of the supported state, and the mover must have signed that state.
fn supported(state: &ChannelState, event: &StateSupportedUpdated) -> Result<(), Rule> {
    let fixed = existing(state, event.channel_id)?;
    let (turn_num, state_hash) = (event.supported_turn, event.state_hash);
    let (current, found) =
        (state.supported.map_or(0, |known| known.turn_num), event.prev_supported_turn);
    if found != current {
        return Err(Rule::PreviousIsCurrent { current, found });
    }
    if turn_num <= found {
        return Err(Rule::SupportGoesUp { previous: found, found: turn_num });
    }
    let count = fixed.participants.len();
    if u64::from(event.num_signatures.get()) != count as u64 {
        return Err(Rule::SignatureCount { expected: count, found: event.num_signatures.get() });
    }
    if !state.signatures_at(turn_num).iter().any(|signed| signed.state_hash == state_hash) {
        return Err(Rule::SupportedWasSigned { turn_num, state_hash });
    }
    moved(state, fixed, turn_num, state_hash)?;
    let first = turn_num.saturating_sub(count as u64 - 1);
    let held = |signer| {
        state.signatures.range(first..=turn_num).any(|(turn, signatures)| {
            signatures.iter().any(|signed| {
                signed.signer == signer && (*turn < turn_num || signed.state_hash == state_hash)
            })
        })
    };
    match fixed.participants.iter().find(|&&signer| !held(signer)) {
        Some(&missing) => Err(Rule::SupportedByAll { turn_num, missing }),
        None => Ok(()),
    }
}

/// Checks that the mover of the turn signed the state.
fn moved(
    state: &ChannelState,
    fixed: &FixedPart,
    turn_num: u64,
    state_hash: Hash,
) -> Result<(), Rule> {
    let mover = fixed.mover(turn_num);
    let by_mover = |signed: &Signed| signed.signer == mover && signed.state_hash == state_hash;
    if state.signatures_at(turn_num).iter().any(by_mover) {
        Ok(())
    } else {
        Err(Rule::SupportedByMover { turn_num, mover })
    }
}

fn finalized(state: &ChannelState, event: &ChannelFinalized) -> Result<(), Rule> {
    let fixed = existing(state, event.channel_id)?;
    let turn_num = event.final_turn;
    if let Some(end) = state.finalized {
        return Err(Rule::FinalOnce { final_turn: end.turn_num, found: turn_num });
    }
    let held = |signer| {
        state.signatures_at(turn_num).iter().any(|signed| {
            signed.signer == signer
                && signed.is_final
                && signed.state_hash == event.final_state_hash
        })
    };
    match fixed.participants.iter().find(|&&signer| !held(signer)) {
        Some(&missing) => Err(Rule::FinalByAll { turn_num, missing }),
        None => Ok(()),
    }
}

/// Checks that the channel has a signature of this state's hash, and that the state with that signature's turn and
/// finality has this hash.
fn kept(state: &ChannelState, event: &StateKept) -> Result<(), Rule> {
    existing(state, event.channel_id)?;
    let state_hash = event.state_hash;
    let is_of = |(turn, signed): (&u64, &Vec<Signed>)| {
        signed.iter().any(|one| {
            one.state_hash == state_hash && event.state(*turn, one.is_final).hash() == state_hash
        })
    };
    if state.signatures.iter().any(is_of) { Ok(()) } else { Err(Rule::KeptIsSigned { state_hash }) }
}

fn deposit(state: &ChannelState, event: &DepositDetected) -> Result<(), Rule> {
    let (deposited, found) = (event.amount_deposited, event.now_held);
    if found < deposited {
        return Err(Rule::DepositIsHeld { deposited, found });
    }
    let Some(holding) = state.holdings.get(&event.asset) else { return Ok(()) };
    let (block_num, tx_index) = (event.block_num, event.tx_index);
    if holding.deposits.contains(&(block_num, tx_index)) {
        return Err(Rule::DepositIsNew { block_num, tx_index, asset: event.asset });
    }
    if found < holding.amount {
        return Err(Rule::HoldingGrows { held: holding.amount, found });
    }
    Ok(())
}

fn existing(state: &ChannelState, channel_id: Hash) -> Result<&FixedPart, Rule> {
    state.fixed.as_ref().ok_or(Rule::ChannelExists { channel_id })
}
