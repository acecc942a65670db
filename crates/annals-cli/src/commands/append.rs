//! `annals append`: lines to events, in batches.

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::Range;

use annals::{
    AppendError, Batch, Condition, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Query, QueryItem, RawEvent,
};
use annals_cli::parse_line;
use indicatif::{HumanCount, ProgressBar};

use crate::args::{Append, Durability, Format};
use crate::failure::Failure;
use crate::lines::{Lines, Step, standard_input};
use crate::out::{Out, counted};
use crate::progress;
use crate::store::{self, Store};

/// Bytes of lines at which a batch ends. With the largest event behind it, it is still far from a batch's limit.
const BATCH_LINE_BYTES: usize = 8 << 20;

/// Appends what comes on standard input.
pub(crate) fn run(args: &Append, format: Option<Format>) -> Result<(), Failure> {
    let durability = match args.durability {
        Durability::Sync => annals::Durability::Sync,
        Durability::Buffered => annals::Durability::Buffered,
    };
    let store = store::open(&args.store, durability)?;
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
        lines: Lines::of(input).map_err(Failure::Input)?,
        in_hand: InHand::default(),
        condition: condition(&args.if_none),
        names: args.if_none.join(", "),
        // A file does not pause, whatever the reading thread is at.
        never_pauses: size.is_some(),
        most_events: args.batch as usize,
        reports: Reports {
            out: Out::for_reports(format),
            bar: if by_hand { ProgressBar::hidden() } else { progress::bytes(size) },
            appended: 0,
            already: 0,
            all: None,
        },
    };
    let done = appender.append_all();
    appender.reports.bar.finish_and_clear();
    done?;
    appender.store.close()?;
    appender.reports.end()
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
    store: Store,
    lines: Lines,
    in_hand: InHand,
    condition: Option<Condition>,
    names: String,
    never_pauses: bool,
    most_events: usize,
    reports: Reports,
}

/// The batch that is being gathered.
#[derive(Default)]
struct InHand {
    events: Vec<RawEvent>,
    /// The line of each event.
    lines: Vec<u64>,
    line_bytes: usize,
    event_bytes: usize,
}

impl Appender {
    fn append_all(&mut self) -> Result<(), Failure> {
        // The first line that nothing is known of: what it takes to go on after a failure.
        let mut next_line = 1;
        self.append_batches(&mut next_line).map_err(|problem| match problem {
            Failure::InTheWay { .. } => problem,
            problem => Failure::AfterLines { problem: Box::new(problem), next_line },
        })
    }

    fn append_batches(&mut self, next_line: &mut u64) -> Result<(), Failure> {
        loop {
            let is_whole = self.condition.is_some();
            let wait = self.in_hand.events.is_empty() || is_whole || self.never_pauses;
            let step = self.lines.next(wait)?;
            if step == Step::Line {
                self.take_line()?;
            }
            let full = !is_whole
                && (self.in_hand.events.len() >= self.most_events
                    || self.in_hand.line_bytes >= BATCH_LINE_BYTES);
            if full || step != Step::Line {
                self.append_in_hand()?;
                self.reports.bar.set_position(self.lines.bytes());
                *next_line = self.lines.number() + 1;
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
        let event = parse_line(bytes).map_err(|problem| Failure::Line { line, problem })?;
        let batch = &mut self.in_hand;
        batch.line_bytes += bytes.len();
        batch.event_bytes += event.body().len();
        batch.events.push(event);
        batch.lines.push(line);
        // Batches without a condition end long before this.
        if batch.events.len() > MAX_BATCH_EVENTS || batch.event_bytes > MAX_BATCH_BYTES {
            return Err(Failure::TooMuchForOneBatch { line });
        }
        Ok(())
    }

    fn append_in_hand(&mut self) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.in_hand);
        if batch.events.is_empty() {
            return Ok(());
        }
        let ids: Vec<Option<String>> =
            batch.events.iter().map(|event| event.id().map(str::to_owned)).collect();
        let before = self.store.len();
        let condition = self.condition.clone();
        let appended =
            self.store.append_as(Batch { events: batch.events, condition, time_ms: None });
        let range = appended.map_err(|problem| self.explain(problem, &batch.lines, &ids))?;
        self.reports.batch(range.clone(), range.start < before)
    }

    /// The failure of a batch, with the line that is to blame, if one is.
    fn explain(&self, problem: AppendError, lines: &[u64], ids: &[Option<String>]) -> Failure {
        let blamed = match &problem {
            AppendError::Conflict { offset } => {
                return Failure::InTheWay { offset: *offset, names: self.names.clone() };
            }
            AppendError::BatchTooLarge { .. } => {
                return Failure::TooMuchForOneBatch { line: lines.last().copied().unwrap_or(1) };
            }
            AppendError::Invalid { index, .. } => Some(*index),
            AppendError::IdTwice { id } => ids.iter().rposition(|known| known.as_ref() == Some(id)),
            AppendError::IdConflict { id, .. } => {
                ids.iter().position(|known| known.as_ref() == Some(id))
            }
            _ => None,
        };
        match blamed.and_then(|index| lines.get(index)) {
            Some(&line) => Failure::EventOfLine { line, problem },
            None => problem.into(),
        }
    }
}

/// What is told of the batches.
struct Reports {
    out: Out,
    bar: ProgressBar,
    appended: u64,
    /// Events that were not appended, since their ids were in the store.
    already: u64,
    /// All offsets that were appended.
    all: Option<Range<u64>>,
}

impl Reports {
    /// A batch is in the store at these offsets, already or now.
    fn batch(&mut self, range: Range<u64>, already: bool) -> Result<(), Failure> {
        let (first, last) = (range.start, range.end - 1);
        let events = last - first + 1;
        if already {
            self.already += events;
        } else {
            self.appended += events;
            self.all = Some(self.all.as_ref().map_or(first, |all| all.start)..range.end);
        }
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

    fn end(&mut self) -> Result<(), Failure> {
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
