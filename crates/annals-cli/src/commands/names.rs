//! `annals tags` and `annals types` print names and their numbers of events.

use annals::NameCount;
use indicatif::HumanCount;
use serde_json::json;

use crate::args::Format;
use crate::args::summary::{Tags, Types};
use crate::failure::Failure;
use crate::out::Out;
use crate::store::{self, Store};

/// Prints the tags of a store.
pub(crate) fn tags(args: &Tags, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store: &Store| show("tag", &store.tags(&args.prefix)?, format))
}

/// Prints the types of a store.
pub(crate) fn types(args: &Types, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store: &Store| show("type", &store.types()?, format))
}

fn show(kind: &str, names: &[NameCount], format: Option<Format>) -> Result<(), Failure> {
    let mut out = Out::new(format);
    if out.format() == Format::Table {
        out.text(format_args!("{:>12}  {}", "EVENTS", kind.to_uppercase()))?;
    }
    for NameCount { name, count } in names {
        if out.format() == Format::Table {
            out.text(format_args!("{:>12}  {name}", HumanCount(*count).to_string()))?;
        } else {
            out.object([(kind, json!(name)), ("count", json!(count))])?;
        }
    }
    out.flush()
}
