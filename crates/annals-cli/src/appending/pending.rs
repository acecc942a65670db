//! The events of the next batch, as far as they were read.

use std::collections::HashMap;

use annals::RawEvent;

/// The events of the next batch.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) events: Vec<RawEvent>,
    /// The line number of each event.
    pub(crate) lines: Vec<u64>,
    /// The time of all of them, in milliseconds since 1970; `None`: now.
    pub(crate) time_ms: Option<u64>,
    /// For each line with the id of an earlier line, which is not appended: the index in `events` of the earlier line's
    /// event.
    pub(crate) repeats: Vec<usize>,
    /// The index in `events` of each id.
    ids: HashMap<String, usize>,
    /// The number of bytes of all lines.
    pub(crate) line_bytes: usize,
    pub(crate) event_bytes: usize,
}

/// Why an event is not in the batch: an event of another type has its id.
pub(crate) struct OtherType {
    pub(crate) event: RawEvent,
    /// The line of the event that has the id.
    pub(crate) first_line: u64,
}

impl Pending {
    /// Returns the number of lines in the batch.
    pub(crate) fn line_count(&self) -> usize {
        self.events.len() + self.repeats.len()
    }

    /// Adds an event, unless an event of the batch has its id. `size` is the number of bytes of its line.
    pub(crate) fn add(&mut self, event: RawEvent, line: u64, size: usize) -> Result<(), OtherType> {
        if let Some(id) = event.id()
            && let Some(&first) = self.ids.get(id)
        {
            if self.events[first].event_type() != event.event_type() {
                return Err(OtherType { event, first_line: self.lines[first] });
            }
            self.repeats.push(first);
        } else {
            if let Some(id) = event.id() {
                self.ids.insert(id.to_owned(), self.events.len());
            }
            self.event_bytes += event.body().len();
            self.events.push(event);
            self.lines.push(line);
        }
        self.line_bytes += size;
        Ok(())
    }
}
