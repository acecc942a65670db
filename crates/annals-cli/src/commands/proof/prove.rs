//! `annals prove` writes proofs of what a store contains.

use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;

use annals::{Query, QueryItem, RawEvent};
use annals_proof::{Checkpoint, ProofError, ProofOptions};

use super::files;
use crate::args::proof::Prove;
use crate::criteria::name_pattern::NamePattern;
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
        print(evidence(&proofs, args, &checkpoint)?)
    })
}

/// Checks that the log signed the checkpoint: otherwise no checker would accept the proof.
fn signed(proofs: &Proofs, checkpoint: Checkpoint) -> Result<Checkpoint, Failure> {
    of_this_log(proofs, &checkpoint)?;
    if let Some(vkey) = proofs.vkey() {
        checkpoint.verify(&vkey)?;
    }
    Ok(checkpoint)
}

fn of_this_log(proofs: &Proofs, checkpoint: &Checkpoint) -> Result<(), ProofError> {
    if checkpoint.origin() == proofs.origin() {
        return Ok(());
    }
    let (found, expected) = (checkpoint.origin().to_owned(), proofs.origin().to_owned());
    Err(ProofError::OtherLog { found, expected })
}

fn since_proof(
    proofs: &Proofs,
    since: &Path,
    checkpoint: &Checkpoint,
) -> Result<annals_proof::ConsistencyProof, Failure> {
    if since == Path::new("none") {
        return Ok(proofs.prove_consistency(0, checkpoint)?);
    }
    let old: Checkpoint = files::parse(since)?;
    of_this_log(proofs, &old)?;
    let proof = proofs.prove_consistency(old.size(), checkpoint)?;
    proof.check(old.root())?;
    Ok(proof)
}

fn evidence(proofs: &Proofs, args: &Prove, checkpoint: &Checkpoint) -> Result<String, Failure> {
    let mut builder = proofs.evidence(checkpoint);
    if !(args.types.is_empty() && args.tags.is_empty()) {
        let mut item = args.types.iter().fold(QueryItem::new(), QueryItem::event_type);
        for tag in &args.tags {
            let NamePattern::Exact(tag) = tag else {
                let text = "a proof is of whole tags; give --tag without *".to_owned();
                return Err(ProofError::OutOfRange(text).into());
            };
            item = item.tag(tag);
        }
        builder = builder.query(&Query::item(item));
    }
    if args.whole {
        builder = builder.whole(args.from..args.to.unwrap_or(checkpoint.size()));
    }
    if args.content {
        builder = builder.content();
    }
    Ok(builder.build()?.to_json())
}

fn print(proof: impl Display) -> Result<(), Failure> {
    let mut out = Out::new(None);
    out.with(|out| write!(out, "{proof}"))?;
    out.flush()
}
