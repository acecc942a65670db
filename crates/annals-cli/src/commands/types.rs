//! `annals types` prints the event types and their numbers of events.

use crate::args::Format;
use crate::args::summary::{Rows, Sort, Types};
use crate::counts::{self, Count};
use crate::failure::Failure;
use crate::store::{self, Store};

/// Prints the types of a store.
pub(crate) fn run(args: &Types, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store: &Store| {
        let types = store.types()?.into_iter().map(|kind| Count::new(kind.name, kind.count));
        counts::show("type", &ordered(types.collect(), args.rows), format)
    })
}

/// Returns rows, which are in the order of their names, as these options ask for them.
pub(crate) fn ordered(mut rows: Vec<Count>, options: Rows) -> Vec<Count> {
    if options.sort == Sort::Count {
        // The order of the names stays among equal counts.
        rows.sort_by_key(|row| std::cmp::Reverse(row.events));
    }
    rows.truncate(
        options.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
    );
    rows
}
