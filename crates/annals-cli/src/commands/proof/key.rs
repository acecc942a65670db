//! `annals key` creates a key, or prints the public keys of one.

use annals_proof::{LogKey, ProofError};
use serde_json::json;

use crate::args::Format;
use crate::args::proof::Key;
use crate::failure::Failure;
use crate::out::Out;

/// Creates a key, unless one is to be shown, and prints its public keys.
pub(crate) fn run(args: &Key, format: Option<Format>) -> Result<(), Failure> {
    let key = match (&args.name, &args.out, &args.show) {
        (_, _, Some(file)) => LogKey::read(file)?,
        (Some(name), Some(file), None) => {
            let key = LogKey::generate(name).map_err(ProofError::from)?;
            key.write_new(file)?;
            key
        }
        // The arguments require a name and a file, or a file to show.
        _ => return Ok(()),
    };
    let mut out = Out::new(format);
    let (vkey, witness_vkey) = (key.vkey().to_string(), key.witness_vkey().to_string());
    if out.format() == Format::Table {
        out.text(format_args!("vkey          {vkey}"))?;
        out.text(format_args!("witness_vkey  {witness_vkey}"))?;
    } else {
        out.object([("vkey", json!(vkey)), ("witness_vkey", json!(witness_vkey))])?;
    }
    out.flush()
}
