//! What the chain says. There is none here: these are the events that a program would make of its blocks.

use std::time::{SystemTime, UNIX_EPOCH};

use annals_channels::{
    Address, AllocationUpdated, ChallengeCleared, ChallengeRegistered, ChannelConcluded,
    ChannelEvent, DepositDetected, EventVersion, WithdrawCompleted,
};

use super::cast::{CHALLENGE_SECONDS, ETH, Player, channel_id};
use crate::failure::Failure;

/// A chain that has a block for each thing it says.
pub(super) struct Chain {
    block_num: u64,
}

impl Chain {
    pub(super) fn new() -> Self {
        Self { block_num: 100 }
    }

    /// Somebody locked funds, and now the channel holds so much.
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

    /// Somebody says that this turn was the last.
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

    /// Somebody showed a later turn.
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

    /// The outcome of this turn is final.
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

    /// Somebody was paid, and the channel holds what is left.
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

/// Both hear it from the chain, and record it.
pub(super) fn both_observe(
    alice: &mut Player,
    bob: &mut Player,
    event: ChannelEvent,
) -> Result<(), Failure> {
    bob.party.observe(event.clone())?;
    alice.party.observe(event)?;
    Ok(())
}

/// Milliseconds since 1970 UTC, by the system's clock.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
