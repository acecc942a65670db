//! `annals append` reads lines, parses them to events, and appends them in batches.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write as _};

use annals::{
    AppendError, Batch, Condition, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Query, QueryItem, RawEvent,
};
use annals_cli::parse_line;
use indicatif::ProgressBar;

use crate::args::Format;
use crate::args::append::{Append, Durability};
use crate::failure::Failure;
use crate::out::Out;
use crate::progress;
use crate::reports::Reports;
use crate::stdin_lines::{Lines, Step, standard_input};
use crate::store::Store;
use crate::target::Target;

/// A batch ends at this number of bytes of lines. Even with the largest possible event added, it is far below the
/// limit of a batch.
const BATCH_LINE_BYTES: usize = 8 << 20;

/// Appends the events of standard input.
pub(crate) fn run(args: &Append, format: Option<Format>) -> Result<(), Failure> {
    let durability = match args.durability {
        Durability::Sync => annals::Durability::Sync,
        Durability::Buffered => annals::Durability::Buffered,
    };
    let target = Target::new(&args.store, durability);
    // An existing store is opened first, so that its problems are reported before any input is read.
    let store = target.existing()?;
    let (input, size) = standard_input().map_err(Failure::Input)?;
    let is_typed = io::stdin().is_terminal();
    if is_typed {
        // An error is ignored: there is no other stream to report it on.
        let _ = writeln!(
            io::stderr(),
            "annals: type one event per line, then Ctrl-D; for example {{\"type\":\"hello\"}}"
        );
    }
    let mut appender = Appender {
        store,
        target,
        lines: Lines::of(input).map_err(Failure::Input)?,
        pending: Pending::default(),
        condition: condition(&args.if_none),
        names: args.if_none.join(", "),
        // A file never pauses, even if the reading thread is behind.
        never_pauses: size.is_some(),
        most_events: args.batch,
        next_line: 1,
        reports: Reports::new(
            Out::for_reports(format),
            if is_typed { ProgressBar::hidden() } else { progress::bytes(size) },
        ),
    };
    let done = appender.append_all();
    appender.reports.clear_bar();
    if let Err(problem) = done {
        if appender.store.take().is_none_or(|store| store.is_empty()) {
            appender.target.remove_if_empty();
        }
        return Err(problem);
    }
    appender.store()?.close()?;
    let last_line = appender.lines.number();
    appender
        .reports
        .end()
        .map_err(|problem| Failure::Unreported { problem: Box::new(problem), last_line })
}

/// Returns the condition that no event has one of these names as a tag or type.
fn condition(names: &[String]) -> Option<Condition> {
    let mut items = names
        .iter()
        .flat_map(|name| [QueryItem::new().tag(name), QueryItem::new().event_type(name)]);
    let first = Query::item(items.next()?);
    Some(Condition::fail_if(items.fold(first, Query::or)))
}

struct Appender {
    /// The store; `None` until the first batch is ready, if it did not exist before.
    store: Option<Store>,
    target: Target,
    lines: Lines,
    pending: Pending,
    condition: Option<Condition>,
    names: String,
    never_pauses: bool,
    most_events: usize,
    /// The first line that is not in the store, from which the user can continue after a failure.
    next_line: u64,
    reports: Reports,
}

/// The lines of the next batch, as far as they were read.
#[derive(Default)]
struct Pending {
    events: Vec<RawEvent>,
    /// The line number of each event.
    lines: Vec<u64>,
    /// The index in `events` of each id.
    ids: HashMap<String, usize>,
    /// For each line with the id of an earlier line, which is not appended: the index in `events` of the earlier line's
    /// event.
    repeats: Vec<usize>,
    line_bytes: usize,
    event_bytes: usize,
}

impl Pending {
    fn line_count(&self) -> usize {
        self.events.len() + self.repeats.len()
    }
}

impl Appender {
    /// Returns the store; creates it if it does not exist.
    fn store(&mut self) -> Result<Store, Failure> {
        let store = match &self.store {
            Some(store) => store,
            None => self.store.insert(self.target.open()?),
        };
        Ok(store.clone())
    }

    fn append_all(&mut self) -> Result<(), Failure> {
        self.append_batches().map_err(|problem| match problem {
            Failure::ConditionFailed { .. } => problem,
            problem => {
                Failure::AfterLines { problem: Box::new(problem), next_line: self.next_line }
            }
        })
    }

    fn append_batches(&mut self) -> Result<(), Failure> {
        loop {
            let is_whole = self.condition.is_some();
            let wait = self.pending.events.is_empty() || is_whole || self.never_pauses;
            let step = self.lines.next(wait)?;
            if step == Step::Line {
                self.take_line()?;
            }
            let full = !is_whole
                && (self.pending.line_count() >= self.most_events
                    || self.pending.line_bytes >= BATCH_LINE_BYTES);
            if full || step != Step::Line {
                let batch = std::mem::take(&mut self.pending);
                self.append(batch)?;
                self.reports.received(self.lines.bytes());
                self.next_line = self.lines.number() + 1;
            }
            if step == Step::End {
                return Ok(());
            }
        }
    }

    /// Adds the event of the current line to the pending batch.
    fn take_line(&mut self) -> Result<(), Failure> {
        let (bytes, line) = (self.lines.line(), self.lines.number());
        if bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        let size = bytes.len();
        let event = parse_line(bytes).map_err(|problem| Failure::Line { line, problem })?;
        if let Some(id) = event.id()
            && let Some(&first) = self.pending.ids.get(id)
        {
            if self.pending.events[first].event_type() == event.event_type() {
                self.pending.line_bytes += size;
                self.pending.repeats.push(first);
                return Ok(());
            }
            if self.condition.is_some() {
                let (id, first_line) = (id.to_owned(), self.pending.lines[first]);
                return Err(Failure::IdInBatch { line, id, first_line });
            }
            // After the lines before are appended, the store refuses this line.
            let before = std::mem::take(&mut self.pending);
            self.append(before)?;
            self.next_line = line;
        }
        let batch = &mut self.pending;
        if let Some(id) = event.id() {
            batch.ids.insert(id.to_owned(), batch.events.len());
        }
        batch.line_bytes += size;
        batch.event_bytes += event.body().len();
        batch.events.push(event);
        batch.lines.push(line);
        // Only a batch with a condition can become this large.
        if batch.events.len() > MAX_BATCH_EVENTS || batch.event_bytes > MAX_BATCH_BYTES {
            return Err(Failure::InputTooLarge { line });
        }
        Ok(())
    }

    /// Appends a batch and reports it. Then reports its lines with the id of an earlier line, as already in the store.
    fn append(&mut self, batch: Pending) -> Result<(), Failure> {
        let mut offsets = Vec::new();
        self.append_part(batch.events, batch.lines, &mut offsets)?;
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
        offsets: &mut Vec<u64>,
    ) -> Result<(), Failure> {
        let Some(&last_line) = lines.last() else { return Ok(()) };
        // A copy of the events, to split the batch or explain a conflict of ids.
        let has_ids = events.iter().any(|event| event.id().is_some());
        let mut copies = if has_ids { events.clone() } else { Vec::new() };
        let store = self.store()?;
        let condition = self.condition.clone();
        match store.append_as(Batch::new(events).conditions(condition)) {
            Ok(appended) => {
                self.next_line = last_line + 1;
                offsets.extend(appended.offsets.clone());
                self.reports.batch(appended.offsets, appended.known);
                Ok(())
            }
            // A batch with a condition is appended completely or not at all, so it is not split.
            Err(AppendError::IdConflict { .. }) if self.condition.is_none() && lines.len() > 1 => {
                let half = lines.len() / 2;
                let (later, later_lines) = (copies.split_off(half), lines.split_off(half));
                self.append_part(copies, lines, offsets)?;
                self.append_part(later, later_lines, offsets)
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
