//! Why no event was found, in words.

use annals::ReadError;

use super::lookup;
use crate::args::filter::Filter;
use crate::console::say;
use crate::criteria::name_pattern::NamePattern;
use crate::store::Store;

/// Prints a note that no event matches, and which names of the filter the store does not have.
pub(crate) fn note(store: &Store, filter: &Filter) -> Result<(), ReadError> {
    say::note(&format!("no event matches{}", reasons(store, filter)?));
    Ok(())
}

fn reasons(store: &Store, filter: &Filter) -> Result<String, ReadError> {
    if store.is_empty() {
        return Ok("; the store is empty".to_owned());
    }
    let mut reasons = Vec::new();
    for tag in &filter.tags {
        if !lookup::has_tag(store, tag)? {
            reasons.push(match tag {
                NamePattern::Exact(tag) => format!("; there is no tag {tag}"),
                NamePattern::Prefix(start) => format!("; no tag begins with {start}"),
            });
        }
    }
    let types = if filter.types.is_empty() { Vec::new() } else { store.types()? };
    for wanted in &filter.types {
        if !types.iter().any(|known| known.name == *wanted) {
            reasons.push(format!("; there is no type {wanted}"));
        }
    }
    if reasons.is_empty() && filter.is_empty() {
        reasons.push(format!("; the store has offsets 0 to {}", store.len() - 1));
    }
    Ok(reasons.concat())
}
