//! The events that were delivered and not acknowledged, and the position that follows from them.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::{Duration, Instant};

use annals::{Backend, Event, EventStore};
use parking_lot::Mutex;

use crate::checkpoint::Checkpoint;
use crate::error::ConsumerError;
use crate::meters::Meters;
use crate::place::lock::NameLock;

/// The longest time in which acknowledged events are not saved while events are acknowledged.
const SAVE_WITHIN: Duration = Duration::from_secs(1);

/// What a consumer and its deliveries share.
pub(crate) struct Shared<'a, E: Event, B: Backend<E>> {
    pub(crate) store: &'a EventStore<E, B>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) save_every: u32,
    pub(crate) retry_after: Duration,
    pub(crate) tracker: Mutex<Tracker>,
    /// The position that was saved last. Locked while a position is saved, so a lower one never replaces a higher one.
    pub(crate) saved: Mutex<u64>,
    /// The consumer that waits for an event, which a returned delivery wakes.
    pub(crate) waker: Mutex<Option<Waker>>,
    pub(crate) meters: Meters,
    pub(crate) lock: NameLock,
}

/// What is not acknowledged.
#[derive(Debug)]
pub(crate) struct Tracker {
    /// The events that were delivered and not acknowledged, and the number of deliveries of each.
    open: BTreeMap<u64, u32>,
    /// The events that were returned, to be delivered again, and since when.
    returned: BTreeMap<u64, Instant>,
    /// Every event of the query below it was delivered.
    next: u64,
    /// The number of events that were acknowledged since the last save.
    acked: u32,
    saved_at: Instant,
}

impl Tracker {
    pub(crate) fn new(next: u64) -> Self {
        let (open, returned) = (BTreeMap::new(), BTreeMap::new());
        Self { open, returned, next, acked: 0, saved_at: Instant::now() }
    }

    /// Returns the position: every event of the query below it is acknowledged.
    pub(crate) fn position(&self) -> u64 {
        self.open.first_key_value().map_or(self.next, |(&offset, _)| offset)
    }

    pub(crate) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Notes that every event of the query below `next` was delivered.
    pub(crate) fn passed(&mut self, next: u64) {
        self.next = next;
    }

    /// Notes a delivery. Returns the number of deliveries of the event.
    pub(crate) fn delivered(&mut self, offset: u64) -> u32 {
        self.returned.remove(&offset);
        let attempts = self.open.entry(offset).or_default();
        *attempts += 1;
        *attempts
    }

    /// Returns the first event that was returned, and since when.
    pub(crate) fn first_returned(&self) -> Option<(u64, Instant)> {
        self.returned.first_key_value().map(|(&offset, &since)| (offset, since))
    }

    pub(crate) fn acked(&mut self, offset: u64) -> bool {
        self.returned.remove(&offset);
        let was_open = self.open.remove(&offset).is_some();
        self.acked += u32::from(was_open);
        was_open
    }
}

impl<E: Event, B: Backend<E>> Shared<'_, E, B> {
    /// Acknowledges an event. Saves the position if it is time to.
    pub(crate) fn ack(&self, offset: u64) -> Result<(), ConsumerError> {
        let mut tracker = self.tracker.lock();
        tracker.acked(offset);
        let due = tracker.acked >= self.save_every || tracker.saved_at.elapsed() >= SAVE_WITHIN;
        drop(tracker);
        if due { self.save() } else { Ok(()) }
    }

    /// Saves the position, if it has moved.
    pub(crate) fn save(&self) -> Result<(), ConsumerError> {
        let mut saved = self.saved.lock();
        let mut tracker = self.tracker.lock();
        let position = tracker.position();
        (tracker.acked, tracker.saved_at) = (0, Instant::now());
        drop(tracker);
        if position > *saved {
            self.lock.check()?;
            self.checkpoint.save(self.store, position)?;
            *saved = position;
        }
        Ok(())
    }

    /// Takes an event back that was not acknowledged.
    pub(crate) fn give_back(&self, offset: u64) {
        let mut tracker = self.tracker.lock();
        if tracker.open.contains_key(&offset) {
            tracker.returned.insert(offset, Instant::now());
        }
        drop(tracker);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }
}

impl<E: Event, B: Backend<E>> Drop for Shared<'_, E, B> {
    fn drop(&mut self) {
        if let Err(error) = self.save() {
            let name = self.checkpoint.name();
            tracing::error!(%error, name, "the last position was not saved; some events are delivered again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_stays_behind_the_lowest_event_that_is_not_acknowledged() {
        let mut tracker = Tracker::new(3);
        for offset in [3, 5, 8] {
            assert_eq!(tracker.delivered(offset), 1);
            tracker.passed(offset + 1);
        }
        assert_eq!(tracker.position(), 3);
        assert!(tracker.acked(5) && !tracker.acked(5));
        assert_eq!(tracker.position(), 3);
        assert_eq!(tracker.delivered(3), 2);
        assert!(tracker.acked(3));
        assert_eq!(tracker.position(), 8);
        assert!(tracker.acked(8));
        assert_eq!(tracker.position(), 9);
        tracker.passed(20);
        assert_eq!((tracker.position(), tracker.open_count()), (20, 0));
    }
}
