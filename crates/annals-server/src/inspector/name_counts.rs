//! The names in the log that have most events.

use std::collections::BTreeMap;

use annals::{Backend, NameKind};

use crate::event::WireEvent;
use crate::fault::Fault;

/// The largest number of names in a ranking.
pub(super) const NAMES: usize = 12;

/// The names with most events, and the number of all names.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) types: Vec<(String, u64)>,
    pub(super) all_types: usize,
    pub(super) prefixes: Vec<(String, u64)>,
    pub(super) all_prefixes: usize,
}

impl Names {
    /// Reads all names of a log.
    pub(super) fn scan(backend: &dyn Backend<WireEvent>) -> Result<Self, Fault> {
        let types = backend.names(NameKind::Type, "")?;
        let types = types.into_iter().map(|found| (found.name, found.count)).collect();
        let mut prefixes = BTreeMap::<String, u64>::new();
        for tag in backend.names(NameKind::Tag, "")? {
            *prefixes.entry(prefix(&tag.name).to_owned()).or_default() += tag.count;
        }
        let (types, all_types) = largest(types);
        let (prefixes, all_prefixes) = largest(prefixes.into_iter().collect());
        Ok(Self { types, all_types, prefixes, all_prefixes })
    }
}

/// Returns the part of a tag up to its first colon, or the whole tag.
fn prefix(tag: &str) -> &str {
    tag.find(':').map_or(tag, |colon| &tag[..=colon])
}

/// Returns the names with most events, and the number of all names.
pub(super) fn largest(mut counts: Vec<(String, u64)>) -> (Vec<(String, u64)>, usize) {
    let all = counts.len();
    counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    counts.truncate(NAMES);
    (counts, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_names_and_prefixes_are_found() {
        assert_eq!(["a:b:c", "a", ":"].map(prefix), ["a:", "a", ":"]);
        let many = (0..20).map(|n| (n.to_string(), n)).collect();
        let (names, all) = largest(many);
        assert_eq!((names.len(), all, names[0].1), (NAMES, 20, 19));
    }
}
