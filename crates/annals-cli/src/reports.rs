//! The reports of `annals append` about its batches.
//!
//! A report that cannot be written does not stop appending: the events matter more, and input from a pipe cannot be
//! read again. The problem is printed as a warning at once, and is the command's failure at the end.

use std::ops::Range;

use indicatif::{HumanCount, ProgressBar};

use crate::args::Format;
use crate::failure::Failure;
use crate::human::counted;
use crate::out::Out;

/// What was done with events, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// Each batch is reported, and the total.
    Appended,
    /// Only the total is reported.
    Imported,
}

impl Done {
    fn word(self) -> &'static str {
        match self {
            Self::Appended => "appended",
            Self::Imported => "imported",
        }
    }
}

/// Reports batches, and the total at the end.
pub(crate) struct Reports {
    done: Done,
    out: Out,
    bar: ProgressBar,
    /// The reason why reports cannot be written any more.
    failure: Option<Failure>,
    appended: u64,
    /// The number of events that were not appended because their ids are in the store.
    already: u64,
    /// The range of all appended offsets.
    all: Option<Range<u64>>,
}

impl Reports {
    pub(crate) fn new(done: Done, out: Out, bar: ProgressBar) -> Self {
        Self { done, out, bar, failure: None, appended: 0, already: 0, all: None }
    }

    /// Shows on the bar that this number of bytes of input is done.
    pub(crate) fn received(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Removes the bar.
    pub(crate) fn clear_bar(&self) {
        self.bar.finish_and_clear();
    }

    /// Reports a batch at these offsets, which was appended now or was already in the store.
    pub(crate) fn batch(&mut self, range: Range<u64>, already: bool) {
        let (first, last) = (range.start, range.end - 1);
        let events = last - first + 1;
        if already {
            self.already += events;
        } else {
            self.appended += events;
            self.all = Some(self.all.as_ref().map_or(first, |all| all.start)..range.end);
        }
        if self.failure.is_some() || self.done == Done::Imported {
            self.bar.set_message(counted(self.appended + self.already, "event"));
            return;
        }
        if let Err(failure) = self.write(first, last, already) {
            // The warning is printed now, because the end of the input may come late.
            let error = failure.message();
            self.bar.suspend(|| {
                tracing::warn!("{error}; appending continues without reports");
            });
            self.failure = Some(failure);
        }
    }

    fn write(&mut self, first: u64, last: u64, already: bool) -> Result<(), Failure> {
        match self.out.format() {
            Format::Jsonl | Format::Csv => {
                let offsets = [("first", first.into()), ("last", last.into())];
                self.out
                    .object(offsets.into_iter().chain(already.then(|| ("already", true.into()))))?;
            }
            // The bar shows the batches.
            Format::Table if !self.bar.is_hidden() => {
                self.bar.set_message(counted(self.appended + self.already, "event"));
                return Ok(());
            }
            Format::Table => {
                let done = if already { "already in the store" } else { "appended" };
                self.out.text(format_args!("{done}: {}", offsets(first, last)))?;
            }
        }
        self.out.flush()
    }

    /// Reports the total after all events were appended. Fails if any report could not be written.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.out.format() == Format::Jsonl {
            let mut report = vec![(self.done.word(), self.appended.into())];
            if let Some(all) = &self.all {
                report.extend([("first", all.start.into()), ("last", (all.end - 1).into())]);
            }
            if self.already > 0 {
                report.push(("already", self.already.into()));
            }
            self.out.object(report)?;
        } else {
            let range =
                self.all.as_ref().map(|all| format!(", {}", offsets(all.start, all.end - 1)));
            let already = match self.already {
                0 => String::new(),
                already => format!("; {} already in the store", HumanCount(already)),
            };
            let (appended, range) = (counted(self.appended, "event"), range.unwrap_or_default());
            let done = self.done.word();
            self.out.text(format_args!("{appended} {done}{range}{already}"))?;
        }
        self.out.flush()
    }
}

fn offsets(first: u64, last: u64) -> String {
    if first == last { format!("offset {first}") } else { format!("offsets {first} to {last}") }
}
