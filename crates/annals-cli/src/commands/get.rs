//! `annals get` prints one event.

use annals_cli::{write_line, write_pretty};

use crate::args::Format;
use crate::args::read::Get;
use crate::failure::Failure;
use crate::out::Out;
use crate::store::{self, Store};

/// Prints the event at an offset.
pub(crate) fn run(args: &Get, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store| show(store, args, format))
}

fn show(store: &Store, args: &Get, format: Option<Format>) -> Result<(), Failure> {
    let Some(event) = store.get(args.offset)? else {
        return Err(Failure::NoEvent { offset: args.offset, len: store.len() });
    };
    let mut out = Out::new(format);
    out.with(|out| match format {
        Some(Format::Jsonl) => write_line(&event, out),
        Some(Format::Table) | None => write_pretty(&event, out),
    })?;
    out.flush()
}
