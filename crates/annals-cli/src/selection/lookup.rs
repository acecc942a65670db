//! Reads by query, time and id. All reading of ranges goes through this file.

use std::collections::BTreeSet;
use std::iter;
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use annals::{EventRef, Query, RawEvent, ReadError};

use crate::criteria::name_pattern::NamePattern;
use crate::store::Store;

/// The events of a range that match a query.
pub(crate) type Found<'s> =
    Box<dyn Iterator<Item = Result<EventRef<'s, RawEvent>, ReadError>> + 's>;

/// Returns the events of a range that match the query, oldest first or newest first.
pub(crate) fn read<'s>(
    store: &'s Store,
    query: &Query,
    range: Range<u64>,
    reverse: bool,
) -> Found<'s> {
    let events = store.query(query).range(range);
    if reverse { Box::new(events.rev()) } else { Box::new(events) }
}

/// Returns the offset of the first event at or after this time; the end of the log if all are earlier.
pub(crate) fn offset_at(store: &Store, time_ms: u64) -> Result<u64, ReadError> {
    match UNIX_EPOCH.checked_add(Duration::from_millis(time_ms)) {
        Some(time) => store.offset_at(time),
        // After every time that this system knows.
        None => Ok(store.len()),
    }
}

/// Returns the events of a range that have one of these ids, oldest first or newest first.
pub(crate) fn by_ids<'s>(
    store: &'s Store,
    ids: &[String],
    range: &Range<u64>,
    reverse: bool,
) -> Found<'s> {
    let found = ids.iter().map(|id| store.find(id)).collect::<Result<Vec<_>, _>>();
    let offsets: BTreeSet<u64> = match found {
        Ok(found) => found.into_iter().flatten().filter(|offset| range.contains(offset)).collect(),
        Err(problem) => return Box::new(iter::once(Err(problem))),
    };
    let events = offsets.into_iter().filter_map(|offset| store.get(offset).transpose());
    if reverse { Box::new(events.rev()) } else { Box::new(events) }
}

/// Returns whether the store has this tag, or a tag that begins like this.
pub(crate) fn has_tag(store: &Store, tag: &NamePattern) -> Result<bool, ReadError> {
    use crate::criteria::name_pattern::NamePattern;
    let (NamePattern::Exact(start) | NamePattern::Prefix(start)) = tag;
    Ok(store.tags(start)?.iter().any(|known| tag.matches(&known.name)))
}
