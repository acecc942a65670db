//! The size of the queries that the server takes. A subscription keeps its query, and the leader of a commit checks all
//! conditions of a batch before the next batch, so both are bounded.

use annals::Query;

use crate::fault::Fault;

/// The most items of a query, and of the conditions of a batch together.
pub(crate) const MAX_ITEMS: usize = 1_000;
/// The most types and tags of a query, and of the conditions of a batch together: four for each item on average. A query
/// then takes at most 1.2 MiB.
pub(crate) const MAX_NAMES: usize = 4_000;
/// The most conditions of a batch.
pub(crate) const MAX_CONDITIONS: usize = 100;

/// The size of a query, or of the conditions of a batch together.
#[derive(Debug, Default)]
pub(crate) struct QuerySize {
    items: usize,
    names: usize,
}

impl QuerySize {
    /// Counts more items, and their types and tags.
    pub(crate) fn add(&mut self, items: usize, names: usize) -> Result<(), Fault> {
        self.items += items;
        self.names += names;
        if self.items > MAX_ITEMS {
            return Err(Fault::invalid(format!(
                "a query, or all conditions of a batch, have at most {MAX_ITEMS} items; make several requests"
            )));
        }
        if self.names > MAX_NAMES {
            return Err(Fault::invalid(format!(
                "a query, or all conditions of a batch, have at most {MAX_NAMES} types and tags; make several requests"
            )));
        }
        Ok(())
    }

    /// Counts a whole query.
    pub(crate) fn add_query(&mut self, query: &Query) -> Result<(), Fault> {
        let names = query.items().iter().map(|item| item.types().len() + item.tags().len());
        self.add(query.items().len(), names.sum())
    }
}
