//! `annals prove` writes proofs of what a store contains.

use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;

use annals::{Query, QueryItem, RawEvent, ReadError};
use annals_proof::{Checkpoint, ProofError, ProofOptions};

use super::files;
use crate::args::proof::Prove;
use crate::failure::Failure;
use crate::out::Out;
use crate::store::{self, Store};

type Proofs = annals_proof::Proofs<RawEvent, Box<dyn annals::Backend<RawEvent>>>;

/// Proves and prints the proof.
pub(crate) fn run(args: &Prove) -> Result<(), Failure> {
    store::reading(&args.store, |store: &Store| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let proofs = ProofOptions::new().threads(threads).open_existing(store)?;
        let checkpoint = match &args.at {
            Some(path) => signed(&proofs, files::parse(path)?)?,
            None => proofs.last_checkpoint().ok_or_else(|| {
                Failure::Proof(ProofError::NoProofs { path: args.store.path().join("proofs") })
            })?,
        };
        if let Some(offset) = args.offset {
            return print(proofs.prove(offset, &checkpoint)?);
        }
        if let Some(since) = &args.since {
            return print(since_proof(&proofs, since, &checkpoint)?);
        }
        print(evidence(store, &proofs, args, &checkpoint)?)
    })
}

/// Checks that the log signed the checkpoint: otherwise no checker would accept the proof.
fn signed(proofs: &Proofs, checkpoint: Checkpoint) -> Result<Checkpoint, Failure> {
    proofs.check_own(&checkpoint)?;
    Ok(checkpoint)
}

fn since_proof(
    proofs: &Proofs,
    since: &Path,
    checkpoint: &Checkpoint,
) -> Result<annals_proof::ConsistencyProof, Failure> {
    if since == Path::new("none") {
        return Ok(proofs.prove_consistency(0, checkpoint)?);
    }
    let old = signed(proofs, files::parse(since)?)?;
    // A contradiction is remembered, so that the log signs nothing more.
    proofs.agrees_with(&old)?;
    let proof = proofs.prove_consistency(old.size(), checkpoint)?;
    proof.check(old.root())?;
    Ok(proof)
}

fn evidence(
    store: &Store,
    proofs: &Proofs,
    args: &Prove,
    checkpoint: &Checkpoint,
) -> Result<String, Failure> {
    let types = args.types.iter().fold(QueryItem::new(), QueryItem::event_type);
    let query = Query::item(args.tags.iter().fold(types, QueryItem::tag));
    let is_query = !(args.types.is_empty() && args.tags.is_empty());
    let mut builder = proofs.evidence(checkpoint);
    if is_query {
        builder = builder.query(&query);
    }
    if args.whole {
        builder = builder.whole(args.from..args.to.unwrap_or(checkpoint.size()));
    }
    if args.content {
        builder = builder.content();
    }
    let built = builder.build();
    // With --whole, the file proves that the log has none.
    if matches!(built, Err(ProofError::OutOfRange(_)))
        && is_query
        && !args.whole
        && !has_any(store, &query, checkpoint.size())?
    {
        return Err(none_selected(store, args, checkpoint.size())?);
    }
    Ok(built?.to_json())
}

/// Returns whether one of the first `size` events matches.
fn has_any(store: &Store, query: &Query, size: u64) -> Result<bool, Failure> {
    match store.query(query).range(..size).next() {
        None => Ok(false),
        // It matches, although it cannot be decoded.
        Some(Ok(_) | Err(ReadError::Decode { .. })) => Ok(true),
        Some(Err(error)) => Err(error.into()),
    }
}

/// Returns the failure of a selection without an event: it names the tags and types that no event has.
fn none_selected(store: &Store, args: &Prove, size: u64) -> Result<Failure, Failure> {
    let items =
        args.types.iter().map(|name| (QueryItem::new().event_type(name), "type", name.as_str()));
    let items =
        items.chain(args.tags.iter().map(|tag| (QueryItem::new().tag(tag), "tag", tag.as_str())));
    let mut missing = Vec::new();
    for (item, kind, name) in items {
        if !has_any(store, &Query::item(item), size)? {
            missing.push(format!("the {kind} {name:?}"));
        }
    }
    let missing = match &missing[..] {
        [] => "these tags and types together".to_owned(),
        names => names.join(" or "),
    };
    let text = format!(
        "none of the {size} events of the checkpoint has {missing}; --whole proves that the log has no such event"
    );
    Ok(ProofError::OutOfRange(text).into())
}

fn print(proof: impl Display) -> Result<(), Failure> {
    let mut out = Out::new(None);
    out.with(|out| write!(out, "{proof}"))?;
    out.flush()
}
