//! `annals export` prints events as lines of JSON or as CSV, from which `annals import` restores them.

use std::ops::Range;

use annals_cli::write_exported;

use crate::args::Format;
use crate::args::export::Export;
use crate::csv::titles::Titles;
use crate::csv::{rows, writer};
use crate::failure::Failure;
use crate::out::Out;
use crate::selection::no_match;
use crate::selection::selected::Selection;
use crate::store::{self, Store};

/// Exports the events.
pub(crate) fn run(args: &Export, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store| export(store, args, format))
}

fn export(store: &Store, args: &Export, format: Option<Format>) -> Result<(), Failure> {
    let selection = Selection::of(&args.filter);
    let range = selection.range(store, args.from..args.to.unwrap_or(u64::MAX))?;
    let mut out = Out::new(Some(format.unwrap_or(Format::Jsonl)));
    let printed = match out.format() {
        Format::Csv => export_csv(store, &selection, range, &mut out),
        _ => export_lines(store, &selection, range, &mut out),
    };
    out.flush()?;
    if printed? == 0 {
        no_match::note(store, &args.filter)?;
    }
    Ok(())
}

fn export_lines(
    store: &Store,
    selection: &Selection,
    range: Range<u64>,
    out: &mut Out,
) -> Result<u64, Failure> {
    let mut printed = 0;
    for event in selection.events(store, range, false) {
        let event = event?;
        out.with(|out| write_exported(&event, out))?;
        printed += 1;
    }
    Ok(printed)
}

fn export_csv(
    store: &Store,
    selection: &Selection,
    range: Range<u64>,
    out: &mut Out,
) -> Result<u64, Failure> {
    let mut titles = Titles::default();
    for event in selection.events(store, range.clone(), false) {
        titles.add(&event?.event);
    }
    out.with(|out| writer::write_row(titles.titles().iter().map(String::as_str), out))?;
    let mut printed = 0;
    for event in selection.events(store, range, false) {
        let event = event?;
        out.with(|out| rows::write(&event, &titles, out))?;
        printed += 1;
    }
    Ok(printed)
}
