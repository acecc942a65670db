//! The files of the commands about proofs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use annals_proof::{FormatError, MAX_EVIDENCE_BYTES, ProofError};

use crate::failure::Failure;

/// Returns the failure of a file.
fn failed(action: &'static str, path: &Path, source: io::Error) -> Failure {
    Failure::Proof(ProofError::Io { action, path: path.to_owned(), source: Arc::new(source) })
}

/// Reads at most one byte more of a file than evidence may have.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let most = MAX_EVIDENCE_BYTES as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|error| failed("read", path, error))?;
    Ok(bytes)
}

/// Reads a file that is text in one of the formats.
pub(crate) fn parse<T: FromStr<Err = FormatError>>(path: &Path) -> Result<T, Failure> {
    let bytes = read(path)?;
    String::from_utf8_lossy(&bytes).parse().map_err(|problem| {
        let kind = kind(&bytes);
        Failure::OtherFile { path: path.to_owned(), problem, kind }
    })
}

/// Returns what a file is that a command of this program writes, if it can be told from its beginning.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    let kinds = [
        ("c2sp.org/tlog-proof@", "a proof of an event (annals prove STORE OFFSET)"),
        ("old ", "a proof that a log only grew (annals prove STORE --since)"),
        ("PRIVATE+KEY+", "a secret key"),
        ("{", "evidence or a fork"),
        ("\u{2014} ", "the line of a witness"),
    ];
    kinds.into_iter().find(|(start, _)| bytes.starts_with(start.as_bytes())).map(|(_, kind)| kind)
}
