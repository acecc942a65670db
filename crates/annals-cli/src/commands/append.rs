//! `annals append`: lines to events, in batches.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write as _};

use annals::{
    AppendError, Batch, Condition, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Query, QueryItem, RawEvent,
};
use annals_cli::parse_line;
use indicatif::ProgressBar;

use crate::args::{Append, Durability, Format};
use crate::failure::Failure;
use crate::lines::{Lines, Step, standard_input};
use crate::out::Out;
use crate::progress;
use crate::reports::Reports;
use crate::store::Store;
use crate::target::Target;

/// Bytes of lines at which a batch ends. With the largest event behind it, it is still far from a batch's limit.
const BATCH_LINE_BYTES: usize = 8 << 20;

/// Appends what comes on standard input.
pub(crate) fn run(args: &Append, format: Option<Format>) -> Result<(), Failure> {
    let durability = match args.durability {
        Durability::Sync => annals::Durability::Sync,
        Durability::Buffered => annals::Durability::Buffered,
    };
    let target = Target::new(&args.store, durability);
    // Now, so that what is wrong with it is said before any input is read.
    let store = target.existing()?;
    let (input, size) = standard_input().map_err(Failure::Input)?;
    let by_hand = io::stdin().is_terminal();
    if by_hand {
        // If standard error is gone there is nobody to tell.
        let _ = writeln!(
            io::stderr(),
            "annals: type one event a line, then Ctrl-D; for example {{\"type\":\"hello\"}}"
        );
    }
    let mut appender = Appender {
        store,
        target,
        lines: Lines::of(input).map_err(Failure::Input)?,
        in_hand: InHand::default(),
        condition: condition(&args.if_none),
        names: args.if_none.join(", "),
        // A file does not pause, whatever the reading thread is at.
        never_pauses: size.is_some(),
        most_events: args.batch,
        next_line: 1,
        reports: Reports::new(
            Out::for_reports(format),
            if by_hand { ProgressBar::hidden() } else { progress::bytes(size) },
        ),
    };
    let done = appender.append_all();
    appender.reports.clear_bar();
    if let Err(problem) = done {
        if appender.store.take().is_none_or(|store| store.is_empty()) {
            appender.target.leave_nothing();
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

/// What must not have happened, for these tags or types.
fn condition(names: &[String]) -> Option<Condition> {
    let mut items = names
        .iter()
        .flat_map(|name| [QueryItem::new().tag(name), QueryItem::new().event_type(name)]);
    let first = Query::item(items.next()?);
    Some(Condition::fail_if(items.fold(first, Query::or)))
}

struct Appender {
    /// The store, once it is there: it is created when the first batch is ready.
    store: Option<Store>,
    target: Target,
    lines: Lines,
    in_hand: InHand,
    condition: Option<Condition>,
    names: String,
    never_pauses: bool,
    most_events: usize,
    /// The first line of which nothing is in the store: what it takes to go on after a failure.
    next_line: u64,
    reports: Reports,
}

/// A batch: the one that is being gathered, or a part of it.
#[derive(Default)]
struct InHand {
    events: Vec<RawEvent>,
    /// The line of each event.
    lines: Vec<u64>,
    /// Where in `events` each id is.
    ids: HashMap<String, usize>,
    /// Lines with the id of an earlier line, which are not appended: where in `events` that line's event is.
    repeats: Vec<usize>,
    line_bytes: usize,
    event_bytes: usize,
}

impl InHand {
    fn line_count(&self) -> usize {
        self.events.len() + self.repeats.len()
    }
}

impl Appender {
    /// The store, created now if nothing was there.
    fn store(&mut self) -> Result<Store, Failure> {
        let store = match &self.store {
            Some(store) => store,
            None => self.store.insert(self.target.open()?),
        };
        Ok(store.clone())
    }

    fn append_all(&mut self) -> Result<(), Failure> {
        self.append_batches().map_err(|problem| match problem {
            Failure::InTheWay { .. } => problem,
            problem => {
                Failure::AfterLines { problem: Box::new(problem), next_line: self.next_line }
            }
        })
    }

    fn append_batches(&mut self) -> Result<(), Failure> {
        loop {
            let is_whole = self.condition.is_some();
            let wait = self.in_hand.events.is_empty() || is_whole || self.never_pauses;
            let step = self.lines.next(wait)?;
            if step == Step::Line {
                self.take_line()?;
            }
            let full = !is_whole
                && (self.in_hand.line_count() >= self.most_events
                    || self.in_hand.line_bytes >= BATCH_LINE_BYTES);
            if full || step != Step::Line {
                let batch = std::mem::take(&mut self.in_hand);
                self.append(batch)?;
                self.reports.received(self.lines.bytes());
                self.next_line = self.lines.number() + 1;
            }
            if step == Step::End {
                return Ok(());
            }
        }
    }

    /// Adds the event of the current line to the batch.
    fn take_line(&mut self) -> Result<(), Failure> {
        let (bytes, line) = (self.lines.line(), self.lines.number());
        if bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        let size = bytes.len();
        let event = parse_line(bytes).map_err(|problem| Failure::Line { line, problem })?;
        if let Some(id) = event.id()
            && let Some(&first) = self.in_hand.ids.get(id)
        {
            if self.in_hand.events[first].event_type() == event.event_type() {
                self.in_hand.line_bytes += size;
                self.in_hand.repeats.push(first);
                return Ok(());
            }
            if self.condition.is_some() {
                let (id, first_line) = (id.to_owned(), self.in_hand.lines[first]);
                return Err(Failure::IdOfAnotherType { line, id, first_line });
            }
            // The store refuses the line, once it has the lines before.
            let before = std::mem::take(&mut self.in_hand);
            self.append(before)?;
            self.next_line = line;
        }
        let batch = &mut self.in_hand;
        if let Some(id) = event.id() {
            batch.ids.insert(id.to_owned(), batch.events.len());
        }
        batch.line_bytes += size;
        batch.event_bytes += event.body().len();
        batch.events.push(event);
        batch.lines.push(line);
        // Batches without a condition end long before this.
        if batch.events.len() > MAX_BATCH_EVENTS || batch.event_bytes > MAX_BATCH_BYTES {
            return Err(Failure::TooMuchForOneBatch { line });
        }
        Ok(())
    }

    /// Appends a batch, and reports it; then its lines with the id of an earlier line, which are there already.
    fn append(&mut self, batch: InHand) -> Result<(), Failure> {
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

    /// Appends a batch, or a part of one, and adds the events' offsets. If the store has some of its events already, it is
    /// appended in halves: what is there, and what is not, end up in parts of their own.
    fn append_part(
        &mut self,
        events: Vec<RawEvent>,
        mut lines: Vec<u64>,
        offsets: &mut Vec<u64>,
    ) -> Result<(), Failure> {
        let Some(&last_line) = lines.last() else { return Ok(()) };
        // What a conflict of ids is explained with, and appended from in halves.
        let has_ids = events.iter().any(|event| event.id().is_some());
        let mut kept = if has_ids { events.clone() } else { Vec::new() };
        let store = self.store()?;
        let before = store.len();
        let condition = self.condition.clone();
        match store.append_as(Batch { condition, ..Batch::new(events) }) {
            Ok(range) => {
                self.next_line = last_line + 1;
                offsets.extend(range.clone());
                self.reports.batch(range.clone(), range.start < before);
                Ok(())
            }
            // With a condition the batch is all or nothing.
            Err(AppendError::IdConflict { .. }) if self.condition.is_none() && lines.len() > 1 => {
                let half = lines.len() / 2;
                let (later, later_lines) = (kept.split_off(half), lines.split_off(half));
                self.append_part(kept, lines, offsets)?;
                self.append_part(later, later_lines, offsets)
            }
            Err(problem) => Err(self.explain(problem, &lines, &kept)),
        }
    }

    /// The failure of a batch, with the line that is to blame, if one is.
    fn explain(&self, problem: AppendError, lines: &[u64], events: &[RawEvent]) -> Failure {
        let blamed = match &problem {
            AppendError::Conflict { offset } => {
                return Failure::InTheWay { offset: *offset, names: self.names.clone() };
            }
            AppendError::BatchTooLarge { .. } => {
                return Failure::TooMuchForOneBatch { line: lines.last().copied().unwrap_or(1) };
            }
            AppendError::Invalid { index, .. } => Some(*index),
            AppendError::IdConflict { id, .. } => {
                events.iter().position(|event| event.id() == Some(id))
            }
            _ => None,
        };
        match blamed.and_then(|index| lines.get(index)) {
            Some(&line) => Failure::EventOfLine { line, problem },
            None => problem.into(),
        }
    }
}
