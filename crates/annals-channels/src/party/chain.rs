//! A party's actions on the chain, and the events of the chain that it records.
//!
//! ```text
//!   deposited ─▶ … ─▶ challenge ─▶ clear ─▶ … ─▶ conclude ─▶ withdraw
//!                     ╰─ each returns the signatures to submit ─╯
//! ```
//! Each action is recorded before it returns. The signatures that it returns, and the action itself, are then durable.
//! Block number and transaction index distinguish an action from others of its kind. The same action at the same
//! position changes nothing and returns the same, so an interrupted caller can repeat it.

use annals::{Backend, DecideError, EventStore};

use super::recorded::{is_chain_event, offset_of};
use super::refusal::{Refusal, Stop, refused};
use super::{Party, PartyError, SupportProof, now_ms};
use crate::rules::{RecordError, RecordedEvent, Rule, Violation, check_channel};
use crate::views::ChannelState;
use crate::{
    Address, AllocationUpdated, Amount, ChallengeCleared, ChallengeRegistered, ChannelConcluded,
    ChannelEvent, DepositDetected, EventVersion, Hash, WithdrawCompleted,
};

/// The position of an event on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnChain {
    /// The number of the block.
    pub block_num: u64,
    /// The index of the transaction in its block.
    pub tx_index: u32,
    /// The hash of the transaction, if it is known.
    pub tx_hash: Option<Hash>,
}

impl<B: Backend<ChannelEvent>> Party<B> {
    /// Records an event of the chain about the channel: a deposit, an allocation, a challenge, the conclusion or a
    /// withdrawal. An event that is recorded already, except for its time, changes nothing.
    ///
    /// # Errors
    /// [`RecordError`] if the event is about another channel, is not an event of the chain or breaks a rule, or if the
    /// log fails.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an event is passed by value as it is to `record`"
    )]
    pub fn observe(&mut self, event: ChannelEvent) -> Result<RecordedEvent, RecordError> {
        self.is_ours(&event).map_err(DecideError::Rejected)?;
        if !is_chain_event(&event) {
            return Err(DecideError::Rejected(Violation::new(&event, Rule::OfTheChain)));
        }
        let mut recorded_at = None;
        let decided = self.decide(|state, store| {
            recorded_at = offset_of(store, &event).map_err(Stop::Unread)?;
            if recorded_at.is_some() {
                return Ok(vec![]);
            }
            check_channel(state, &event).map_err(Stop::Refused)?;
            Ok(vec![event.clone()])
        })?;
        let offset = recorded_at.unwrap_or(decided.offsets.start);
        Ok(RecordedEvent { offset, equivocation: None })
    }

    /// Records a deposit of `amount`, after which the chain holds `now_held` of the asset.
    ///
    /// # Errors
    /// [`PartyError`] if another deposit of the asset is recorded at this position, less is held than before, or the
    /// log fails.
    pub fn deposited(
        &mut self,
        at: OnChain,
        asset: Address,
        amount: Amount,
        now_held: Amount,
    ) -> Result<(), PartyError> {
        let event = ChannelEvent::from(DepositDetected {
            amount_deposited: amount,
            asset,
            block_num: at.block_num,
            channel_id: self.channel_id(),
            event_version: EventVersion,
            now_held,
            timestamp_ms: now_ms(),
            tx_hash: at.tx_hash,
            tx_index: at.tx_index,
        });
        self.act(|_, _| Ok(Act { events: vec![event.clone()], refusal: None }))
    }

    /// Registers a challenge with the supported state, which ends at `finalization_time`, in seconds since 1970 UTC.
    /// Returns the signatures that support the state. [`support`](Self::support) returns them before the challenge.
    ///
    /// # Errors
    /// [`PartyError`] if no state is supported, the supported one is not later than the challenged one, the channel is
    /// concluded, or the log fails.
    pub fn challenge(
        &mut self,
        at: OnChain,
        finalization_time: u64,
    ) -> Result<SupportProof, PartyError> {
        let (channel_id, ours, timestamp_ms) = (self.channel_id(), self.address(), now_ms());
        self.prove_with(|state, store| {
            let proof = supported(store, channel_id, state)?;
            let (turn, challenge) = (proof.turn_num, state.challenge);
            let challenged = challenge.map(|challenge| challenge.turn_num_record);
            let refusal = match challenged.filter(|challenged| *challenged >= turn) {
                _ if state.concluded => Some(Refusal::Concluded { channel_id }),
                Some(challenged) => Some(Refusal::Challenged { challenged, supported: turn }),
                None => None,
            };
            let event = ChallengeRegistered {
                block_num: at.block_num,
                candidate_state_hash: Some(proof.state_hash),
                challenger: ours,
                channel_id,
                event_version: EventVersion,
                finalization_time,
                is_final: proof.is_final,
                timestamp_ms,
                turn_num_record: turn,
                tx_hash: at.tx_hash,
                tx_index: at.tx_index,
            };
            Ok((Act { events: vec![event.into()], refusal }, proof))
        })
    }

    /// Clears the open challenge with the supported state. Returns the signatures that support the state.
    ///
    /// # Errors
    /// [`PartyError`] if the channel is not challenged, no later state is supported, the channel is concluded, or the log
    /// fails.
    pub fn clear(&mut self, at: OnChain) -> Result<SupportProof, PartyError> {
        let (channel_id, timestamp_ms) = (self.channel_id(), now_ms());
        self.prove_with(|state, store| {
            let proof = supported(store, channel_id, state)?;
            let event = ChallengeCleared {
                block_num: at.block_num,
                channel_id,
                event_version: EventVersion,
                new_turn_num_record: proof.turn_num,
                timestamp_ms,
                tx_hash: at.tx_hash,
                tx_index: at.tx_index,
            };
            let refusal = state.concluded.then_some(Refusal::Concluded { channel_id });
            Ok((Act { events: vec![event.into()], refusal }, proof))
        })
    }

    /// Concludes the channel with the final state that every participant signed. Returns the signatures of that state.
    /// The end of a challenge's time is an event of the chain: see [`observe`](Self::observe).
    ///
    /// # Errors
    /// [`PartyError`] if not every participant signed a final state, the channel is concluded already, or the log
    /// fails.
    pub fn conclude(&mut self, at: OnChain) -> Result<SupportProof, PartyError> {
        let (channel_id, timestamp_ms) = (self.channel_id(), now_ms());
        self.prove_with(|state, store| {
            let proof = SupportProof::of_final(store, channel_id, state).map_err(Stop::Unread)?;
            let proof = proof.ok_or(Refusal::NotFinal)?;
            let event = ChannelConcluded {
                block_num: at.block_num,
                channel_id,
                event_version: EventVersion,
                finalized_at_turn: Some(proof.turn_num),
                timestamp_ms,
                tx_hash: at.tx_hash,
                tx_index: at.tx_index,
            };
            let refusal = state.concluded.then_some(Refusal::Concluded { channel_id });
            Ok((Act { events: vec![event.into()], refusal }, proof))
        })
    }

    /// Pays funds of the concluded channel to the recipient, and lowers the amount held.
    ///
    /// # Errors
    /// [`PartyError`] if the channel is not concluded or holds less of the asset, or if the log fails.
    pub fn withdraw(
        &mut self,
        at: OnChain,
        asset: Address,
        recipient: Address,
        amount: Amount,
    ) -> Result<(), PartyError> {
        let (channel_id, timestamp_ms) = (self.channel_id(), now_ms());
        let paid = WithdrawCompleted {
            amount,
            asset,
            block_num: at.block_num,
            channel_id,
            event_version: EventVersion,
            recipient,
            timestamp_ms,
            tx_hash: at.tx_hash,
            tx_index: at.tx_index,
        };
        self.act(|state, _| {
            let held = state.holdings.get(&asset).map_or(Amount::default(), |held| held.amount);
            let refusal = Refusal::NotHeld { asset, held, asked: amount };
            let left = AllocationUpdated {
                asset,
                block_num: at.block_num,
                channel_id,
                event_version: EventVersion,
                new_amount: held.get().saturating_sub(amount.get()).into(),
                timestamp_ms,
                tx_hash: at.tx_hash,
                tx_index: at.tx_index,
            };
            let events = vec![paid.clone().into(), left.into()];
            Ok(Act { events, refusal: (held < amount).then_some(refusal) })
        })
    }

    fn act(
        &mut self,
        mut action: impl FnMut(&ChannelState, &EventStore<ChannelEvent, B>) -> Result<Act, Stop>,
    ) -> Result<(), PartyError> {
        self.act_with(|state, store| Ok((action(state, store)?, ())))
    }

    /// Records an action as [`act_with`](Self::act_with) does. What it records, and the signatures that it returns, are
    /// durable when it returns.
    fn prove_with(
        &mut self,
        action: impl FnMut(
            &ChannelState,
            &EventStore<ChannelEvent, B>,
        ) -> Result<(Act, SupportProof), Stop>,
    ) -> Result<SupportProof, PartyError> {
        let proof = self.act_with(action)?;
        self.sync()?;
        Ok(proof)
    }

    /// Records an action if it is allowed, unless it is recorded already. Returns the value that the action returned
    /// beside its events.
    fn act_with<T>(
        &mut self,
        mut action: impl FnMut(&ChannelState, &EventStore<ChannelEvent, B>) -> Result<(Act, T), Stop>,
    ) -> Result<T, PartyError> {
        let mut result = None;
        self.decide(|state, store| {
            let (Act { events, refusal }, value) = action(state, store)?;
            result = Some(value);
            if let Some(first) = events.first()
                && offset_of(store, first).map_err(Stop::Unread)?.is_some()
            {
                return Ok(vec![]);
            }
            if let Some(refusal) = refusal {
                return Err(refusal.into());
            }
            events.iter().try_for_each(|event| check_channel(state, event))?;
            Ok(events)
        })?;
        result.ok_or_else(|| refused(Refusal::NothingSupported))
    }
}

/// The result of an action.
struct Act {
    /// The action's events. If the log has the first one, the action is recorded already.
    events: Vec<ChannelEvent>,
    /// The reason to refuse the action, unless it is recorded already.
    refusal: Option<Refusal>,
}

fn supported<B: Backend<ChannelEvent>>(
    store: &EventStore<ChannelEvent, B>,
    channel_id: Hash,
    state: &ChannelState,
) -> Result<SupportProof, Stop> {
    let proof = SupportProof::of_supported(store, channel_id, state).map_err(Stop::Unread)?;
    Ok(proof.ok_or(Refusal::NothingSupported)?)
}
