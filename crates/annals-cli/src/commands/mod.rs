//! The commands, one per file.

pub(crate) mod append;
pub(crate) mod copy;
pub(crate) mod get;
pub(crate) mod names;
pub(crate) mod read;
pub(crate) mod salvage;
pub(crate) mod state;
pub(crate) mod stats;
pub(crate) mod tail;
pub(crate) mod verify;

use annals::{EventRef, Query, QueryItem, RawEvent, ReadError, Recorded};
use annals_cli::write_line;

use crate::args::Format;
use crate::args::read::Filter;
use crate::failure::Failure;
use crate::out::{Out, terminal_width};
use crate::table::EventTable;

impl Filter {
    /// Returns the query for these events: any of the types, and all of the tags.
    fn query(&self) -> Query {
        Query::item(QueryItem::new().event_types(&self.types).all_tags(&self.tags))
    }
}

/// Prints events to standard output, in either format.
struct EventPrinter {
    out: Out,
    table: Option<EventTable>,
}

impl EventPrinter {
    fn new(format: Option<Format>) -> Self {
        let out = Out::new(format);
        let table = (out.format() == Format::Table).then(|| EventTable::new(terminal_width()));
        Self { out, table }
    }

    fn print(&mut self, event: &Recorded<RawEvent>) -> Result<(), Failure> {
        let Self { out, table } = self;
        out.with(|out| match table {
            Some(table) => table.add(event, out),
            None => write_line(event, out),
        })
    }

    /// Prints an event that was read. If reading failed, flushes the events before it and returns the failure.
    fn print_read(
        &mut self,
        event: Result<EventRef<'_, RawEvent>, ReadError>,
    ) -> Result<(), Failure> {
        match event {
            Ok(event) => self.print(&event),
            Err(problem) => {
                self.flush()?;
                Err(problem.into())
            }
        }
    }

    /// Flushes all events that were printed.
    fn flush(&mut self) -> Result<(), Failure> {
        let Self { out, table } = self;
        if let Some(table) = table {
            out.with(|out| table.flush(out))?;
        }
        out.flush()
    }
}
