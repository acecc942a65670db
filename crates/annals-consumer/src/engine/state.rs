//! The state of a group: the fold of its state log, without clock, input or output.
//!
//! ```text
//!   0 ─────────── position ─────────────────────── read ─────── head of the log
//!      finished            window: not finished         not read yet
//! ```
//! Every event of the query below `read` is in `window`, in `replays`, in `parked`, or is finished. So the position
//! follows from what is not finished, and is never a number of its own that could be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::entry::{Entry, Parked, Status};
use super::event::GroupEvent;
use super::settings::GroupSettings;
use super::window::Window;

/// The most entries in one carried part, so that it stays below the limit of an event, 16 MiB: a reason has at most
/// 1,000 bytes, and a byte takes up to 6 bytes of JSON.
const CARRIED_PART: usize = 2_000;

/// The state of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GroupState {
    pub(crate) settings: GroupSettings,
    /// The id of the log whose events the group handles.
    pub(crate) source: Option<Uuid>,
    /// The number of resets.
    pub(crate) epoch: u32,
    /// The events of the query below this offset are known.
    pub(crate) read: u64,
    /// The value of `read` that the state log has. `read` is ahead of it if no event of the query is between them.
    pub(crate) stored_read: u64,
    /// The digest of the event before `stored_read`.
    pub(crate) before: Option<String>,
    pub(crate) window: Window,
    /// Events that were parked and are delivered again. They do not hold the position back.
    pub(crate) replays: BTreeMap<u64, Entry>,
    pub(crate) parked: BTreeMap<u64, Parked>,
    /// Whether the state was carried over as a whole.
    pub(crate) complete: bool,
}

/// An event of the state log that does not fit the state. Says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) String);

impl GroupState {
    /// Returns the position: every event of the query below it is finished or parked.
    pub(crate) fn position(&self) -> u64 {
        self.window.first().unwrap_or(self.read)
    }

    pub(crate) fn entry(&self, offset: u64) -> Option<&Entry> {
        self.window.get(offset).or_else(|| self.replays.get(&offset))
    }

    pub(crate) fn entry_mut(&mut self, offset: u64) -> Option<&mut Entry> {
        self.window.get_mut(offset).or_else(|| self.replays.get_mut(&offset))
    }

    /// Returns all entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.window.iter().chain(self.replays.iter().map(|(&offset, entry)| (offset, entry)))
    }

    /// Returns whether every event that was read is finished or parked.
    pub(crate) fn is_idle(&self) -> bool {
        self.window.is_empty() && self.replays.is_empty()
    }

    /// Returns the number of leased events.
    pub(crate) fn in_flight(&self) -> u64 {
        let leased = |(_, entry): &(u64, &Entry)| matches!(entry.status, Status::Leased { .. });
        self.entries().filter(leased).count() as u64
    }

    fn existing(&mut self, offset: u64) -> Result<&mut Entry, Misfit> {
        let missing = || Misfit(format!("the event at offset {offset} is not to be delivered"));
        self.entry_mut(offset).ok_or_else(missing)
    }

    pub(super) fn finish(&mut self, offset: u64) -> Result<Entry, Misfit> {
        let missing = || Misfit(format!("the event at offset {offset} is finished already"));
        let found = self.window.remove(offset).or_else(|| self.replays.remove(&offset));
        found.ok_or_else(missing)
    }

    fn unpark(&mut self, offset: u64) -> Result<Parked, Misfit> {
        let missing = || Misfit(format!("the event at offset {offset} is not parked"));
        self.parked.remove(&offset).ok_or_else(missing)
    }

    /// Adds entries behind those of the window.
    fn extend(&mut self, entries: impl Iterator<Item = (u64, Entry)>) -> Result<(), Misfit> {
        for (offset, entry) in entries {
            if !self.window.push(offset, entry) {
                return Err(Misfit(format!("offset {offset} is not behind the one before it")));
            }
        }
        Ok(())
    }

    /// Adds the events at `offsets`, which are to be delivered. Everything below `to` was read.
    fn admit(&mut self, to: u64, offsets: &[u64]) -> Result<(), Misfit> {
        let first = offsets.first().copied().unwrap_or(to);
        if to < self.read || first < self.read {
            return Err(Misfit(format!("offset {first} was read before")));
        }
        self.extend(offsets.iter().map(|&offset| (offset, Entry::new())))?;
        (self.read, self.stored_read) = (to, to);
        Ok(())
    }

    /// Gives a worker the events at `offsets` until the deadline.
    fn lease(
        &mut self,
        worker: &str,
        pull: Uuid,
        deadline_ms: u64,
        offsets: &[u64],
    ) -> Result<(), Misfit> {
        let worker: Arc<str> = worker.into();
        for &offset in offsets {
            self.existing(offset)?.lease(Arc::clone(&worker), pull, deadline_ms);
        }
        Ok(())
    }

    fn extend_lease(&mut self, offset: u64, until_ms: u64) -> Result<(), Misfit> {
        match &mut self.existing(offset)?.status {
            Status::Leased { deadline_ms, .. } => *deadline_ms = until_ms,
            _ => return Err(Misfit(format!("the event at offset {offset} has no lease"))),
        }
        Ok(())
    }

    /// Applies one event of the state log. After an error the state is not usable.
    pub(crate) fn apply(&mut self, event: &GroupEvent) -> Result<(), Misfit> {
        match event {
            GroupEvent::GroupConfigured { settings, source } => {
                self.settings = settings.clone();
                self.source = *source;
            }
            GroupEvent::StateCarried { window, replays, parked } => {
                self.extend(window.iter().cloned())?;
                self.replays.extend(replays.iter().cloned());
                self.parked.extend(parked.iter().cloned());
            }
            GroupEvent::StateComplete { epoch, read, before } => {
                (self.epoch, self.complete) = (*epoch, true);
                (self.read, self.stored_read) = (*read, *read);
                self.before.clone_from(before);
            }
            GroupEvent::EventsAdmitted { to, before, offsets } => {
                self.admit(*to, offsets)?;
                self.before.clone_from(before);
            }
            GroupEvent::EventsLeased { worker, pull, deadline_ms, offsets } => {
                self.lease(worker, *pull, *deadline_ms, offsets)?;
            }
            GroupEvent::LeaseExtended { offset, deadline_ms } => {
                self.extend_lease(*offset, *deadline_ms)?;
            }
            GroupEvent::DeliveriesReturned { offsets } => {
                for &offset in offsets {
                    let missing = || Misfit(format!("the event at offset {offset} was not leased"));
                    let entry = self.existing(offset)?;
                    entry.attempts = entry.attempts.checked_sub(1).ok_or_else(missing)?;
                    (entry.pull, entry.status) = (None, Status::Waiting);
                }
            }
            GroupEvent::EventsAcked { offsets } => {
                for &offset in offsets {
                    self.finish(offset)?;
                }
            }
            GroupEvent::EventSkipped { offset, .. } => {
                self.finish(*offset)?;
            }
            GroupEvent::EventRetried { offset, until_ms, .. } => {
                self.existing(*offset)?.status = Status::Pausing { until_ms: *until_ms };
            }
            GroupEvent::EventParked { offset, at_ms, reason } => {
                let attempts = self.finish(*offset)?.attempts;
                let parked = Parked { attempts, at_ms: *at_ms, reason: reason.clone() };
                self.parked.insert(*offset, parked);
            }
            GroupEvent::ParkedReplayed { offsets } => {
                for &offset in offsets {
                    self.unpark(offset)?;
                    self.replays.insert(offset, Entry::new());
                }
            }
            GroupEvent::ParkedDropped { offsets } => {
                for &offset in offsets {
                    self.unpark(offset)?;
                }
            }
            GroupEvent::PositionReset { to, before } => {
                self.reset(*to);
                self.before.clone_from(before);
            }
        }
        Ok(())
    }

    /// Forgets everything at and beyond `to`, and every lease.
    fn reset(&mut self, to: u64) {
        self.epoch += 1;
        (self.read, self.stored_read) = (to, to);
        self.window.clear();
        self.replays.clear();
        self.parked.retain(|&offset, _| offset < to);
    }

    /// Returns the events with which a new state log begins.
    pub(crate) fn carried(&self) -> Vec<GroupEvent> {
        let (settings, source) = (self.settings.clone(), self.source);
        let mut events = vec![GroupEvent::GroupConfigured { settings, source }];
        let windows = parts(self.window.iter());
        events.extend(windows.map(|window| GroupEvent::carried(window, vec![], vec![])));
        let replays = parts(self.replays.iter().map(|(&offset, entry)| (offset, entry)));
        events.extend(replays.map(|replays| GroupEvent::carried(vec![], replays, vec![])));
        let parked = parts(self.parked.iter().map(|(&offset, parked)| (offset, parked)));
        events.extend(parked.map(|parked| GroupEvent::carried(vec![], vec![], parked)));
        let (epoch, read, before) = (self.epoch, self.stored_read, self.before.clone());
        events.push(GroupEvent::StateComplete { epoch, read, before });
        events
    }
}

/// Returns entries in parts that fit into one event each.
fn parts<'a, T: Clone + 'a>(
    mut entries: impl Iterator<Item = (u64, &'a T)>,
) -> impl Iterator<Item = Vec<(u64, T)>> {
    std::iter::from_fn(move || {
        let part: Vec<_> =
            entries.by_ref().take(CARRIED_PART).map(|(offset, it)| (offset, it.clone())).collect();
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_state_log_has_the_digest_of_the_event_before_its_position() {
        // Events 2 to 4 were passed: they are not of the query, and the state log has not learned of them.
        let before = Some("ab".repeat(16));
        let state = GroupState { read: 5, stored_read: 2, before, ..GroupState::default() };
        let mut carried = GroupState::default();
        for event in state.carried() {
            carried.apply(&event).unwrap();
        }
        assert_eq!(carried.before, state.before);
        assert_eq!((carried.read, carried.stored_read), (2, 2));
    }

    #[test]
    fn a_state_of_many_parked_events_with_the_longest_reasons_can_be_carried() {
        let parked = Parked { attempts: 5, at_ms: u64::MAX, reason: "\u{1}".repeat(1_000) };
        let parked = (0..5_000).map(|offset| (offset, parked.clone())).collect();
        let state = GroupState { parked, ..GroupState::default() };
        let mut carried = GroupState::default();
        for event in state.carried() {
            let mut bytes = Vec::new();
            annals::Event::encode(&event, &mut bytes).unwrap();
            assert!(bytes.len() < annals::MAX_DATA_BYTES, "{}", bytes.len());
            carried.apply(&event).unwrap();
        }
        assert_eq!(carried.parked, state.parked);
    }
}
