//! What `annals append` tells of its batches.
//!
//! A report that cannot be written stops no append: the events are what matters, and input from a pipe could not be
//! given again. It is told at once, and is the command's failure in the end.

use std::ops::Range;

use indicatif::{HumanCount, ProgressBar};

use crate::args::Format;
use crate::failure::Failure;
use crate::out::{Out, counted};

/// What is told of the batches.
pub(crate) struct Reports {
    out: Out,
    bar: ProgressBar,
    /// Why nothing is told any more.
    failure: Option<Failure>,
    appended: u64,
    /// Events that were not appended, since their ids were in the store.
    already: u64,
    /// All offsets that were appended.
    all: Option<Range<u64>>,
}

impl Reports {
    pub(crate) fn new(out: Out, bar: ProgressBar) -> Self {
        Self { out, bar, failure: None, appended: 0, already: 0, all: None }
    }

    /// So many bytes of input were dealt with.
    pub(crate) fn received(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// There is no more progress to show.
    pub(crate) fn clear_bar(&self) {
        self.bar.finish_and_clear();
    }

    /// A batch is in the store at these offsets, already or now.
    pub(crate) fn batch(&mut self, range: Range<u64>, already: bool) {
        let (first, last) = (range.start, range.end - 1);
        let events = last - first + 1;
        if already {
            self.already += events;
        } else {
            self.appended += events;
            self.all = Some(self.all.as_ref().map_or(first, |all| all.start)..range.end);
        }
        if self.failure.is_some() {
            return;
        }
        if let Err(failure) = self.tell(first, last, already) {
            // At once, since the end of the input may be far.
            let error = failure.message();
            self.bar.suspend(|| {
                tracing::warn!("{error}; appending goes on, and no more of it is reported");
            });
            self.failure = Some(failure);
        }
    }

    fn tell(&mut self, first: u64, last: u64, already: bool) -> Result<(), Failure> {
        match self.out.format() {
            Format::Jsonl => {
                let place = [("first", first.into()), ("last", last.into())];
                self.out
                    .object(place.into_iter().chain(already.then(|| ("already", true.into()))))?;
            }
            // The bar says it.
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

    /// Everything was appended: tells the sum. Fails if any report could not be written.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.out.format() == Format::Jsonl {
            let mut report = vec![("appended", self.appended.into())];
            if let Some(all) = &self.all {
                report.extend([("first", all.start.into()), ("last", (all.end - 1).into())]);
            }
            if self.already > 0 {
                report.push(("already", self.already.into()));
            }
            self.out.object(report)?;
        } else {
            let place =
                self.all.as_ref().map(|all| format!(", {}", offsets(all.start, all.end - 1)));
            let already = match self.already {
                0 => String::new(),
                already => format!("; {} were in the store already", HumanCount(already)),
            };
            let (appended, place) = (counted(self.appended, "event"), place.unwrap_or_default());
            self.out.text(format_args!("{appended} appended{place}{already}"))?;
        }
        self.out.flush()
    }
}

fn offsets(first: u64, last: u64) -> String {
    if first == last { format!("offset {first}") } else { format!("offsets {first} to {last}") }
}
