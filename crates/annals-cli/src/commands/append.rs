//! `annals append` reads lines, parses them to events, and appends them in batches; or appends one event that the
//! options describe.

use std::io::{self, IsTerminal as _, Read as _};

use annals::{Condition, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Query, QueryItem, RawEvent};
use annals_cli::{LineError, parse_exported, parse_line};
use indicatif::ProgressBar;

use crate::appending::pending::{OtherType, Pending};
use crate::appending::writer::Writer;
use crate::args::Format;
use crate::args::append::{Append, OneEvent};
use crate::console::say;
use crate::failure::Failure;
use crate::out::Out;
use crate::progress;
use crate::reports::{Done, Reports};
use crate::signals::{Interrupt, Waker};
use crate::stdin_lines::{Lines, Step, standard_input};
use crate::target::Target;

/// A batch ends at this number of bytes of lines. Even with the largest possible event added, it is far below the
/// limit of a batch.
const BATCH_LINE_BYTES: usize = 8 << 20;

/// Appends the events of standard input, or the event of the options.
pub(crate) fn run(args: &Append, format: Option<Format>) -> Result<(), Failure> {
    let durability = args.durability.into();
    let (interrupt, waker) = Interrupt::start()?;
    let target = Target::new(&args.store, durability, args.creation, &interrupt);
    // An existing store is opened first, so that its problems are reported before any input is read.
    let store = target.existing()?;
    let writer = |bar| {
        let reports = Reports::new(Done::Appended, Out::for_reports(format), bar);
        let names = args.if_none.join(", ");
        Writer::new(store, target, reports).on_condition(condition(&args.if_none), names)
    };
    if args.event.event_type.is_some() {
        return append_one(&args.event, writer(ProgressBar::hidden()));
    }
    append_lines(args, writer, interrupt, &waker)
}

fn append_lines(
    args: &Append,
    writer: impl FnOnce(ProgressBar) -> Writer,
    interrupt: Interrupt,
    waker: &Waker,
) -> Result<(), Failure> {
    let (input, size) = standard_input().map_err(Failure::Input)?;
    let is_typed = io::stdin().is_terminal();
    if is_typed {
        say::note(r#"type one event per line, then Ctrl-D; for example {"type":"hello"}"#);
    }
    let lines = Lines::of(input).map_err(Failure::Input)?;
    waker.set(lines.waker());
    let mut appender = Appender {
        writer: writer(if is_typed { ProgressBar::hidden() } else { progress::bytes(size) }),
        lines,
        pending: Pending::default(),
        parse: if args.reread {
            |line| parse_exported(line).map(|(event, _)| event)
        } else {
            parse_line
        },
        interrupt,
        // A file never pauses, even if the reading thread is behind.
        never_pauses: size.is_some(),
        most_events: args.batch,
    };
    let done = appender.append_all();
    let Appender { mut writer, lines, .. } = appender;
    finish(&mut writer, done, lines.number())
}

/// Ends after all lines up to `last_line` were appended, or after a failure.
fn finish(writer: &mut Writer, done: Result<(), Failure>, last_line: u64) -> Result<(), Failure> {
    writer.reports.clear_bar();
    if let Err(problem) = done {
        writer.abandon();
        if problem.is_interrupt() {
            // The total of what is durable. If it cannot be written, the interrupt is still the failure.
            let _ = writer.reports.end();
        }
        return Err(problem);
    }
    writer.close()?;
    let reported = writer.reports.end();
    reported.map_err(|problem| Failure::Unreported { problem: Box::new(problem), last_line })
}

/// Returns the condition that no event has one of these names as a tag or type.
fn condition(names: &[String]) -> Option<Condition> {
    let mut items = names
        .iter()
        .flat_map(|name| [QueryItem::new().tag(name), QueryItem::new().event_type(name)]);
    let first = Query::item(items.next()?);
    Some(Condition::fail_if(items.fold(first, Query::or)))
}

/// Appends the event that the options describe.
fn append_one(args: &OneEvent, mut writer: Writer) -> Result<(), Failure> {
    let event = event_of(args)?;
    let mut batch = Pending::default();
    // The only event of a batch repeats no id.
    let _ = batch.add(event, 1, 0);
    let done = writer.append(batch).map_err(Failure::without_line);
    finish(&mut writer, done, 1)
}

fn event_of(args: &OneEvent) -> Result<RawEvent, Failure> {
    let mut builder = RawEvent::builder(args.event_type.clone().unwrap_or_default());
    for tag in &args.tags {
        builder = builder.tag(tag);
    }
    if let Some(id) = &args.id {
        builder = builder.id(id);
    }
    for (name, value) in &args.metadata {
        builder = builder.metadata(name, value);
    }
    if let Some(data) = &args.data {
        builder = builder.data(match data.strip_prefix('@') {
            Some(path) => file_data(path)?,
            None => json_data(data)?,
        });
    }
    builder.build().map_err(Failure::EventOfOptions)
}

/// Returns the bytes of a file, or of standard input for `-`.
fn file_data(path: &str) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::InputFile { path: path.into(), source };
    // One byte more than an event can have, so that the library refuses a larger file.
    let most = annals::MAX_DATA_BYTES as u64 + 1;
    let mut data = Vec::new();
    if path == "-" {
        io::stdin().take(most).read_to_end(&mut data).map_err(Failure::Input)?;
        return Ok(data);
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Failure::InputIsDirectory { path: Some(path.into()) });
    }
    file.take(most).read_to_end(&mut data).map_err(failed)?;
    Ok(data)
}

/// Returns JSON without the white space between its tokens, by the rules for the data of a line.
fn json_data(json: &str) -> Result<Vec<u8>, Failure> {
    const BEFORE: &str = r#"{"type":"a","data":"#;
    let invalid = |column: usize, message: String| Failure::DataOfOptions { column, message };
    let json = json.replace('\n', " ");
    // Within a line, the line would end too early, not the text.
    if serde_json::from_str::<serde::de::IgnoredAny>(&json).is_err_and(|error| error.is_eof()) {
        return Err(invalid(json.len() + 1, "not valid JSON: the text ends too early".to_owned()));
    }
    match parse_line(format!("{BEFORE}{json}}}").as_bytes()) {
        // The text could close the line's object and add fields to it.
        Ok(_) if serde_json::from_str::<serde::de::IgnoredAny>(&json).is_err() => {
            Err(invalid(1, "not one JSON value".to_owned()))
        }
        Ok(event) => Ok(event.data_bytes().to_vec()),
        Err(LineError { column, reason }) => {
            Err(invalid(column.saturating_sub(BEFORE.len()).max(1), reason.to_string()))
        }
    }
}

struct Appender {
    writer: Writer,
    lines: Lines,
    pending: Pending,
    parse: fn(&[u8]) -> Result<RawEvent, LineError>,
    interrupt: Interrupt,
    never_pauses: bool,
    most_events: usize,
}

impl Appender {
    fn append_all(&mut self) -> Result<(), Failure> {
        self.append_batches().map_err(|problem| match problem {
            Failure::ConditionFailed { .. } => problem,
            problem => {
                Failure::AfterLines { problem: Box::new(problem), next_line: self.writer.next_line }
            }
        })
    }

    fn append_batches(&mut self) -> Result<(), Failure> {
        loop {
            self.interrupt.check()?;
            let is_whole = self.writer.has_condition();
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
                self.writer.append(batch)?;
                self.writer.reports.received(self.lines.bytes());
                self.writer.next_line = self.lines.number() + 1;
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
        let event =
            (self.parse)(bytes).map_err(|problem| Failure::of_line(line, bytes, problem))?;
        if let Err(OtherType { event, first_line }) = self.pending.add(event, line, size) {
            if self.writer.has_condition() {
                let id = event.id().unwrap_or_default().to_owned();
                return Err(Failure::IdInBatch { line, id, first_line });
            }
            // After the lines before are appended, the store refuses this line.
            let before = std::mem::take(&mut self.pending);
            self.writer.append(before)?;
            self.writer.next_line = line;
            let _ = self.pending.add(event, line, size);
        }
        // Only a batch with a condition can become this large.
        if self.pending.events.len() > MAX_BATCH_EVENTS
            || self.pending.event_bytes > MAX_BATCH_BYTES
        {
            return Err(Failure::InputTooLarge { line });
        }
        Ok(())
    }
}
