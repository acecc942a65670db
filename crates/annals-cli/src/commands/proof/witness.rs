//! `annals witness` cosigns checkpoints of other logs.

use std::io::{Read as _, Write as _};

use annals_proof::{CheckError, ConsistencyProof, LogKey, Witness as Memory};

use crate::args::proof::Witness;
use crate::failure::Failure;
use crate::out::Out;

/// The largest request that is read, in bytes.
const MOST: u64 = 1 << 20;

/// Reads a request and prints the cosignature.
pub(crate) fn run(args: &Witness) -> Result<(), Failure> {
    let mut text = String::new();
    std::io::stdin().lock().take(MOST).read_to_string(&mut text).map_err(Failure::Input)?;
    let request: ConsistencyProof = text.parse().map_err(CheckError::from)?;
    let witness =
        Memory::open(&args.directory, LogKey::read(&args.key)?, args.logs.iter().cloned())?;
    let line = witness.cosign(&request)?;
    let mut out = Out::for_reports(None);
    out.with(|out| write!(out, "{line}"))?;
    out.flush()
}
