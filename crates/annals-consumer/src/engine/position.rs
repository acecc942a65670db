//! The record of a consumer: its position, which is saved in batches.

use annals::{Backend, Event, EventStore};

use crate::checkpoint::Checkpoint;
use crate::error::ConsumerError;

/// The longest time in ms in which handled events are not saved while events are handled.
const SAVE_WITHIN_MS: u64 = 1_000;

/// The number of events without a match after which the position is saved before the consumer waits.
const SAVE_PASSED: u64 = 65_536;

#[derive(Debug)]
pub(crate) struct Position {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) save_every: u32,
    /// The pause in ms after a save that failed.
    pub(crate) pause_ms: u64,
    pub(crate) saved: u64,
    /// The number of events that were handled since the last save.
    pub(crate) handled: u32,
    /// The time of the last save, by the consumer's clock.
    pub(crate) saved_ms: u64,
    /// When a failed save is tried again.
    pub(crate) retry_ms: Option<u64>,
}

impl Position {
    /// Returns whether enough is handled for a save.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        self.handled >= self.save_every
            || (self.handled > 0 && now_ms.saturating_sub(self.saved_ms) >= SAVE_WITHIN_MS)
    }

    /// Returns whether the position `now` is to be saved before the consumer waits.
    pub(crate) fn is_due_before_waiting(&self, now: u64, now_ms: u64) -> bool {
        let pauses = self.retry_ms.is_some_and(|retry_ms| retry_ms > now_ms);
        !pauses
            && now > self.saved
            && (self.handled > 0 || now - self.saved >= SAVE_PASSED || self.retry_ms.is_some())
    }

    /// Saves the position, if it has moved.
    pub(crate) fn save<E: Event, B: Backend<E>>(
        &mut self,
        store: &EventStore<E, B>,
        position: u64,
        now_ms: u64,
    ) -> Result<(), ConsumerError> {
        (self.handled, self.saved_ms, self.retry_ms) = (0, now_ms, None);
        if position <= self.saved {
            return Ok(());
        }
        let saved = self.checkpoint.save(store, position);
        match &saved {
            Ok(()) => self.saved = position,
            Err(_) => self.retry_ms = Some(now_ms.saturating_add(self.pause_ms)),
        }
        saved
    }
}
