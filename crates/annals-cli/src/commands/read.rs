//! `annals read` prints the events of a range that match a filter.

use crate::args::Format;
use crate::args::read::Read;
use crate::commands::EventPrinter;
use crate::failure::Failure;
use crate::store::{self, Store};

/// Prints the requested events.
pub(crate) fn run(args: &Read, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store| show(store, args, format))
}

fn show(store: &Store, args: &Read, format: Option<Format>) -> Result<(), Failure> {
    let events = store.query(&args.filter.query());
    let events = events.from(args.from).to(args.to.unwrap_or(u64::MAX));
    let events = if args.reverse { events.rev() } else { events };
    let mut printer = EventPrinter::new(format);
    for event in events.limit(args.limit.unwrap_or(u64::MAX)) {
        printer.print_read(event)?;
    }
    printer.flush()
}
