//! Prints events to standard output: as lines of JSON, as a table, or each with a line for every field.

use annals::{EventRef, RawEvent, ReadError, Recorded};
use annals_cli::write_line;

use crate::args::Format;
use crate::args::read::View;
use crate::console::settings::settings;
use crate::failure::Failure;
use crate::out::{Out, terminal_width};
use crate::table::rows::EventTable;
use crate::table::vertical;

/// Prints events to standard output.
pub(crate) struct EventPrinter {
    out: Out,
    form: Form,
    printed: u64,
}

enum Form {
    Lines,
    Rows(EventTable),
    Vertical,
}

impl EventPrinter {
    /// Returns a printer for this format. A view is a form of the table, so it also chooses the table.
    pub(crate) fn new(format: Option<Format>, view: View) -> Self {
        let is_table = view.wide || view.vertical;
        let out = Out::new(format.or(is_table.then_some(Format::Table)));
        let is_colored = settings().colors_results;
        let form = match out.format() {
            Format::Jsonl | Format::Csv => Form::Lines,
            Format::Table if view.vertical => Form::Vertical,
            Format::Table if view.wide => Form::Rows(EventTable::wide(is_colored)),
            Format::Table => Form::Rows(EventTable::new(terminal_width(), is_colored)),
        };
        Self { out, form, printed: 0 }
    }

    /// Returns the number of events that were printed.
    pub(crate) fn printed(&self) -> u64 {
        self.printed
    }

    /// Prints an event.
    pub(crate) fn print(&mut self, event: &Recorded<RawEvent>) -> Result<(), Failure> {
        let Self { out, form, printed } = self;
        *printed += 1;
        out.with(|out| match form {
            Form::Lines => write_line(event, out),
            Form::Rows(table) => table.add(event, out),
            Form::Vertical => vertical::write(event, settings().colors_results, out),
        })
    }

    /// Prints an event that was read. If reading failed, flushes the events before it and returns the failure.
    pub(crate) fn print_read(
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
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let Self { out, form, .. } = self;
        if let Form::Rows(table) = form {
            out.with(|out| table.flush(out))?;
        }
        out.flush()
    }
}
