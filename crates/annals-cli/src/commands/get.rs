//! `annals get` prints events by offset or id.

use annals_cli::{write_line, write_pretty};

use crate::args::Format;
use crate::args::read::Get;
use crate::failure::Failure;
use crate::out::Out;
use crate::store::{self, Store};

/// Prints the events.
pub(crate) fn run(args: &Get, format: Option<Format>) -> Result<(), Failure> {
    // Resolved when the command line was checked.
    let Some((path, offsets)) = &args.resolved else { return Ok(()) };
    store::reading(path, |store| show(store, offsets.clone(), &args.ids, format))
}

fn show(
    store: &Store,
    mut offsets: Vec<u64>,
    ids: &[String],
    format: Option<Format>,
) -> Result<(), Failure> {
    for id in ids {
        match store.find(id)? {
            Some(offset) => offsets.push(offset),
            None => return Err(Failure::NoEventWithId { id: id.clone() }),
        }
    }
    // Looked up before anything is printed.
    let events = offsets.into_iter().map(|offset| match store.get(offset)? {
        Some(event) => Ok(event),
        None => Err(Failure::NoEvent { offset, len: store.len() }),
    });
    let events = events.collect::<Result<Vec<_>, Failure>>()?;
    let mut out = Out::new(format);
    for event in &events {
        out.with(|out| match format {
            Some(Format::Jsonl) => write_line(event, out),
            _ => write_pretty(event, out),
        })?;
    }
    out.flush()
}
