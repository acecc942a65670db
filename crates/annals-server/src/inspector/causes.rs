//! What caused an event and what it caused, by the names in the metadata that programs use for that.
//!
//! The log has no index of metadata. The way to the causes goes by event ids, which it has; effects and events of the
//! same correlation are looked for nearby.

use std::sync::Arc;

use annals::{Query, RawEvent, Recorded};
use maud::Markup;

use super::rows::row;
use crate::fault::Fault;
use crate::pages::{Cursor, Room};
use crate::shared::Shared;

/// The names of metadata with the cause of an event: the id of another event, or its offset.
const CAUSES: [&str; 9] = [
    "causation-id",
    "causation_id",
    "causationId",
    "causation",
    "$causationId",
    "cause",
    "caused-by",
    "caused_by",
    "causedBy",
];

/// The names of metadata with the id of what an event is a part of.
const CORRELATIONS: [&str; 5] =
    ["correlation-id", "correlation_id", "correlationId", "correlation", "$correlationId"];

/// The longest way that is followed.
const MAX_CHAIN: usize = 32;
/// The largest number of events in a list.
const MAX_LIST: usize = 50;
/// The number of events that are searched in each direction.
pub(super) const WINDOW: u64 = 1_000;
/// The events that are searched at once.
const PAGE: Room = Room { events: 256, bytes: 8 << 20 };

/// What caused an event and what it caused, each event as a row of a table: the events themselves may be large.
#[derive(Debug, Default)]
pub(super) struct Causes {
    /// The cause, its cause, and so on.
    pub(super) chain: Vec<Markup>,
    /// The cause that is not in the log, where the chain ends.
    pub(super) missing: Option<String>,
    pub(super) effects: Vec<Markup>,
    pub(super) correlated: Vec<Markup>,
}

/// Returns the first value of one of these names.
fn value<'e>(event: &'e RawEvent, names: &[&str]) -> Option<&'e str> {
    let entries = event.metadata();
    names
        .iter()
        .find_map(|wanted| entries.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value))
}

/// Finds what caused an event and what it caused.
pub(super) fn causes(shared: &Shared, event: &Recorded<RawEvent>) -> Result<Causes, Fault> {
    let mut found = Causes::default();
    chain(shared, event, &mut found)?;
    let correlation = value(&event.event, &CORRELATIONS);
    let (head, offset) = (shared.head().get(), event.offset);
    let first = offset.saturating_sub(WINDOW);
    let end = head.min(offset.saturating_add(WINDOW + 1));
    let from = if correlation.is_some() { first } else { offset + 1 };
    let mut cursor = Cursor::new(Arc::new(Query::all()), from..end);
    while !cursor.is_done() {
        let page = shared.next_page(&mut cursor, PAGE)?;
        for other in page.into_iter().filter(|other| other.offset != offset) {
            let is_effect = other.offset > offset
                && value(&other.event, &CAUSES).is_some_and(|cause| names(cause, event));
            let same = correlation.is_some() && value(&other.event, &CORRELATIONS) == correlation;
            if is_effect && found.effects.len() < MAX_LIST {
                found.effects.push(row(&other));
            } else if same && found.correlated.len() < MAX_LIST {
                found.correlated.push(row(&other));
            }
        }
    }
    Ok(found)
}

/// Returns whether a cause is this event.
fn names(cause: &str, event: &Recorded<RawEvent>) -> bool {
    event.event.id() == Some(cause) || cause.parse() == Ok(event.offset)
}

/// Follows the causes.
fn chain(shared: &Shared, event: &Recorded<RawEvent>, found: &mut Causes) -> Result<(), Fault> {
    let mut from = event.clone();
    while found.chain.len() < MAX_CHAIN {
        let Some(cause) = value(&from.event, &CAUSES) else { return Ok(()) };
        let offset = match shared.backend().find_id(cause)? {
            Some(offset) => Some(offset),
            None => cause.parse().ok(),
        };
        // A cause is before its effect, so the way has an end.
        let earlier = offset.filter(|&offset| offset < from.offset);
        let next = match earlier {
            Some(offset) => shared.event_at(offset)?,
            None => None,
        };
        let Some(next) = next else {
            found.missing = Some(cause.to_owned());
            return Ok(());
        };
        found.chain.push(row(&next));
        from = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_name_counts() {
        let event = RawEvent::builder("a").metadata("cause", "b").metadata("causation-id", "c");
        assert_eq!(value(&event.build().unwrap(), &CAUSES), Some("c"));
        assert_eq!(value(&RawEvent::builder("a").build().unwrap(), &CAUSES), None);
    }

    #[test]
    fn large_events_are_kept_as_rows() {
        let shared = Shared::in_memory();
        for (cause, correlation) in [("none", "x"), ("0", "x"), ("1", "x"), ("none", "x")] {
            let event = RawEvent::builder("large").metadata("cause", cause);
            let event = event.metadata("correlation", correlation).data(vec![b'x'; 1 << 20]);
            shared.store.append(event.build().unwrap().into()).unwrap();
        }
        let event = shared.event_at(1).unwrap().unwrap();
        let found = causes(&shared, &event).unwrap();
        let lists = [&found.chain, &found.effects, &found.correlated];
        assert_eq!(lists.map(Vec::len), [1, 1, 2]);
        let bytes: usize = lists.into_iter().flatten().map(|row| row.0.len()).sum();
        assert!(bytes < 8 << 10, "{bytes} bytes");
    }
}
