//! The side of the backend in memory that the commit path writes to.

use std::borrow::Cow;
use std::io;

use annals_base::{ListWriter, MsClock};

use super::commit::admit::no_room;
use super::commit::clock::Clock;
use super::commit::target::CommitTarget;
use super::encode::{COMMIT_HEAD, Encoded};
use super::head::callbacks::Published;
use super::one_event::OneEvent;
use crate::error::{AppendError, ReadError};
use crate::event::event::{Event, Recorded};
use crate::event::name::{Hasher, Name};
use crate::index::lookup::{Kind, Lookup};
use crate::index::memory::{MemIndex, MemIndexWriter};
use crate::index::plan::first_match;
use crate::query::Condition;
use crate::util::local_offset::local_offset;

/// The largest number of events in a log in memory.
const MAX_EVENTS: u64 = u32::MAX as u64;

/// The side that the leader of the commit path writes to.
pub(super) struct MemoryTarget<E> {
    list: ListWriter<Recorded<E>>,
    index: MemIndexWriter,
    reader: MemIndex,
    hasher: Hasher,
    /// The time of the last event, in ms since 1970 UTC, or 0 if there is none.
    last_time_ms: u64,
    system_clock: MsClock,
}

impl<E: Event> MemoryTarget<E> {
    /// Returns the target of an empty log.
    pub(super) fn new(
        list: ListWriter<Recorded<E>>,
        index: MemIndexWriter,
        hasher: Hasher,
    ) -> Self {
        let reader = index.reader();
        Self { list, index, reader, hasher, last_time_ms: 0, system_clock: MsClock::default() }
    }

    /// Appends one event and makes it readable below the new head. Returns its offset. If it fails, it changes nothing.
    #[inline]
    pub(super) fn append_one(
        &mut self,
        event: E,
        labels: &OneEvent,
        clock: &Clock,
    ) -> Result<u64, AppendError> {
        self.reserve(0, labels.len()).map_err(|error| no_room(error, COMMIT_HEAD))?;
        let offset = self.next_offset();
        // The offset and the index have room: `reserve` has checked it.
        let index = local_offset(offset, 0);
        self.index.add_one(index, &labels.event_type, labels.tags());
        // An event never gets a time before that of the event before it.
        self.last_time_ms = clock.now_ms_by(&mut self.system_clock).max(self.last_time_ms);
        self.list.push(Recorded { offset, time_ms: self.last_time_ms, event });
        Ok(offset)
    }
}

impl<E: Event> CommitTarget<E> for MemoryTarget<E> {
    fn next_offset(&self) -> u64 {
        (self.list.list().len() + self.list.staged()) as u64
    }

    fn last_time_ms(&self) -> u64 {
        self.last_time_ms
    }

    fn reserve(&mut self, _bytes: usize, labels: usize) -> io::Result<()> {
        if self.next_offset() + labels as u64 > MAX_EVENTS || !self.index.has_room(labels) {
            let full = format!(
                "a log in memory holds at most {MAX_EVENTS} events, and fewer with many tags"
            );
            return Err(io::Error::new(io::ErrorKind::StorageFull, full));
        }
        Ok(())
    }

    fn conflict(&mut self, condition: &Condition) -> Result<Option<u64>, ReadError> {
        let from = u32::try_from(condition.head()).expect("at most the head, which fits");
        let found = first_match(condition.query(), &self.hasher, &self.reader, from);
        let found = found.map(u64::from);
        Ok(found.filter(|&found| found < self.next_offset()))
    }

    fn find_id(&mut self, id: Name<'_>) -> Result<Option<u64>, ReadError> {
        Ok(self.reader.posting(Kind::Id, id).map(|mut posting| u64::from(posting.get(0))))
    }

    fn event_type(&self, offset: u64) -> Result<Cow<'_, str>, ReadError> {
        let event = usize::try_from(offset).ok().and_then(|offset| self.list.get(offset));
        let event = event.expect("an id is found only where an event is");
        Ok(event.event.event_type().into())
    }

    fn stage(&mut self, events: Vec<E>, batch: Encoded, time_ms: u64) {
        self.last_time_ms = time_ms;
        for (index, event) in events.into_iter().enumerate() {
            let offset = self.next_offset();
            self.reader.prefetch(&batch.labels, index);
            // The offset and the index have room: `reserve` has checked it.
            self.index.add_event(local_offset(offset, 0), &batch.labels.event(index));
            self.list.stage(Recorded { offset, time_ms, event });
        }
    }

    fn commit(&mut self) -> io::Result<Published<E>> {
        let first = self.list.list().len();
        let end = self.list.publish();
        Ok(Published::listed(self.list.list().clone(), first..end))
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
