//! The events of one projection, and copies of its state on the way, so that moving to any of its events is fast.

use std::sync::Arc;

use annals::{Query, RawEvent, Recorded};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::view::{Fold, State};
use crate::fault::{Fault, Kind};
use crate::pages::{Cursor, Room};
use crate::shared::Shared;

/// The largest number of copies of a state.
const MAX_MARKS: usize = 64;
/// The largest size of all copies of a state together, in bytes of memory.
const MAX_MARK_BYTES: usize = 16 << 20;
/// The largest number of events of a projection that does not read all events.
const MAX_EVENTS: usize = 4_000_000;
/// The events that are read at once.
const PAGE: Room = Room { events: 512, bytes: 8 << 20 };
/// The number of projections whose timelines are kept.
const KEPT: usize = 4;

/// The number of folds at once. Further ones wait without a thread, so that a slow projection does not stop reads.
const FOLDS: usize = 2;

/// The timelines that were used last.
#[derive(Clone)]
pub(in crate::inspector) struct Timelines {
    kept: Arc<Mutex<Vec<(String, Slot)>>>,
    folds: Arc<Semaphore>,
}

impl Default for Timelines {
    fn default() -> Self {
        Self { kept: Arc::default(), folds: Arc::new(Semaphore::new(FOLDS)) }
    }
}

type Slot = Arc<Mutex<Option<Timeline>>>;

impl Timelines {
    /// Waits for the permit to fold.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.folds).acquire_owned().await.map_err(|_| Fault::closing())
    }

    /// Calls `work` with the timeline of a projection, which has all events up to the head, or up to one that fails.
    /// `open` is called if the timeline is not there. A panic of the projection leaves none behind.
    pub(super) fn with<T>(
        &self,
        shared: &Shared,
        key: &str,
        open: impl FnOnce() -> Result<Box<dyn Fold>, Fault>,
        work: impl FnOnce(&Timeline) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let slot = self.slot(key);
        let mut slot = slot.lock();
        let mut timeline = match slot.take() {
            Some(timeline) => timeline,
            None => Timeline::new(&*open()?)?,
        };
        timeline.extend(shared);
        let result = work(&timeline);
        *slot = Some(timeline);
        result
    }

    fn slot(&self, key: &str) -> Slot {
        let mut kept = self.kept.lock();
        let found = kept.iter().position(|(other, _)| other == key);
        let entry = match found {
            Some(index) => kept.remove(index),
            None => (key.to_owned(), Slot::default()),
        };
        let slot = Arc::clone(&entry.1);
        kept.insert(0, entry);
        kept.truncate(KEPT);
        slot
    }
}

/// The offsets of a projection's events.
enum Offsets {
    /// All offsets up to this one.
    All(u64),
    Listed(Vec<u64>),
}

/// A state after a number of events.
struct Mark {
    steps: usize,
    bytes: usize,
    state: Box<dyn State>,
}

/// The events of one projection, and copies of its state on the way.
pub(super) struct Timeline {
    query: Arc<Query>,
    offsets: Offsets,
    /// The first one is the initial state, and they are in order.
    marks: Vec<Mark>,
    /// The number of events between two marks.
    spacing: usize,
    tip: Box<dyn State>,
    /// All events below it are in the timeline.
    head: u64,
    end: End,
}

/// Why a timeline has no further events.
enum End {
    /// It has all events up to the head.
    Head,
    /// The events from here on could not be read. The next request tries again.
    Unread(Fault),
    /// The event at this place cannot be applied, and the tip may have a part of it.
    Unfit(Fault),
}

impl Timeline {
    fn new(fold: &dyn Fold) -> Result<Self, Fault> {
        let query = fold.query();
        query.check()?;
        let tip = fold.initial();
        let first = Mark { steps: 0, bytes: 0, state: tip.copy() };
        let offsets = if query.is_all() { Offsets::All(0) } else { Offsets::Listed(Vec::new()) };
        let (query, marks) = (Arc::new(query), vec![first]);
        Ok(Self { query, offsets, marks, spacing: 16, tip, head: 0, end: End::Head })
    }

    /// Returns the number of events.
    pub(super) fn len(&self) -> usize {
        match &self.offsets {
            Offsets::All(head) => usize::try_from(*head).unwrap_or(usize::MAX),
            Offsets::Listed(offsets) => offsets.len(),
        }
    }

    /// Returns the offset of event number `step`, from 1; `None` if the projection has fewer events.
    pub(super) fn offset(&self, step: usize) -> Option<u64> {
        let index = step.checked_sub(1).filter(|_| step <= self.len())?;
        match &self.offsets {
            Offsets::All(_) => Some(index as u64),
            Offsets::Listed(offsets) => offsets.get(index).copied(),
        }
    }

    /// Returns the number of events up to an offset, that one included.
    pub(super) fn steps_at(&self, offset: u64) -> usize {
        match &self.offsets {
            Offsets::All(_) => {
                usize::try_from(offset.saturating_add(1)).unwrap_or(usize::MAX).min(self.len())
            }
            Offsets::Listed(offsets) => offsets.partition_point(|&other| other <= offset),
        }
    }

    /// Returns why the state at `offset` cannot be shown; `None` if it can.
    pub(super) fn failure_at(&self, offset: u64) -> Option<&Fault> {
        self.failure().filter(|_| offset >= self.head)
    }

    /// Returns why the timeline ends before the head; `None` if it does not.
    pub(super) fn failure(&self) -> Option<&Fault> {
        match &self.end {
            End::Head => None,
            End::Unread(fault) | End::Unfit(fault) => Some(fault),
        }
    }

    /// Applies the events up to the head, or up to one that fails.
    fn extend(&mut self, shared: &Shared) {
        if matches!(self.end, End::Unfit(_)) {
            return;
        }
        self.end = End::Head;
        let head = shared.head().get();
        let mut cursor = Cursor::new(Arc::clone(&self.query), self.head..head);
        // A page may be short: because its events are large, or because the one behind them cannot be read.
        while !cursor.is_done() {
            let page = match shared.next_page(&mut cursor, PAGE) {
                Ok(page) => page,
                Err(fault) => {
                    self.end = End::Unread(fault);
                    return;
                }
            };
            for event in page {
                if let Err(fault) = self.add(&event) {
                    self.head = event.offset;
                    self.end = End::Unfit(fault);
                    return;
                }
            }
            self.head = cursor.range.start.max(self.head);
        }
        self.head = head.max(self.head);
    }

    fn add(&mut self, event: &Recorded<RawEvent>) -> Result<(), Fault> {
        if matches!(&self.offsets, Offsets::Listed(offsets) if offsets.len() >= MAX_EVENTS) {
            let message = format!(
                "the projection has more than {MAX_EVENTS} events, which is too many for the inspector"
            );
            return Err(Fault::new(Kind::StateTooLarge, message));
        }
        self.tip.apply(event)?;
        let (steps, marked) = (self.len() + 1, (self.len() + 1).is_multiple_of(self.spacing));
        let bytes = if marked { self.tip.size()? } else { 0 };
        match &mut self.offsets {
            Offsets::All(head) => *head = event.offset + 1,
            Offsets::Listed(offsets) => offsets.push(event.offset),
        }
        self.head = event.offset + 1;
        if marked {
            self.marks.push(Mark { steps, bytes, state: self.tip.copy() });
            self.thin();
        }
        Ok(())
    }

    /// Drops every second mark as long as there are too many, or they are too large.
    fn thin(&mut self) {
        let is_too_much = |marks: &[Mark]| {
            let bytes: usize = marks.iter().map(|mark| mark.bytes).sum();
            marks.len() > MAX_MARKS || (bytes > MAX_MARK_BYTES && marks.len() > 2)
        };
        while is_too_much(&self.marks) {
            self.spacing *= 2;
            let spacing = self.spacing;
            self.marks.retain(|mark| mark.steps.is_multiple_of(spacing));
        }
    }

    /// Returns the state after a number of events.
    pub(super) fn state(&self, shared: &Shared, steps: usize) -> Result<Box<dyn State>, Fault> {
        if steps >= self.len() && !matches!(self.end, End::Unfit(_)) {
            return Ok(self.tip.copy());
        }
        let steps = steps.min(self.len());
        let index = self.marks.partition_point(|mark| mark.steps <= steps).saturating_sub(1);
        let mark = &self.marks[index];
        let mut state = mark.state.copy();
        let from = self.offset(mark.steps).map_or(0, |offset| offset + 1);
        let mut cursor = Cursor::new(Arc::clone(&self.query), from..self.head);
        cursor.left = (steps - mark.steps) as u64;
        while !cursor.is_done() {
            for event in shared.next_page(&mut cursor, PAGE)? {
                state.apply(&event)?;
            }
        }
        Ok(state)
    }
}

/// Returns the event that makes a step.
pub(super) fn event_of(
    shared: &Shared,
    timeline: &Timeline,
    step: usize,
) -> Result<Option<Recorded<RawEvent>>, Fault> {
    timeline.offset(step).map_or(Ok(None), |offset| shared.event_at(offset))
}
