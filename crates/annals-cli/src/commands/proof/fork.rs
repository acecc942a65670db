//! `annals fork` writes a file that convicts the owner of a log that signed two histories.

use std::io::Write as _;
use std::path::Path;

use annals_proof::{CheckError, Checkpoint, Fork, InclusionProof};

use super::files;
use crate::args::proof::Fork as Args;
use crate::failure::Failure;
use crate::out::Out;

/// The kind of one of the two files.
enum Side {
    Checkpoint(Checkpoint),
    Proof(InclusionProof),
}

/// Checks that two files contradict each other, and prints the fork.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let fork = match (side(&args.a)?, side(&args.b)?) {
        (Side::Proof(a), Side::Proof(b)) => Fork::of_proofs(&a, &b),
        (Side::Checkpoint(a), Side::Checkpoint(b)) if a.size() == b.size() => {
            Fork::of_checkpoints(a, b)
        }
        (Side::Checkpoint(a), Side::Checkpoint(b)) => {
            let text = format!(
                "the checkpoints are of {} and {} events, so they alone do not contradict each other; give two proofs of \
                 one offset (`annals prove STORE OFFSET --at CHECKPOINT`), each from the history of its checkpoint",
                a.size(),
                b.size()
            );
            return Err(CheckError::Contradiction(text).into());
        }
        _ => {
            let text = "one file is a checkpoint and the other a proof; give two of a kind";
            return Err(CheckError::Contradiction(text.to_owned()).into());
        }
    };
    fork.check(&args.vkey)?;
    let mut out = Out::for_reports(None);
    out.with(|out| write!(out, "{}", fork.to_json()))?;
    out.flush()
}

fn side(path: &Path) -> Result<Side, Failure> {
    let bytes = files::read(path)?;
    if bytes.starts_with(b"c2sp.org/tlog-proof@") {
        Ok(Side::Proof(files::parse(path)?))
    } else {
        Ok(Side::Checkpoint(files::parse(path)?))
    }
}
