//! The new store: events are appended in large batches, each of events with the same time.

use std::path::PathBuf;

use super::report::{SalvageError, SalvagedRange};
use crate::backend::backend::Backend;
use crate::backend::batch::{Appended, Batch};
use crate::error::AppendError;
use crate::event::raw::RawEvent;
use crate::journal::Journal;
use crate::journal::options::JournalOptions;

/// The number of events at which a batch ends.
const BATCH_EVENTS: usize = 8_192;
/// The number of bytes at which a batch ends.
const BATCH_BYTES: usize = 8 << 20;

/// The new store. It is created when the first event is written.
#[derive(Debug)]
pub(super) struct Target {
    options: JournalOptions,
    path: PathBuf,
    journal: Option<Journal<RawEvent>>,
    /// The events to append next, with their old offsets. All have the same time.
    batch: Vec<(u64, RawEvent)>,
    batch_bytes: usize,
    time_ms: u64,
    written: Written,
}

/// The events that were written to the new store.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The number of events.
    pub(super) events: u64,
    pub(super) ranges: Vec<SalvagedRange>,
    /// The old offsets of events that the store refused, and why.
    pub(super) refused: Vec<(u64, String)>,
}

impl Target {
    pub(super) fn new(options: JournalOptions, path: PathBuf) -> Self {
        Self {
            options,
            path,
            journal: None,
            batch: Vec::new(),
            batch_bytes: 0,
            time_ms: 0,
            written: Written::default(),
        }
    }

    /// Adds the event that had the offset `old`. Times do not decrease.
    pub(super) fn add(
        &mut self,
        old: u64,
        time_ms: u64,
        event: RawEvent,
    ) -> Result<(), SalvageError> {
        let is_full = self.batch.len() >= BATCH_EVENTS || self.batch_bytes >= BATCH_BYTES;
        if is_full || time_ms != self.time_ms {
            self.flush()?;
        }
        self.time_ms = time_ms;
        self.batch_bytes += event.body().len();
        self.batch.push((old, event));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SalvageError> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let events = batch.iter().map(|(_, event)| event.clone()).collect();
        if self.append(events)?.is_ok() {
            for (old, _) in batch {
                self.written.add(old);
            }
            return Ok(());
        }
        // The store refuses an event, which does not happen with a whole log. The others are appended one by one.
        for (old, event) in batch {
            match self.append(vec![event])? {
                Ok(()) => self.written.add(old),
                Err(why) => self.written.refused.push((old, why)),
            }
        }
        Ok(())
    }

    /// Appends events behind all that are there. Returns the reason if the store refuses them.
    fn append(&mut self, events: Vec<RawEvent>) -> Result<Result<(), String>, SalvageError> {
        let journal = match &self.journal {
            Some(journal) => journal,
            None => self.journal.insert(self.options.clone().open(&self.path)?),
        };
        let expected = self.written.events..self.written.events + events.len() as u64;
        // The time comes from the damaged log, so it is allowed however far in the future it is.
        let batch = Batch::new(events).time_ms(self.time_ms).allow_future_time();
        match journal.append(batch) {
            Ok(Appended { offsets, .. }) if offsets == expected => Ok(Ok(())),
            Ok(Appended { offsets, .. }) => {
                Ok(Err(format!("an event whose id the new log has already, at {}", offsets.start)))
            }
            Err(error) if is_of_the_events(&error) => {
                Ok(Err(format!("an event that is refused: {error}")))
            }
            Err(source) => Err(self.failed(source)),
        }
    }

    fn failed(&self, source: AppendError) -> SalvageError {
        let source = Box::new(source);
        SalvageError::Write { to: self.path.clone(), events: self.written.events, source }
    }

    /// Makes the new store durable and closes it.
    pub(super) fn finish(mut self) -> Result<Written, SalvageError> {
        self.flush()?;
        if let Some(journal) = self.journal.take() {
            journal.close().map_err(|source| self.failed(source))?;
        }
        Ok(self.written)
    }
}

impl Written {
    /// Notes that the next event of the new store had the offset `old`.
    fn add(&mut self, old: u64) {
        let new = self.events;
        self.events += 1;
        match self.ranges.last_mut() {
            Some(range) if range.old + range.count == old => range.count += 1,
            _ => self.ranges.push(SalvagedRange { old, new, count: 1 }),
        }
    }
}

/// Returns whether an error is about the events themselves, so that other events can still be appended.
fn is_of_the_events(error: &AppendError) -> bool {
    !matches!(
        error,
        AppendError::NoRoom { .. }
            | AppendError::Failed { .. }
            | AppendError::Poisoned { .. }
            | AppendError::ReadOnly
            | AppendError::Closed
            | AppendError::NotClosed { .. }
            | AppendError::Forked { .. }
            | AppendError::Read(_)
    )
}
