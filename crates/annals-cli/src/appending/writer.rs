//! Appends batches to a store, which is created with the first, and reports them.

use annals::{AppendError, Batch, Condition, RawEvent};

use super::pending::Pending;
use crate::failure::Failure;
use crate::reports::Reports;
use crate::store::Store;
use crate::target::Target;

/// Appends batches to a store.
pub(crate) struct Writer {
    /// The store; `None` until the first batch is ready, if it did not exist before.
    store: Option<Store>,
    target: Target,
    condition: Option<Condition>,
    /// The names in the condition.
    names: String,
    allows_future: bool,
    /// The first line that is not in the store, from which the user can continue after a failure.
    pub(crate) next_line: u64,
    pub(crate) reports: Reports,
}

impl Writer {
    /// Returns a writer to a store, which is `None` if it does not exist yet.
    pub(crate) fn new(store: Option<Store>, target: Target, reports: Reports) -> Self {
        Self {
            store,
            target,
            condition: None,
            names: String::new(),
            allows_future: false,
            next_line: 1,
            reports,
        }
    }

    /// Appends each batch only if this condition holds. `names` are those in the condition.
    pub(crate) fn on_condition(self, condition: Option<Condition>, names: String) -> Self {
        Self { condition, names, ..self }
    }

    /// Permits times that are more than a day ahead of the clock.
    pub(crate) fn allow_future(self, allows_future: bool) -> Self {
        Self { allows_future, ..self }
    }

    /// Returns whether batches have a condition, so that all input is one batch.
    pub(crate) fn has_condition(&self) -> bool {
        self.condition.is_some()
    }

    /// Closes the store, and creates it before that if nothing was appended.
    pub(crate) fn close(&mut self) -> Result<(), Failure> {
        let store = self.store()?;
        self.target.announce();
        Ok(store.close()?)
    }

    /// Closes the store after a failure. Removes the store if it was created and has no events.
    pub(crate) fn abandon(&mut self) {
        let store = self.store.take();
        let is_empty = store.as_ref().is_none_or(Store::is_empty);
        drop(store);
        if is_empty {
            self.target.remove_if_empty();
        }
    }

    /// Returns the store; creates it if it does not exist.
    fn store(&mut self) -> Result<Store, Failure> {
        let store = match &self.store {
            Some(store) => store,
            None => self.store.insert(self.target.open()?),
        };
        Ok(store.clone())
    }

    /// Appends a batch and reports it. Then reports its lines with the id of an earlier line, as already in the store.
    pub(crate) fn append(&mut self, batch: Pending) -> Result<(), Failure> {
        let mut offsets = Vec::new();
        self.append_part(batch.events, batch.lines, batch.time_ms, &mut offsets)?;
        let mut repeats = batch.repeats.into_iter().map(|first| offsets[first]).peekable();
        while let Some(first) = repeats.next() {
            let mut end = first + 1;
            while repeats.next_if_eq(&end).is_some() {
                end += 1;
            }
            self.reports.batch(first..end, true);
        }
        Ok(())
    }

    /// Appends a batch, or a part of one, and adds the events' offsets to `offsets`. If the store already has some of
    /// the events, the batch is split in halves until each part is either completely in the store or completely new.
    fn append_part(
        &mut self,
        events: Vec<RawEvent>,
        mut lines: Vec<u64>,
        time_ms: Option<u64>,
        offsets: &mut Vec<u64>,
    ) -> Result<(), Failure> {
        let Some(&last_line) = lines.last() else { return Ok(()) };
        // A copy of the events, to split the batch or explain a conflict of ids.
        let has_ids = events.iter().any(|event| event.id().is_some());
        let mut copies = if has_ids { events.clone() } else { Vec::new() };
        let store = self.store()?;
        let mut batch = Batch::new(events).conditions(self.condition.clone());
        batch.time_ms = time_ms;
        if self.allows_future {
            batch = batch.allow_future_time();
        }
        match store.append_as(batch) {
            Ok(appended) => {
                self.target.announce();
                self.next_line = last_line + 1;
                offsets.extend(appended.offsets.clone());
                self.reports.batch(appended.offsets, appended.known);
                Ok(())
            }
            // A batch with a condition is appended completely or not at all, so it is not split.
            Err(AppendError::IdConflict { .. }) if self.condition.is_none() && lines.len() > 1 => {
                let half = lines.len() / 2;
                let (later, later_lines) = (copies.split_off(half), lines.split_off(half));
                self.append_part(copies, lines, time_ms, offsets)?;
                self.append_part(later, later_lines, time_ms, offsets)
            }
            Err(problem) => Err(self.explain(problem, &lines, &copies)),
        }
    }

    /// Returns the failure of a batch, with the line that caused it, if a single line did.
    fn explain(&self, problem: AppendError, lines: &[u64], events: &[RawEvent]) -> Failure {
        let cause = match &problem {
            AppendError::Conflict { offset, .. } => {
                return Failure::ConditionFailed { offset: *offset, names: self.names.clone() };
            }
            AppendError::BatchTooLarge { .. } => {
                return Failure::InputTooLarge { line: lines.last().copied().unwrap_or(1) };
            }
            AppendError::Invalid { index, .. } => Some((*index, None)),
            AppendError::TimeGoesBack { .. } => Some((0, None)),
            AppendError::IdConflict { id, offset, .. } => {
                let index = events.iter().position(|event| event.id() == Some(id));
                index.map(|index| (index, Some(self.has_another_type(*offset, &events[index]))))
            }
            _ => None,
        };
        let Some((index, other_type)) = cause else { return problem.into() };
        match (lines.get(index), other_type) {
            (Some(&line), Some(other_type)) => Failure::IdInStore { line, problem, other_type },
            (Some(&line), None) => Failure::EventOfLine { line, problem },
            (None, _) => problem.into(),
        }
    }

    /// Returns whether the store's event at this offset has another type than `event`.
    fn has_another_type(&self, offset: u64, event: &RawEvent) -> bool {
        let stored = self.store.as_ref().and_then(|store| store.get(offset).ok().flatten());
        stored.is_some_and(|stored| stored.event.event_type() != event.event_type())
    }
}
