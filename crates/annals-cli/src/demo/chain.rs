//! The events of the blockchain. The demo has no blockchain: it creates the events that a program would derive from
//! blocks.

use std::time::{SystemTime, UNIX_EPOCH};

use annals_channels::{
    Address, AllocationUpdated, ChallengeCleared, ChallengeRegistered, ChannelConcluded,
    ChannelEvent, DepositDetected, EventVersion, WithdrawCompleted,
};

use super::cast::{CHALLENGE_SECONDS, ETH, Player, channel_id};
use crate::failure::Failure;

/// A chain with one block per call.
pub(super) struct Chain {
    block_num: u64,
}

impl Chain {
    pub(super) fn new() -> Self {
        Self { block_num: 100 }
    }

    /// Returns the event of a deposit, after which the channel holds `held` wei.
    pub(super) fn deposit(&mut self, amount: u64, held: u64) -> Result<ChannelEvent, Failure> {
        Ok(DepositDetected {
            amount_deposited: amount.into(),
            asset: ETH,
            block_num: self.next_block(),
            channel_id: channel_id()?,
            event_version: EventVersion,
            now_held: held.into(),
            timestamp_ms: now_ms(),
            tx_hash: None,
            tx_index: 0,
        }
        .into())
    }

    /// Returns the event of a challenge, which claims that `turn` was the last.
    pub(super) fn challenge(&mut self, by: Address, turn: u64) -> Result<ChannelEvent, Failure> {
        let timestamp_ms = now_ms();
        Ok(ChallengeRegistered {
            block_num: self.next_block(),
            candidate_state_hash: None,
            challenger: by,
            channel_id: channel_id()?,
            event_version: EventVersion,
            finalization_time: timestamp_ms / 1_000 + u64::from(CHALLENGE_SECONDS.get()),
            is_final: false,
            timestamp_ms,
            turn_num_record: turn,
            tx_hash: None,
            tx_index: 0,
        }
        .into())
    }

    /// Returns the event that a challenge was cleared with a later turn.
    pub(super) fn cleared(&mut self, turn: u64) -> Result<ChannelEvent, Failure> {
        Ok(ChallengeCleared {
            block_num: self.next_block(),
            channel_id: channel_id()?,
            event_version: EventVersion,
            new_turn_num_record: turn,
            timestamp_ms: now_ms(),
            tx_hash: None,
            tx_index: 0,
        }
        .into())
    }

    /// Returns the event that the outcome of this turn is final.
    pub(super) fn concluded(&mut self, turn: u64) -> Result<ChannelEvent, Failure> {
        Ok(ChannelConcluded {
            block_num: self.next_block(),
            channel_id: channel_id()?,
            event_version: EventVersion,
            finalized_at_turn: Some(turn),
            timestamp_ms: now_ms(),
            tx_hash: None,
            tx_index: 0,
        }
        .into())
    }

    /// Returns the events of a withdrawal, after which the channel holds `left` wei.
    pub(super) fn withdrawal(
        &mut self,
        recipient: Address,
        amount: u64,
        left: u64,
    ) -> Result<[ChannelEvent; 2], Failure> {
        let (block_num, channel_id, timestamp_ms) = (self.next_block(), channel_id()?, now_ms());
        let paid = WithdrawCompleted {
            amount: amount.into(),
            asset: ETH,
            block_num,
            channel_id,
            event_version: EventVersion,
            recipient,
            timestamp_ms,
            tx_hash: None,
            tx_index: 0,
        };
        let held = AllocationUpdated {
            asset: ETH,
            block_num,
            channel_id,
            event_version: EventVersion,
            new_amount: left.into(),
            timestamp_ms,
            tx_hash: None,
            tx_index: 0,
        };
        Ok([paid.into(), held.into()])
    }

    fn next_block(&mut self) -> u64 {
        self.block_num += 1;
        self.block_num
    }
}

/// Records an event of the chain in the logs of both participants.
pub(super) fn both_observe(
    alice: &mut Player,
    bob: &mut Player,
    event: ChannelEvent,
) -> Result<(), Failure> {
    bob.party.observe(event.clone())?;
    alice.party.observe(event)?;
    Ok(())
}

/// Returns the system time in milliseconds since 1970 UTC.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
