//! `annals copy` copies a store to another, with the same offsets and times.

use std::fs;
use std::ops::Range;
use std::path::Path;

use annals::{Batch, Condition, Durability, Query, RawEvent};
use indicatif::HumanCount;

use crate::args::Format;
use crate::args::maintain::Copy;
use crate::failure::Failure;
use crate::human::counted;
use crate::out::Out;
use crate::progress;
use crate::signals::Interrupt;
use crate::store::{self, Store};
use crate::store_path::StorePath;
use crate::target::Target;

/// A batch ends at this number of events, or at this number of bytes.
const BATCH_EVENTS: usize = 4_096;
const BATCH_BYTES: usize = 8 << 20;

/// Copies the events that the target does not have yet, and compares all events.
pub(crate) fn run(args: &Copy, format: Option<Format>) -> Result<(), Failure> {
    let creation = args.waiting.creating();
    let mut target = Target::new(&args.to, Durability::Buffered, creation, &Interrupt::default());
    let copied = store::reading(&args.from, |from| copy_all(from, &mut target, args, format));
    if copied.is_err() {
        target.remove_if_empty();
    }
    copied
}

fn copy_all(
    from: &Store,
    target: &mut Target,
    args: &Copy,
    format: Option<Format>,
) -> Result<(), Failure> {
    check_paths(&args.from, &args.to)?;
    let to = target.open()?;
    let not_a_copy = |difference: String| Failure::NotACopy {
        from: args.from.clone(),
        to: args.to.clone(),
        difference,
    };
    let (copied_before, head) = (to.len(), from.len());
    if copied_before > head {
        return Err(not_a_copy(format!("it has {copied_before} events, the source only {head}")));
    }
    if copied_before > 0
        && to.get(copied_before - 1)?.as_deref() != from.get(copied_before - 1)?.as_deref()
    {
        return Err(not_a_copy(format!("it has another event at offset {}", copied_before - 1)));
    }
    copy(from, &to, copied_before..head)?;
    to.sync()?;
    if let Some(offset) = first_difference(from, &to, head)? {
        return Err(not_a_copy(format!("it has another event at offset {offset}")));
    }
    if to.len() != head {
        return Err(not_a_copy(format!("it has {} events, the source {head}", to.len())));
    }
    to.close()?;
    let mut out = Out::for_reports(format);
    let copied = head - copied_before;
    match out.format() {
        Format::Jsonl | Format::Csv => {
            out.object([("copied", copied.into()), ("events", head.into())])?;
        }
        Format::Table => {
            let (copied, head) = (counted(copied, "event"), HumanCount(head));
            out.text(format_args!(
                "{copied} copied; all {head} events are the same in both stores"
            ))?;
        }
    }
    out.flush()
}

/// Fails if the target is the source, or would be in its directory.
fn check_paths(from: &StorePath, to: &StorePath) -> Result<(), Failure> {
    // If the source cannot be resolved, it does not exist, or opening it fails with a better error.
    let Ok(source) = fs::canonicalize(from.path()) else { return Ok(()) };
    let resolved = |path: &Path| {
        fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()
    };
    // If the target does not exist yet, its innermost directory that exists is checked.
    let existing = to.path().ancestors().find_map(resolved);
    if !existing.is_some_and(|existing| existing.starts_with(&source)) {
        return Ok(());
    }
    let inside = resolved(to.path()).as_ref() != Some(&source);
    Err(Failure::CopyIntoItself { from: from.clone(), to: to.clone(), inside })
}

/// Appends the events of a range. Consecutive events with the same time form a batch with that time.
fn copy(from: &Store, to: &Store, range: Range<u64>) -> Result<(), Failure> {
    let bar = progress::events(range.end - range.start, "copying");
    let (mut events, mut bytes, mut time_ms) = (Vec::new(), 0, 0);
    for event in from.read(range) {
        let event = match event {
            Ok(event) => event.into_owned(),
            Err(problem) => {
                append(to, events, time_ms)?;
                to.close()?;
                return Err(Failure::SourceUnreadable { problem, copied: to.len() });
            }
        };
        let full = events.len() == BATCH_EVENTS || bytes >= BATCH_BYTES;
        if full || event.time_ms != time_ms {
            bar.inc(events.len() as u64);
            append(to, std::mem::take(&mut events), time_ms)?;
            bytes = 0;
        }
        time_ms = event.time_ms;
        bytes += event.event.body().len();
        events.push(event.event);
    }
    append(to, events, time_ms)?;
    bar.finish_and_clear();
    Ok(())
}

fn append(to: &Store, events: Vec<RawEvent>, time_ms: u64) -> Result<(), Failure> {
    if !events.is_empty() {
        // A copy keeps all times, also times in the future that a wrong clock recorded.
        let batch = Batch::new(events).time_ms(time_ms).allow_future_time();
        // Other processes may append to a replicated log, and so may an earlier copy whose outcome was in doubt.
        let batch = batch.condition(Condition::fail_if(Query::all()).after(to.len()));
        to.append_as(batch)
            .map_err(|problem| Failure::CopyStopped { problem, copied: to.len() })?;
    }
    Ok(())
}

/// Returns the first offset below `head` at which the stores differ.
fn first_difference(from: &Store, to: &Store, head: u64) -> Result<Option<u64>, Failure> {
    let bar = progress::events(head, "comparing");
    let mut copies = to.read(..head);
    for event in from.read(..head) {
        let event = event?;
        let other = copies.next().transpose()?;
        if other.as_deref() != Some(&*event) {
            return Ok(Some(event.offset));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(None)
}
