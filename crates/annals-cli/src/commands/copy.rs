//! `annals copy`: a store to another, offsets and times kept.

use std::fs;
use std::ops::Range;
use std::path::Path;

use annals::{Batch, Durability, RawEvent};
use indicatif::HumanCount;

use crate::args::{Copy, Format};
use crate::failure::Failure;
use crate::out::{Out, counted};
use crate::place::Place;
use crate::progress;
use crate::store::{self, Store};
use crate::target::Target;

/// Events and bytes at which a batch ends.
const BATCH_EVENTS: usize = 4_096;
const BATCH_BYTES: usize = 8 << 20;

/// Copies what the target does not have yet, and compares all.
pub(crate) fn run(args: &Copy, format: Option<Format>) -> Result<(), Failure> {
    let mut target = Target::new(&args.to, Durability::Buffered);
    let copied = store::reading(&args.from, |from| copy_all(from, &mut target, args, format));
    if copied.is_err() {
        target.leave_nothing();
    }
    copied
}

fn copy_all(
    from: &Store,
    target: &mut Target,
    args: &Copy,
    format: Option<Format>,
) -> Result<(), Failure> {
    refuse_itself(&args.from, &args.to)?;
    let to = target.open()?;
    let other_log = |difference: String| Failure::OtherLog {
        from: args.from.clone(),
        to: args.to.clone(),
        difference,
    };
    let (begun, head) = (to.len(), from.len());
    if begun > head {
        return Err(other_log(format!("it has {begun} events, the store to copy only {head}")));
    }
    if begun > 0 && to.get(begun - 1)?.as_deref() != from.get(begun - 1)?.as_deref() {
        return Err(other_log(format!("at offset {} it has another event", begun - 1)));
    }
    copy(from, &to, begun..head)?;
    to.sync()?;
    if let Some(offset) = first_difference(from, &to, head)? {
        return Err(other_log(format!("at offset {offset} it has another event")));
    }
    if to.len() != head {
        return Err(other_log(format!("it has {} events, the store to copy {head}", to.len())));
    }
    to.close()?;
    let mut out = Out::for_reports(format);
    let copied = head - begun;
    match out.format() {
        Format::Jsonl => out.object([("copied", copied.into()), ("events", head.into())])?,
        Format::Table => {
            let (copied, head) = (counted(copied, "event"), HumanCount(head));
            out.text(format_args!("{copied} copied; all {head} compared, and the same"))?;
        }
    }
    out.flush()
}

/// Refuses a target that is the source, or would be in its directory.
fn refuse_itself(from: &Place, to: &Place) -> Result<(), Failure> {
    // What cannot be resolved is not there, or is an error for whoever opens it.
    let Ok(source) = fs::canonicalize(from.path()) else { return Ok(()) };
    let resolved = |path: &Path| {
        fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()
    };
    // Of a target that is not there yet: the directory that is, and that it will be in.
    if !to.path().ancestors().find_map(resolved).is_some_and(|place| place.starts_with(&source)) {
        return Ok(());
    }
    let inside = resolved(to.path()).as_ref() != Some(&source);
    Err(Failure::IntoItself { from: from.clone(), to: to.clone(), inside })
}

/// Appends the events of a range: those of the same time together, with that time.
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
        // The times of a log that is there are kept, also those that a wrong clock left.
        let batch = Batch::new(events).time_ms(time_ms).allow_future_time();
        to.append_as(batch)
            .map_err(|problem| Failure::CopyStopped { problem, copied: to.len() })?;
    }
    Ok(())
}

/// The first offset below `head` at which two stores differ.
fn first_difference(from: &Store, to: &Store, head: u64) -> Result<Option<u64>, Failure> {
    let bar = progress::events(head, "comparing");
    let mut theirs = to.read(..head);
    for event in from.read(..head) {
        let event = event?;
        let copied = theirs.next().transpose()?;
        if copied.as_deref() != Some(&*event) {
            return Ok(Some(event.offset));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(None)
}
