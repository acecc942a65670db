//! `annals read` prints the events of a range that match a filter.

use crate::args::Format;
use crate::args::read::Read;
use crate::failure::Failure;
use crate::printer::EventPrinter;
use crate::selection::no_match;
use crate::selection::selected::Selection;
use crate::store::{self, Store};

/// Prints the requested events.
pub(crate) fn run(args: &Read, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store| show(store, args, format))
}

fn show(store: &Store, args: &Read, format: Option<Format>) -> Result<(), Failure> {
    let selection = Selection::of(&args.filter);
    let range = selection.range(store, args.from..args.to.unwrap_or(u64::MAX))?;
    let mut printer = EventPrinter::new(format, args.view);
    let limit = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    for event in selection.events(store, range, args.reverse).take(limit) {
        printer.print_read(event)?;
    }
    printer.flush()?;
    if printer.printed() == 0 && limit > 0 {
        no_match::note(store, &args.filter)?;
    }
    Ok(())
}
