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
    let events = events.range(args.from..args.to.unwrap_or(u64::MAX));
    let limit = args.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let events: Box<dyn Iterator<Item = _>> =
        if args.reverse { Box::new(events.rev()) } else { Box::new(events) };
    let mut printer = EventPrinter::new(format);
    for event in events.take(limit) {
        printer.print_read(event)?;
    }
    printer.flush()
}
