//! `annals import` appends the events of a file that `annals export` wrote, or of a CSV file. The whole input is
//! checked first, so a wrong line imports nothing.

use annals::Durability;

use crate::appending::pending::Pending;
use crate::appending::writer::Writer;
use crate::args::Format;
use crate::args::import::Import;
use crate::console::say;
use crate::failure::Failure;
use crate::out::Out;
use crate::progress;
use crate::records::check::Checks;
use crate::records::input::Input;
use crate::records::record::{Record, Records};
use crate::reports::{Done, Reports};
use crate::signals::Interrupt;
use crate::store::Store;
use crate::target::Target;

/// A batch ends at this number of events, or at this number of bytes of lines.
const BATCH_EVENTS: usize = 4_096;
const BATCH_LINE_BYTES: usize = 8 << 20;

/// Imports the events.
pub(crate) fn run(args: &Import, format: Option<Format>) -> Result<(), Failure> {
    let (interrupt, waker) = Interrupt::start()?;
    let target = Target::new(&args.store, Durability::Buffered, args.creation, &interrupt);
    let store = target.existing()?;
    let nothing = |problem| Failure::AfterLines { problem: Box::new(problem), next_line: 1 };
    let input =
        Input::open(args.file.as_deref(), &interrupt, &waker).map_err(|problem| match problem {
            Failure::Interrupted => nothing(problem),
            other => other,
        })?;
    let keeps_times = args.keep_times || args.csv.time.is_some();
    let checks = Checks {
        store: store.as_ref(),
        keeps_times,
        allows_future: args.allow_future_times,
        last_ms: store.as_ref().map_or(Ok(None), last_time)?,
    };
    let bar = progress::bytes(Some(input.bytes));
    bar.set_message("checked");
    let records = Records::of(input.reader()?, &args.csv);
    let checked = records.and_then(|mut records| {
        checks.read_all(&mut records, &interrupt, |bytes| bar.set_position(bytes))
    });
    bar.finish_and_clear();
    let count = checked.map_err(nothing)?;
    let mut reports =
        Reports::new(Done::Imported, Out::for_reports(format), progress::bytes(Some(input.bytes)));
    if count == 0 {
        return end_without_events(store, &mut reports);
    }
    let mut importer = Importer {
        writer: Writer::new(store, target, reports).allow_future(args.allow_future_times),
        records: Records::of(input.reader()?, &args.csv)?,
        keeps_times,
        interrupt,
    };
    let done = importer.append_all(count);
    importer.writer.reports.clear_bar();
    if let Err(problem) = done {
        let next_line = importer.writer.next_line;
        importer.writer.abandon();
        let _ = importer.writer.reports.end();
        return Err(Failure::AfterLines { problem: Box::new(problem), next_line });
    }
    importer.writer.close()?;
    let reported = importer.writer.reports.end();
    let last_line = importer.writer.next_line - 1;
    reported.map_err(|problem| Failure::Unreported { problem: Box::new(problem), last_line })
}

/// Reports that the input has no events. Creates no store: the user probably meant another input.
fn end_without_events(store: Option<Store>, reports: &mut Reports) -> Result<(), Failure> {
    reports.clear_bar();
    match store {
        None => say::note("the input has no events; no store was created"),
        Some(store) => {
            store.close()?;
            say::note("the input has no events");
        }
    }
    reports.end()
}

/// Returns the time of the last event.
fn last_time(store: &Store) -> Result<Option<u64>, Failure> {
    let Some(last) = store.len().checked_sub(1) else { return Ok(None) };
    Ok(store.get(last)?.map(|event| event.time_ms))
}

struct Importer {
    writer: Writer,
    records: Records,
    keeps_times: bool,
    interrupt: Interrupt,
}

impl Importer {
    /// Appends the first `count` records, in batches whose events have one time.
    fn append_all(&mut self, count: u64) -> Result<(), Failure> {
        let mut batch = Pending::default();
        for _ in 0..count {
            // A file that became shorter since it was checked ends here.
            let Some(Record { line, event, time_ms, size }) = self.records.next()? else { break };
            let time_ms = time_ms.filter(|_| self.keeps_times);
            let is_full =
                batch.line_count() >= BATCH_EVENTS || batch.line_bytes >= BATCH_LINE_BYTES;
            if is_full || batch.time_ms != time_ms {
                self.append(&mut batch)?;
            }
            batch.time_ms = time_ms;
            if let Err(other) = batch.add(event, line, size) {
                // After the lines before are appended, the store refuses this line.
                self.append(&mut batch)?;
                batch.time_ms = time_ms;
                let _ = batch.add(other.event, line, size);
            }
        }
        self.append(&mut batch)
    }

    fn append(&mut self, batch: &mut Pending) -> Result<(), Failure> {
        self.interrupt.check()?;
        self.writer.append(std::mem::take(batch))?;
        self.writer.reports.received(self.records.bytes());
        Ok(())
    }
}
