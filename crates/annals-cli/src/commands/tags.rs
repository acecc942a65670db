//! `annals tags` prints the tags, or the beginnings of tags, and their numbers of events.

use std::collections::BTreeMap;

use super::count::prefix;
use super::types::ordered;
use crate::args::Format;
use crate::args::summary::{TagGroup, Tags};
use crate::counts::{self, Count};
use crate::failure::Failure;
use crate::store::{self, Store};

/// Prints the tags of a store.
pub(crate) fn run(args: &Tags, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store: &Store| {
        let tags = store.tags(&args.prefix)?;
        let (kind, rows) = match args.by {
            None => ("tag", tags.into_iter().map(|tag| Count::new(tag.name, tag.count)).collect()),
            Some(TagGroup::Prefix) => {
                let mut groups: BTreeMap<&str, Count> = BTreeMap::new();
                for tag in &tags {
                    let name = prefix(&tag.name);
                    let group = groups
                        .entry(name)
                        .or_insert_with(|| Count { tags: Some(0), ..Count::new(name, 0) });
                    group.events += tag.count;
                    group.tags = group.tags.map(|tags| tags + 1);
                }
                ("prefix", groups.into_values().collect())
            }
        };
        counts::show(kind, &ordered(rows, args.rows), format)
    })
}
